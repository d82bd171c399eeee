"""Precision: which one is chosen for inference, and linear layers in bf16 or int8 in place of a model's own.

R rows · I inputs · O outputs
"""

import functools
from abc import ABC, abstractmethod
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


def quantize_linear(model: nn.Module, precision: LowPrecision) -> int:
    """Replace the large linear layers of ``model`` by ones in ``precision``, for the CPU, and count them.

    Embeddings, norms, attention and softmax stay in fp32, and with bf16 the output table: logits of 8 bits
    would be equal too often. The weights of the layers cannot be saved or trained any more.
    """
    replaced = 0
    for module in list(model.modules()):
        if isinstance(module, OutputTable) and precision == "int8" and module.output_weight.numel() >= _WORTH:
            module.low_precision_output = Int8Linear(*_plain(module.output_weight, module.scoring_bias))
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

    Sums of products of whole numbers are exact, so that no row's result depends on the others. In fp32, which
    stands in where int8 products are not, they are so below 2²⁴; larger ones lose their last bit.
    """

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.own_products = has_int8_products()
        self.bias = bias
        # (O,I) -> (O,)
        self.step = weight.abs().amax(dim=1).clamp_min(_SMALLEST) / _STEPS
        # (O,I) -> (I,O): a view
        whole = (weight / self.step[:, None]).round()
        self.weight = (whole.to(torch.int8) if self.own_products else whole).T

    @override
    def forward(self, x: Tensor) -> Tensor:
        # (…,I) -> (…,1)
        step = x.abs().amax(dim=-1, keepdim=True).clamp_min_(_SMALLEST).div_(_STEPS)
        whole = (x / step).round_().to(self.weight.dtype).flatten(0, -2)
        # (…,I) -> (R,I) -> (R,O) -> (…,O)
        product = torch.ops.aten._int_mm if self.own_products else torch.mm
        sums = product(whole, self.weight).view(*x.shape[:-1], -1)
        return sums.float().mul_(self.step).mul_(step).add_(self.bias)


def chosen_precision(precision: PrecisionName, device: torch.device) -> CPUPrecision:
    """Precision that ``precision`` stands for on ``device``: ``auto`` is what pays on its CPU, else fp32.

    Raises:
        DecodingError: it is asked for on a device that is no CPU.
    """
    if precision == "auto":
        return automatic_cpu_precision()[0] if device.type == "cpu" else "fp32"
    if precision != "fp32" and device.type != "cpu":
        raise DecodingError(f"--precision {precision} is for the CPU; add --device cpu.")
    return precision
