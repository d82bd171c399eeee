"""Precision: which one is chosen for inference, and linear layers in bf16 or int8 in place of a model's own.

R rows · I inputs · O outputs
"""

import functools
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from whyformer.errors import DecodingError
from whyformer.machine import CPUPrecision, PrecisionName, automatic_cpu_precision
from whyformer.nn.embedding import OutputTable

LowPrecision = Literal["bf16", "int8"]

_WORTH = 2**17
"""Weights from which on a layer gains: a smaller product takes less time than rounding what enters it."""
_STEPS = 127
"""On each side of zero."""
_SMALLEST = 1e-30
"""A row of zeros has some scale, too."""
_LEVELS = 255
"""Steps from a row's least number to its largest."""
_LEAST_STEP = 6.1e-5
"""Least step of inputs, which torch's own product takes, too."""
_SIGNED = 128
"""Number that is taken from inputs to make them signed."""


def quantize_linear(model: nn.Module, precision: LowPrecision) -> int:
    """Replace the large linear layers of ``model`` by ones in ``precision``, for the CPU, and count them.

    Embeddings, norms, attention and softmax stay in fp32, and with bf16 the output table: logits of 8 bits
    would be equal too often. The weights of the layers cannot be saved or trained any more.
    """
    replaced = 0
    for module in list(model.modules()):
        if isinstance(module, OutputTable) and precision == "int8" and module.output_weight.numel() >= _WORTH:
            module.low_precision_output = Int8Table(*_plain(module.output_weight, module.scoring_bias))
            replaced += 1
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Linear) and child.weight.numel() >= _WORTH:
                setattr(module, name, _in_precision(child.weight, child.bias, precision))
                replaced += 1
    return replaced


def _in_precision(weight: Tensor, bias: Tensor | None, precision: LowPrecision) -> "LowPrecisionLinear":
    match precision:
        case "bf16":
            return BF16Linear(*_plain(weight, bias))
        case "int8":
            return Int8Linear(*_plain(weight, bias))


@functools.cache
def has_bf16_products() -> bool:
    """Whether torch multiplies bf16 by a layout of its own here; it refuses to on older processors."""
    return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()


@functools.cache
def has_int8_products() -> bool:
    """Whether torch's int8 products are exact here.

    Without instructions for them it adds two products in 16 bits first, where the largest do not fit; that
    is tried, as it depends on what torch uses and not on what the processor has.
    """
    rows, inputs = 4, 64
    most = torch.full((rows, inputs), _STEPS, dtype=torch.int8)
    return bool((torch.ops.aten._int_mm(most, most.T) == inputs * _STEPS**2).all())


@functools.cache
def has_lone_products() -> bool:
    """Whether torch has a product here that rounds a row by itself, and whether it is exact.

    As above, the largest numbers show it: they would not fit 16 bits.
    """
    if "fbgemm" not in torch.backends.quantized.supported_engines:
        return False
    outputs, inputs = 4, 64
    most = torch.full((outputs, inputs), float(_STEPS))
    try:
        packed = pack_int8(most, torch.ones(outputs), torch.zeros(outputs))
    except (AttributeError, RuntimeError):
        return False
    # Inputs of which 1 is a step.
    row = torch.full((1, inputs), float(_LEVELS))
    return bool((lone_product()(row, packed, False) == inputs * _LEVELS * _STEPS).all())


@functools.cache
def lone_product() -> Callable[[Tensor, torch.ScriptObject, bool], Tensor]:
    """Torch's product of a row that it rounds by itself, without the search for stand-ins of its weights.

    ``torch.ops`` looks for those in Python before each call, which takes a tenth of what a product takes.
    """
    packet = torch.ops.quantized.linear_dynamic
    return getattr(packet, "_op", packet)


def pack_int8(whole: Tensor, step: Tensor, bias: Tensor) -> torch.ScriptObject:
    """Weights (O,I) for the product of a row: whole numbers to ±127, of which 1 is worth ``step`` (O,).

    Raises:
        RuntimeError: torch has no such product here.
    """
    before = torch.backends.quantized.engine
    torch.backends.quantized.engine = "fbgemm"
    try:
        with warnings.catch_warnings():
            # Such tensors are to leave torch some day, for which there is another way; none of ours lives on.
            warnings.simplefilter("ignore", UserWarning)
            zeros = torch.zeros(len(whole), dtype=torch.int64)
            weight = torch.quantize_per_channel(whole * step[:, None], step, zeros, 0, torch.qint8)
            return torch.ops.quantized.linear_prepack(weight, bias)
    finally:
        torch.backends.quantized.engine = before


