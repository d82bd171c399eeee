"""What masks make possible, the same tokens at once or one by one; and ways to get padding wrong.

B batch · S source length · L length · T target length · M model dimension · V vocabulary
H heads · Q query length · K key length
"""

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from typing_extensions import override

from whyformer.attention.mask import Mask, MaskRule
from whyformer.models.transformer import Transformer
from whyformer.nn.recurrent import CellSpec, LSTMSpec
from whyformer.position.layout import Layout
from whyformer.why.lab.reader import Reader, small_stack


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
