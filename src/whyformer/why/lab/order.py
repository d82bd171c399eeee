"""Three tasks about order, which a model learns at once: by offset, by position, by neither.

B batch · L length · M model dimension · V vocabulary
"""

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from whyformer.attention.heads import HeadsSpec
from whyformer.attention.multihead import AttentionSpec
from whyformer.errors import DataError
from whyformer.nn.feed_forward import NoFeedForwardSpec
from whyformer.nn.placement import PreNormSpec
from whyformer.nn.stack import BlockSpec, StackSpec
from whyformer.position.layout import Layout
from whyformer.position.positions import PositionSpec
from whyformer.why.lab.training import IGNORED, RIGHT, Examples
from whyformer.why.question import Figure, Text

SHORTEST, LONGEST, BACK, PLACE = 8, 32, 3, 5
ORDINARY, VOCABULARY, WIDTH, HEADS = 16, 24, 64, 4

LENGTH = Text("length", "长度")
RELATIVE = Figure(Text("The token 3 back", "往前第 3 个词元"), LENGTH, RIGHT, "heat")
ABSOLUTE = Figure(Text("The token at position 5", "位置 5 的词元"), LENGTH, RIGHT, "heat")
BAG = Figure(Text("Control: the odd token, anywhere", "对照：异类词元，位置无关"), LENGTH, RIGHT, "heat")
TOY_TASKS = (RELATIVE, ABSOLUTE, BAG)


class Reader(nn.Module):
    """An encoder that answers every task at every position."""

    def __init__(self, schemes: tuple[PositionSpec, ...], layers: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, WIDTH)
        attention = AttentionSpec(heads=HeadsSpec(query=HEADS))
        nothing = NoFeedForwardSpec()  # so that whatever is learned, attention has learned
        block = BlockSpec(attention=attention, feed_forward=nothing, placement=PreNormSpec(), dropout=0.0)
        self.stack = StackSpec(layers=layers, positions=schemes, block=block).build(WIDTH)
        self.output = nn.Linear(WIDTH, len(TOY_TASKS) * VOCABULARY)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (B,L) -> scores (B,V,3,L)."""
        layout = Layout(torch.arange(tokens.shape[1]).expand_as(tokens))
        hidden = self.stack(self.stack.embed(self.embedding(tokens), layout), layout)
        # (B,L,3·V) -> (B,L,3,V) -> (B,V,3,L)
        return self.output(hidden).unflatten(-1, (len(TOY_TASKS), -1)).permute(0, 3, 2, 1)


def sentences(random: Generator, count: int) -> Examples:
    """Sentences for the training, of one length that is drawn too."""
    return draw_sentences(random, count, int(torch.randint(SHORTEST, LONGEST + 1, (), generator=random)))


def draw_sentences(random: Generator, count: int, length: int) -> Examples:
    """Random tokens (B,L), an odd one among them; for each of the tasks what to say at every position."""
    tokens = torch.randint(ORDINARY, (count, length), generator=random)
    odd = torch.randint(ORDINARY, VOCABULARY, (count, 1), generator=random)
    tokens = tokens.scatter(1, torch.randint(length, (count, 1), generator=random), odd)
    back = F.pad(tokens[:, :-BACK], (BACK, 0), value=IGNORED)
    placed = tokens[:, PLACE : PLACE + 1]
    # 3 × (B,L) -> (B,3,L)
    return Examples(tokens, torch.stack([back, placed.expand_as(back), odd.expand_as(back)], dim=1))


@torch.no_grad()
def right_by_task(model: Reader, tests: Examples) -> list[float]:
    """Percent right in each task; 0 where the scheme refuses sentences of this length."""
    try:
        right = model(tests.sentences).argmax(dim=1) == tests.target
    except DataError:
        return [0.0] * len(TOY_TASKS)
    # (B,3,L) -> (3,)
    asked = (tests.target != IGNORED).sum(dim=(0, 2))
    return (100.0 * right.sum(dim=(0, 2)) / asked).tolist()