def _plain(weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    """Both in fp32 and out of training's reach; zeros for no bias."""
    weight = weight.detach().float()
    return weight, weight.new_zeros(len(weight)) if bias is None else bias.detach().float()


class LowPrecisionLinear(nn.Module, ABC):
    """x W + b by weights in a layout that is made once."""

    def project(self, x: Tensor, query: nn.Module) -> Tensor:
        """(…,I) -> (…,O), as the projection of an attention's keys does; ``query`` is not needed."""
        return self(x)

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """(…,I) -> (…,O), both fp32."""


class BF16Linear(LowPrecisionLinear):
    """Weights, inputs and outputs have 8 bits of mantissa; sums are fp32.

    Where the processor has no such products, fp32 ones of the same rounded numbers stand for them.
    """

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.own_products = has_bf16_products()
        self.bias, weight = bias.bfloat16(), weight.bfloat16()
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight) if self.own_products else weight.float()

    @override
    def forward(self, x: Tensor) -> Tensor:
        if not self.own_products:
            return F.linear(x.bfloat16().float(), self.weight, self.bias.float()).bfloat16().float()
        product = torch.ops.mkldnn._linear_pointwise
        return product(x.bfloat16(), self.weight, self.bias, "none", [], "").float()


class Int8Linear(LowPrecisionLinear):
    """Weights are whole steps of each output's own size, inputs whole steps of each row's.

    An output has 127 steps on each side of zero; a row has 255 from its least number, or 0, to its largest.
    Sums of products of whole numbers are exact, so that no row's result depends on the others. In fp32, which
    stands in where int8 products are not, they are so below 2²⁴; larger ones lose their last bit.

    A row alone, as each step of one sentence is, takes a product that reads weights in a layout of their own
    and rounds by itself: a third to two thirds of the time (docs/log.md), as otherwise each of a dozen small
    operations costs as much as some products. Several rows are rounded here by the same rule and to the same
    bits, each by itself.
    """

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.own_products = has_int8_products()
        self.bias = bias
        # (O,I) -> (O,)
        self.step = weight.abs().amax(dim=1).clamp_min(_SMALLEST) / _STEPS
        whole = (weight / self.step[:, None]).round()
        # What inputs have to be moved by to be signed, times this, is too much in each sum.
        self.sums = whole.sum(dim=1).int()
        lone = self.own_products and has_lone_products()
        self.alone = pack_int8(whole, self.step, bias) if lone else None
        """Weights for a row alone."""
        # (O,I) -> (I,O): a view
        self.weight = (whole.to(torch.int8) if self.own_products else whole).T

    @override
    def forward(self, x: Tensor) -> Tensor:
        if self.alone is not None and x.numel() == x.shape[-1]:
            return lone_product()(x, self.alone, False)
        # (…,I) -> (R,I) -> (R,1)
        rows = x.flatten(0, -2)
        # Both at once takes ten times as long.
        least, most = rows.amin(dim=1, keepdim=True).double(), rows.amax(dim=1, keepdim=True).double()
        exact = most.clamp_min_(0.0).sub_(least.clamp_max_(0.0)).div_(_LEVELS).clamp_min_(_LEAST_STEP)
        step, zero = exact.float(), least.div_(exact).neg_().round_().float()
        whole = torch.addcmul(zero, rows, step.reciprocal()).round_().clamp_max_(_LEVELS)
        # (R,I) -> (R,O) -> (…,O)
        if self.own_products:
            sums = torch.ops.aten._int_mm(whole.sub_(_SIGNED).to(torch.int8), self.weight)
            sums = sums.addcmul_((_SIGNED - zero).int(), self.sums).float()
        else:
            sums = whole.sub_(zero) @ self.weight
        return torch.addcmul(self.bias, sums, step * self.step).view(*x.shape[:-1], -1)


class Int8Table(Int8Linear):
    """The same for logits: what is not a number stays none, so that a search can refuse it.

    A product that rounds by itself makes numbers of it; in the layers the residual keeps it.
    """

    @override
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).add_(x.sum(dim=-1, keepdim=True).mul_(0.0))


def chosen_precision(precision: PrecisionName, device: torch.device, *, native: bool = False) -> CPUPrecision:
    """Precision that ``precision`` stands for on ``device``: ``auto`` is what pays on its CPU, else fp32.

    Args:
        precision: the name.
        device: where it is computed.
        native: whether the native engine computes.

    Raises:
        DecodingError: it is asked for on a device that is no CPU.
    """
    if precision == "auto":
        return automatic_cpu_precision(native=native)[0] if device.type == "cpu" else "fp32"
    if precision != "fp32" and device.type != "cpu":
        raise DecodingError(f"--precision {precision} is for the CPU; add --device cpu.")
    return precision
