"""Three tasks about order, which a model learns at once: by offset, by position, by neither. And sorting.

B batch · L length · M model dimension · V vocabulary
"""

import torch
from torch import Generator, Tensor
from torch.nn import functional as F
from typing_extensions import override

from whyformer.errors import DataError
from whyformer.position.positions import PositionSpec
from whyformer.why.lab.reader import Reader, small_stack
from whyformer.why.lab.training import IGNORED, RIGHT, Examples
from whyformer.why.question import Figure, Text

SHORTEST, LONGEST, BACK, PLACE = 8, 32, 3, 5
ORDINARY, VOCABULARY, WIDTH, HEADS = 16, 24, 64, 4

KINDS = 10
"""Symbols of the tasks below, and places in a sentence of theirs."""

LENGTH = Text("length", "长度")
RELATIVE = Figure(Text("The token 3 back", "往前第 3 个词元"), LENGTH, RIGHT, "heat")
ABSOLUTE = Figure(Text("The token at position 5", "位置 5 的词元"), LENGTH, RIGHT, "heat")
BAG = Figure(Text("Control: the odd token, anywhere", "对照：异类词元，位置无关"), LENGTH, RIGHT, "heat")
TOY_TASKS = (RELATIVE, ABSOLUTE, BAG)


class OrderReader(Reader):
    """An encoder that answers every task at every position, without feed-forward networks."""

    def __init__(self, schemes: tuple[PositionSpec, ...], layers: int) -> None:
        stack = small_stack(layers, heads=HEADS, positions=schemes)
        super().__init__(VOCABULARY, len(TOY_TASKS) * VOCABULARY, stack, WIDTH)

    @override
    def forward(self, tokens: Tensor, valid: Tensor | None = None) -> Tensor:
        """Tokens (B,L) -> scores (B,V,3,L)."""
        # (B,3·V,L) -> (B,3,V,L) -> (B,V,3,L)
        return super().forward(tokens, valid).unflatten(1, (len(TOY_TASKS), -1)).transpose(1, 2)


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
def right_by_task(model: OrderReader, tests: Examples) -> list[float]:
    """Percent right in each task; 0 where the scheme refuses sentences of this length."""
    try:
        right = model(tests.sentences).argmax(dim=1) == tests.target
    except DataError:
        return [0.0] * len(TOY_TASKS)
    # (B,3,L) -> (3,)
    asked = (tests.target != IGNORED).sum(dim=(0, 2))
    return (100.0 * right.sum(dim=(0, 2)) / asked).tolist()


def to_sort(random: Generator, count: int) -> Examples:
    """Symbols (B,L) in any order; the target is all of them, sorted."""
    symbols = torch.randint(KINDS, (count, KINDS), generator=random)
    return Examples(symbols, symbols.sort(dim=1).values)


def to_exchange(random: Generator, count: int) -> Examples:
    """Symbols (B,L), each to be exchanged for another one that depends on it alone."""
    symbols = torch.randint(KINDS, (count, KINDS), generator=random)
    return Examples(symbols, (3 * symbols + 1) % KINDS)
