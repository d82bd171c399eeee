"""What masks make possible, the same tokens at once or one by one; and ways to get padding wrong.

B batch · S source length · L length · T target length · M model dimension · V vocabulary
H heads · Q query length · K key length
"""

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from typing_extensions import override

from whyformer.attention.mask import Causal, Everything, Mask, MaskRule
from whyformer.models.transformer import Transformer, transformer
from whyformer.nn.recurrent import CellSpec, LSTMSpec
from whyformer.position.layout import Layout
from whyformer.special_tokens import BOS, EOS, PAD
from whyformer.why.lab.reader import Reader, small_stack
from whyformer.why.lab.training import IGNORED, Examples


class RecurrentReader(Reader):
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


SHORTEST_WORD, LONGEST_WORD, LETTERS, WORD_WIDTH = 3, 8, 12, 48


class Reverser(nn.Module):
    """An encoder-decoder, whose decoder may look ahead, and whose layers may see padding."""

    def __init__(self, causal: bool, padding: bool) -> None:
        super().__init__()
        spec = transformer(layers=1, d_model=WORD_WIDTH, heads=4, feed_forward=2 * WORD_WIDTH, dropout=0.0)
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
    return reversal(torch.randint(4, LETTERS + 4, (count, LONGEST_WORD + 1), generator=random), length)


def reversal(letters: Tensor, length: Tensor) -> Examples:
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


def filled(penalty: float) -> Way:
    """Softmax of the logits with ``penalty`` where the mask forbids."""

    def way(logits: Tensor, mask: Mask) -> Tensor:
        return logits.masked_fill(forbidden(mask), penalty).softmax(dim=-1)

    return way


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
