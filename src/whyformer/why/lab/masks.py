"""Toy models about who may read whom: at once or one by one, with a mask or without, by attention or not.

B batch · S source length · L length · T target length · M model dimension · V vocabulary
H heads · Q query length · K key length · N tasks
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from typing_extensions import override

from whyformer.attention.heads import HeadsSpec
from whyformer.attention.mask import Causal, Everything, Mask, MaskRule
from whyformer.attention.multihead import AttentionSpec
from whyformer.models.transformer import Transformer, transformer
from whyformer.nn.context import NO_POSITIONS
from whyformer.nn.feed_forward import ReluSpec
from whyformer.nn.recurrent.cells import CellSpec, GRUSpec, LSTMSpec, Recurrent
from whyformer.position.layout import Layout
from whyformer.special_tokens import BOS, EOS, PAD
from whyformer.why.arms import GRU
from whyformer.why.lab.cost import milliseconds
from whyformer.why.lab.toys.reader import Reader, small_stack
from whyformer.why.lab.training import IGNORED, Draw, Examples
from whyformer.why.question import Text


class GatedReader(Reader):
    """The toy model of ``Reader``, with recurrent layers, from left to right, instead of a stack.

    A layer of an LSTM has as many weights as a layer of attention with a feed-forward network twice as wide.
    """

    def __init__(
        self, vocabulary: int, classes: int, width: int, layers: int, cell: CellSpec | None = None
    ) -> None:
        super().__init__(vocabulary, classes, small_stack(), width)
        del self.stack
        self.layers = (cell or LSTMSpec()).build(width, layers, 0.0)

    @override
    def hidden(self, tokens: Tensor, valid: Tensor | None = None) -> Tensor:
        """Tokens (B,L) -> states of the last layer (B,L,M)."""
        layout = Layout.counting(*tokens.shape) if valid is None else Layout.right_padded(valid)
        return self.layers.read(self.embedding(tokens), layout)[0]


def at_once(model: Transformer, source: Tensor, target: Tensor, rule: MaskRule) -> Tensor:
    """Logits (B,T,V) of all tokens from one pass, by teacher forcing under the mask ``rule``."""
    own, model.decoder.rule = model.decoder.rule, rule
    hidden = model(source, Layout.counting(*source.shape), target, Layout.counting(*target.shape))
    model.decoder.rule = own
    return model.logits(hidden)


def step_by_step(model: Transformer, source: Tensor, target: Tensor) -> Tensor:
    """The same from a step for each token, as in generation: a step knows nothing of later tokens."""
    state = model.start(source, Layout.counting(*source.shape))
    # T × (B,V) -> (B,T,V)
    return torch.stack([model.step(token, state).clone() for token in target.unbind(dim=1)], dim=1)


def training_step(reader: Reader, tokens: Tensor) -> Callable[[], Tensor]:
    """Work of one forward and backward pass over ``tokens`` (B,L)."""

    def work() -> Tensor:
        with torch.enable_grad():
            loss = F.cross_entropy(reader(tokens), tokens)
            reader.zero_grad()
            loss.backward()
        return loss

    return work


SHORTEST_WORD, LONGEST_WORD, LETTERS, REVERSAL_WIDTH = 3, 8, 12, 48


class Reverser(nn.Module):
    """An encoder-decoder, whose decoder may look ahead, and whose layers may see padding."""

    def __init__(self, causal: bool, padding: bool) -> None:
        super().__init__()
        spec = transformer(
            layers=1, d_model=REVERSAL_WIDTH, heads=4, feed_forward=2 * REVERSAL_WIDTH, dropout=0.0
        )
        self.model = spec.build(LETTERS + 4, LETTERS + 4)
        # A recipe is refused that takes this mask away.
        self.model.decoder.rule = Causal() if causal else Everything()
        self.padding = padding

    @override
    def forward(self, sentences: Tensor) -> Tensor:
        """Source and what the decoder is fed, (B,2,L) -> scores (B,V,L)."""
        source, fed = sentences.unbind(dim=1)
        return self.score(source, fed).transpose(1, 2)

    def score(self, source: Tensor, fed: Tensor) -> Tensor:
        """Logits (B,T,V) after ``fed`` (B,T) for ``source`` (B,S)."""
        layouts = (
            Layout.right_padded(x != PAD) if self.padding else Layout.counting(*x.shape)
            for x in (source, fed)
        )
        return self.model.logits(self.model(source, next(layouts), fed, next(layouts)))

    @torch.no_grad()
    def write(self, source: Tensor) -> Tensor:
        """Free-running, always the likeliest token, the prefix read anew each time: (B,L)."""
        written = torch.full((len(source), 1), BOS)
        for _ in range(LONGEST_WORD + 1):
            written = torch.cat([written, self.score(source, written)[:, -1:].argmax(dim=-1)], dim=1)
        return written[:, 1:]


def draw_words(random: Generator, count: int) -> Examples:
    """Random words of several lengths, padded, with what to say: the letters backwards, and EOS."""
    length = torch.randint(SHORTEST_WORD, LONGEST_WORD + 1, (count, 1), generator=random)
    return reversed_words(torch.randint(4, LETTERS + 4, (count, LONGEST_WORD + 1), generator=random), length)


def reversed_words(letters: Tensor, length: Tensor) -> Examples:
    """Source and fed target (B,2,L), and the target (B,L), of the first ``length`` (B,1) letters (B,L)."""
    column = torch.arange(letters.shape[1])
    end = torch.where(column == length, EOS, PAD)
    source = torch.where(column < length, letters, end)
    target = torch.where(column < length, letters.gather(1, (length - 1 - column).clamp_min(0)), end)
    fed = torch.cat([torch.full_like(length, BOS), target[:, :-1]], dim=1)
    # Behind EOS is nothing to read: fed tokens are as many as those to say.
    fed = torch.where(column <= length, fed, PAD)
    return Examples(torch.stack([source, fed], dim=1), target.masked_fill(target == PAD, IGNORED))


class _Products(TorchDispatchMode):
    """Counter of matrix products, each of which waits for the one before."""

    KINDS = (torch.ops.aten.mm, torch.ops.aten.addmm, torch.ops.aten.bmm, torch.ops.aten.baddbmm)

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    @override
    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.count += func.overloadpacket in self.KINDS
        return func(*args, **(kwargs or {}))


@torch.no_grad()
def matrix_products(work: Callable[[], Tensor]) -> int:
    """Matrix products that ``work`` calls, one after another, whatever their size."""
    # oneDNN would hide all steps of a recurrent layer in one call; torch warns of GPUs where it is set.
    without = torch.backends.mkldnn.flags(enabled=False)
    with warnings.catch_warnings(action="ignore"), without, _Products() as products:
        work()
    return products.count


Way = Callable[[Tensor, Mask], Tensor]
"""A way to weigh values: from logits (B,H,Q,K) and the mask to weights (B,H,Q,K)."""


def filled(logits: Tensor, mask: Mask, penalty: float) -> Tensor:
    """Softmax of the logits with ``penalty`` where the mask forbids."""
    return logits.masked_fill(forbidden(mask), penalty).softmax(dim=-1)


def forbidden(mask: Mask) -> Tensor:
    """(B,1,Q,K), True where a query may not attend."""
    return ~mask.allowed if mask.allowed is not None else torch.zeros(1, 1, 1, 1, dtype=torch.bool)


def times_zero(logits: Tensor, mask: Mask) -> Tensor:
    """Softmax over all keys, then zero where the mask forbids."""
    return logits.softmax(dim=-1) * ~forbidden(mask)


def renormalised(logits: Tensor, mask: Mask) -> Tensor:
    """The same, divided by what is left."""
    weights = times_zero(logits, mask)
    return weights / weights.sum(dim=-1, keepdim=True)


def unmasked(logits: Tensor, mask: Mask) -> Tensor:
    """Softmax over all keys."""
    return logits.softmax(dim=-1)


Mixing = Literal["attention", "mean", "recurrent", "convolution"]
"""A way to let positions exchange something."""
RELATED_SYMBOLS, CHOICE, SENTENCE_LENGTH, RELATING_WIDTH, LAYER_WIDTH = 128, 24, 16, 48, 64
SELF_ATTENTION = Text("self-attention", "自注意力")


class Relating(Reader):
    """One layer that lets positions exchange something, a feed-forward network, and two answers."""

    def __init__(self, mixing: Mixing) -> None:
        network = ReluSpec(hidden=2 * RELATING_WIDTH)
        super().__init__(RELATED_SYMBOLS, 4, small_stack(feed_forward=network), RELATING_WIDTH)
        self.mixing: Mixing = mixing
        if mixing == "attention":
            return
        del self.stack
        self.norms = nn.ModuleList(nn.LayerNorm(RELATING_WIDTH) for _ in range(3))
        self.network = network.build(RELATING_WIDTH)
        # As many weights as attention has, 4 M², but for the GRU with 6 M².
        if mixing == "recurrent":
            self.first: nn.Module = GRUSpec().build(RELATING_WIDTH, 1, 0.0)
        elif mixing == "convolution":
            self.first = nn.Conv1d(RELATING_WIDTH, RELATING_WIDTH, 3, padding=1)
        else:
            self.first = nn.Linear(RELATING_WIDTH, 2 * RELATING_WIDTH)
        self.second = nn.Linear(2 * RELATING_WIDTH if mixing == "mean" else RELATING_WIDTH, RELATING_WIDTH)

    @override
    def hidden(self, tokens: Tensor, valid: Tensor | None = None) -> Tensor:
        """Tokens (B,L) -> states (B,L,M)."""
        if self.mixing == "attention":
            return super().hidden(tokens, valid)
        x = self.embedding(tokens)
        first, second, last = self.norms
        x = x + self.second(self._mixed(first(x)))
        return last(x + self.network(second(x)))

    def _mixed(self, x: Tensor) -> Tensor:
        if self.mixing == "mean":
            return self.first(x).mean(dim=1, keepdim=True)
        if isinstance(self.first, Recurrent):
            return self.first.read(x, Layout.counting(*x.shape[:2]))[0]
        return self.first(x.transpose(1, 2)).transpose(1, 2)

    @override
    def forward(self, tokens: Tensor, valid: Tensor | None = None) -> Tensor:
        """Tokens (B,L) -> scores of no and yes (B,2,N,L)."""
        return super().forward(tokens, valid).unflatten(1, (2, 2))


def repetitions(symbols: int) -> Draw:
    """Sentences of 24 of so many symbols, drawn anew for each: does each come again, is it a vowel?"""

    def draw(random: Generator, count: int) -> Examples:
        chosen = torch.rand(count, symbols, generator=random).argsort(dim=1)[:, :CHOICE]
        places = torch.randint(CHOICE, (count, SENTENCE_LENGTH), generator=random)
        tokens = chosen.gather(1, places)
        again = (tokens[:, :, None] == tokens[:, None, :]).sum(dim=2) > 1
        # 2 × (B,L) -> (B,N,L)
        return Examples(tokens, torch.stack([again, tokens % 3 == 0], dim=1).long())

    return draw


def left_to_right(tests: Examples) -> float:
    """Percentage right of who says yes to what came before: more cannot be known without what follows."""
    tokens, again = tests.sentences, tests.target[:, 0]
    before = (tokens[:, :, None] == tokens[:, None, :]).tril(-1).any(dim=2)
    return 100.0 * float((before == again).float().mean())


def layer_times(lengths: Sequence[int], rows: int) -> dict[Text, dict[int, float]]:
    """Milliseconds of one layer over ``rows`` sentences by length, of attention and of a GRU as wide."""
    attention = AttentionSpec(heads=HeadsSpec(query=4)).build(LAYER_WIDTH)
    recurrent = GRUSpec().build(LAYER_WIDTH, 1, 0.0)
    times: dict[Text, dict[int, float]] = {SELF_ATTENTION: {}, GRU: {}}
    for length in lengths:
        x, layout = torch.randn(rows, length, LAYER_WIDTH), Layout.counting(rows, length)
        mask = Mask(Everything(), layout, layout)

        def attend(x: Tensor = x, mask: Mask = mask) -> Tensor:
            source = attention.key_values(x, NO_POSITIONS, mask.keys.position)
            return attention(x, source, mask, NO_POSITIONS)

        works = {SELF_ATTENTION: attend, GRU: lambda x=x, layout=layout: recurrent.read(x, layout)[0]}
        for arm, taken in milliseconds(works, turns=7).items():
            times[arm][length] = taken
    return times
