"""Subsampling: strided convolutions that make one vector of several frames, whole or piece by piece.

B rows · T frames · F features of a frame · L = ⌈T/stride⌉ outputs · M model dimension · C channels
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import ClassVar, Literal, cast

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from whyformer.errors import DataError
from whyformer.lengths import Stage, grouping, output_count
from whyformer.nn.streaming.rows import chosen, latest, size_in_bytes, stacked
from whyformer.spec import Spec


class ConvolutionalSubsamplingSpec(Spec):
    """Strided convolutions over frames of features; each output reads nothing behind its own frames."""

    origin: ClassVar[str] = "Dong et al. 2018, section 3.1; causal"
    kind: Literal["convolution"] = "convolution"
    features: int = Field(default=80, ge=1)
    """Numbers of a frame, which the filter bank gives."""
    strides: tuple[int, ...] = Field(default=(2, 2), min_length=1)
    """Frames that each convolution makes one of; their product is the stride of the whole."""
    kernel: int = Field(default=3, ge=1)
    """Frames, and where ``over`` says so features, that an output of each convolution reads."""
    channels: int = Field(default=32, ge=1)
    """Channels of each convolution."""
    over: Literal["time", "time_frequency"] = "time_frequency"
    """Whether features are channels of the first convolution, or a second axis that all of them cross."""

    @model_validator(mode="after")
    def _fits_together(self) -> "ConvolutionalSubsamplingSpec":
        for stride in self.strides:
            if not 1 <= stride <= self.kernel:
                raise ValueError(
                    f"strides of {stride} with a kernel of {self.kernel} would leave frames out; set "
                    f"strides from 1 to {self.kernel} or a wider kernel"
                )
        return self

    @property
    def stride(self) -> int:
        """Frames of input for one output."""
        return prod(self.strides)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The convolutions as ``lengths`` counts them."""
        return tuple(grouping(stride) for stride in self.strides)

    def build(self, d_model: int) -> "ConvolutionalSubsampling":
        """The module that gives vectors of ``d_model`` components."""
        return ConvolutionalSubsampling(self, d_model)


@dataclass(frozen=True)
class FrontState:
    """Past of some streams at a front, a row each: the last inputs of each of its layers.

    ``frames`` counts the input so far of each row; ``tails`` (B,·) are None where nothing has come.
    """

    frames: tuple[int, ...]
    tails: tuple[Tensor | None, ...]

    @staticmethod
    def fresh(layers: int, rows: int = 1) -> "FrontState":
        """As many ``rows`` that have not begun, of a front of ``layers`` that remember something."""
        return FrontState((0,) * rows, (None,) * layers)

    @property
    def nbytes(self) -> int:
        """Bytes of all that is kept, of all rows together."""
        return size_in_bytes(self.tails)

    def select(self, rows: Sequence[int]) -> "FrontState":
        """A state of some ``rows``, in that order."""
        tails = tuple(None if tail is None else chosen(tail, rows) for tail in self.tails)
        return FrontState(tuple(self.frames[row] for row in rows), tails)

    @staticmethod
    def join(states: Sequence["FrontState"]) -> "FrontState":
        """The rows of several states under each other."""
        rows = [len(each.frames) for each in states]
        tails = [stacked(parts, rows, dim=1) for parts in zip(*(each.tails for each in states), strict=True)]
        return FrontState(tuple(count for each in states for count in each.frames), tuple(tails))

    def advanced(self, lengths: Sequence[int], tails: Sequence[Tensor], stride: int) -> "FrontState":
        """The state after ``lengths`` more frames a row, of which new ``tails`` are remembered.

        Raises:
            ValueError: a row goes on whose last piece ended inside a group of ``stride`` frames.
        """
        for row, (frames, count) in enumerate(zip(self.frames, lengths, strict=True)):
            if count and frames % stride:
                raise ValueError(
                    f"row {row} has brought {frames} frames, which is no multiple of {stride}, so its last "
                    "group is closed; a shorter piece can only be a row's last"
                )
        counts = tuple(frames + count for frames, count in zip(self.frames, lengths, strict=True))
        return FrontState(counts, tuple(tails))


class ConvolutionalSubsampling(nn.Module):
    """Strided convolutions with ReLU, then a projection (B,T,F) -> (B,L,M).

    Output j of a layer of kernel k and stride s reads its inputs before s·(j+1), k of them. On the left there
    are zeros, or the last k - s inputs of the piece before; the ragged group at a row's end is filled with
    zeros. So nothing is lost at the end, no length is special, and nothing is read ahead of the group.
    """

    def __init__(self, spec: ConvolutionalSubsamplingSpec, d_model: int) -> None:
        super().__init__()
        self.spec = spec
        self.stride = spec.stride
        """Frames of input for one output."""
        self.over_features = spec.over == "time_frequency"
        across, channels = (spec.kernel, 1) if self.over_features else (1, spec.features)
        width = spec.features if self.over_features else 1
        self.layers = nn.ModuleList()
        for stride in spec.strides:
            step = stride if self.over_features else 1
            # Over features it reads as far to either side: their axis has no direction.
            layer = nn.Conv2d(
                channels, spec.channels, (spec.kernel, across), (stride, step), (0, across // 2)
            )
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
            self.layers.append(layer)
            channels, width = spec.channels, (width + 2 * (across // 2) - across) // step + 1
        self.project = nn.Linear(channels * width, d_model)
        nn.init.xavier_uniform_(self.project.weight)
        nn.init.zeros_(self.project.bias)

    def new_state(self, rows: int = 1) -> FrontState:
        """The state of ``rows`` streams that have not begun."""
        return FrontState.fresh(len(self.layers), rows)

    def forward(
        self, frames: Tensor, lengths: Sequence[int], state: FrontState | None = None
    ) -> tuple[Tensor, FrontState | None]:
        """The vectors of some frames, and the state after them where one was given.

        Args:
            frames: (B,T,F); whatever is behind a row's length is not read.
            lengths: (B) frames of each row; with a state, no multiple of the stride only as a row's last.
            state: what came before; None for whole signals.

        Returns:
            (B,L,M) with L = ⌈max(lengths)/stride⌉; behind a row's ⌈length/stride⌉ it means nothing.

        Raises:
            DataError: the features are of another number.
            ValueError: the lengths are more than there are frames, or a row goes on that had ended.
        """
        if frames.shape[-1] != self.spec.features:
            raise DataError(
                f"front.features is {self.spec.features}, and these frames have {frames.shape[-1]}; use the "
                "filter bank that the model was made for."
            )
        if max(lengths) > frames.shape[1]:
            raise ValueError(f"lengths of up to {max(lengths)} frames, and there are {frames.shape[1]}")
        tails: list[Tensor] = []
        x = _silenced(frames[:, : max(lengths)], lengths)
        # (B,T,F) -> (B,T,F',C): F' features of one channel, or one of F
        x = x[..., None] if self.over_features else x[:, :, None]
        counts = list(lengths)
        for index, layer in enumerate(cast("list[nn.Conv2d]", list(self.layers))):
            tail = None if state is None else state.tails[index]
            stride, width = layer.stride[0], x.shape[1]
            past = layer.kernel_size[0] - stride
            tail = x.new_zeros(len(x), past, *x.shape[2:]) if tail is None else tail.to(x.dtype)
            joined = torch.cat([tail, x], dim=1)
            if state is not None:
                tails.append(latest(joined, 1, counts, width, past))
            counts = [output_count(count, grouping(stride)) for count in counts]
            x = _silenced(_convolved(layer, joined, max(counts)), counts)
        after = None if state is None else state.advanced(lengths, tails, self.stride)
        # (B,L,F',C) -> (B,L,M)
        return self.project(x.flatten(2)), after


def _convolved(layer: nn.Conv2d, x: Tensor, outputs: int) -> Tensor:
    """``outputs`` columns (B,L,F',C') after ReLU of ``x`` (B,R+T,F,C), filled with zeros on the right."""
    kernel, stride = layer.kernel_size[0], layer.stride[0]
    needed = kernel + max(outputs - 1, 0) * stride
    if needed > x.shape[1]:
        x = F.pad(x, (0, 0, 0, 0, 0, needed - x.shape[1]))
    # (B,T,F,C) -> (B,C,T,F), channels last in memory, and back
    return layer(x.permute(0, 3, 1, 2)).relu().permute(0, 2, 3, 1)[:, :outputs]


def _silenced(x: Tensor, lengths: Sequence[int]) -> Tensor:
    """``x`` (B,T,…) with zeros behind each row's length, whatever stood there."""
    if all(length == x.shape[1] for length in lengths):
        return x
    column = torch.arange(x.shape[1], device=x.device)
    padding = column >= torch.tensor(lengths, device=x.device)[:, None]
    return x.masked_fill(padding.view(*padding.shape, *[1] * (x.dim() - 2)), 0.0)
