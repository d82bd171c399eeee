"""Encoders of streams and the two ways to feed them, for tests that compare the ways."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from whyformer.attention.gate import SigmoidGateSpec
from whyformer.attention.heads import HeadsSpec
from whyformer.attention.mask import Chunk
from whyformer.attention.multihead import AttentionSpec
from whyformer.attention.query_key_norm import RMSQueryKeyNormSpec
from whyformer.models.streaming.encoder import EncoderState, StreamingEncoder, StreamingEncoderSpec
from whyformer.nn.feed_forward import SiluSpec
from whyformer.nn.residual.norm import LayerNormSpec, NormSpec, RMSNormSpec
from whyformer.nn.residual.placement import (
    PlacementSpec,
    PostNormSpec,
    PreNormSpec,
    ResidualSumSpec,
    WeightedResidualSpec,
)
from whyformer.nn.residual.values import FirstLayerValuesSpec, NoValueResidualSpec
from whyformer.nn.stack import BlockSpec, StackSpec
from whyformer.nn.streaming.convolution import ConvolutionSpec
from whyformer.nn.streaming.subsampling import ConvolutionalSubsamplingSpec
from whyformer.position.absolute import LearnedSpec, SinusoidalSpec
from whyformer.position.alibi import AlibiSpec
from whyformer.position.positions import PositionSpec
from whyformer.position.rotary import RotarySpec
from whyformer.position.shaw import ShawKeysSpec, ShawValuesSpec
from whyformer.position.t5 import T5Spec
from whyformer.position.transformer_xl import TransformerXLSpec

FEATURES = 5
LONGEST = 512
RELATIVE: dict[str, tuple[PositionSpec, ...]] = {
    "none": (),
    "rotary": (RotarySpec(),),
    "alibi": (AlibiSpec(),),
    "t5": (T5Spec(buckets=8, farthest=8),),
    "shaw": (ShawKeysSpec(distance=3), ShawValuesSpec(distance=3)),
    "transformer_xl": (TransformerXLSpec(),),
}
SCHEMES: dict[str, tuple[PositionSpec, ...]] = {
    **RELATIVE,
    "sinusoidal": (SinusoidalSpec(),),
    "learned": (LearnedSpec(longest=LONGEST),),
}
# An epsilon so large that no norm of these few components makes much of a rounding error.
NORMS: dict[str, NormSpec] = {"layer": LayerNormSpec(epsilon=0.01), "rms": RMSNormSpec(epsilon=0.01)}
PLACEMENTS: dict[str, PlacementSpec] = {"pre": PreNormSpec(), "post": PostNormSpec()}
BRANCHES = ("transformer", "causal", "chunk")


@dataclass(frozen=True)
class Shape:
    """Parts of a small encoder, by their names in this module."""

    scheme: str = "rotary"
    branch: str = "transformer"
    norm: str = "layer"
    placement: str = "pre"
    strides: tuple[int, ...] = (2, 2)
    over: str = "time_frequency"
    layers: int = 2
    additions: bool = False
    """Whether it has what newer Transformers add, too."""


def encoder(shape: Shape, *, dtype: torch.dtype = torch.float64, seed: int = 0) -> StreamingEncoder:
    """A small encoder with weights that are nowhere zero, in evaluation."""
    torch.manual_seed(seed)
    norm = NORMS[shape.norm]
    convolution = None
    if shape.branch == "causal":
        convolution = ConvolutionSpec(kernel=4, norm=norm)
    elif shape.branch == "chunk":
        convolution = ConvolutionSpec(kernel=5, reach="chunk", norm=norm)
    attention = AttentionSpec(heads=HeadsSpec(query=2))
    if shape.additions:
        norms = RMSQueryKeyNormSpec(epsilon=0.01)
        attention = AttentionSpec(heads=HeadsSpec(query=2), query_key_norm=norms, gate=SigmoidGateSpec())
    block = BlockSpec(
        attention=attention,
        feed_forward=SiluSpec(hidden=8),
        convolution=convolution,
        macaron=convolution is not None,
        norm=norm,
        placement=PLACEMENTS[shape.placement],
        residual=WeightedResidualSpec(embedded=True) if shape.additions else ResidualSumSpec(),
        dropout=0.0,
    )
    value_residual = FirstLayerValuesSpec() if shape.additions else NoValueResidualSpec()
    stack = StackSpec(
        layers=shape.layers, positions=SCHEMES[shape.scheme], block=block, value_residual=value_residual
    )
    spec = StreamingEncoderSpec.model_validate(
        {
            "d_model": 8,
            "front": {
                "kind": "convolution",
                "features": FEATURES,
                "channels": 3,
                "strides": shape.strides,
                "over": shape.over,
            },
            "stack": stack,
        }
    )
    assert isinstance(spec.front, ConvolutionalSubsamplingSpec)
    model = spec.build().to(dtype).eval()
    for name, parameter in model.named_parameters():
        # Some begin as zeros, which would hide a wrong offset or a wrong padding.
        if parameter.dim() <= 1 or "positions" in name:
            with torch.no_grad():
                parameter += 0.3 * torch.randn_like(parameter)
    return model


def signals(lengths: Sequence[int], *, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    """Random frames (B,T,F); behind each row's length there is nothing that may be read: NaN."""
    random = torch.Generator().manual_seed(seed)
    frames = torch.randn(len(lengths), max(lengths), FEATURES, generator=random, dtype=torch.float64)
    for row, length in enumerate(lengths):
        frames[row, length:] = float("nan")
    return frames.to(dtype)


def whole(model: StreamingEncoder, frames: Tensor, lengths: Sequence[int], rule: Chunk) -> list[Tensor]:
    """Hidden states of each row by one masked pass over all of it."""
    hidden, layout = model(frames, lengths, rule=rule)
    assert layout.lengths == tuple(-(-length // model.stride) for length in lengths)
    return [row[: -(-length // model.stride)] for row, length in zip(hidden, lengths, strict=True)]


def in_pieces(
    model: StreamingEncoder,
    frames: Tensor,
    lengths: Sequence[int],
    rule: Chunk,
    *,
    starts: Sequence[int] | None = None,
) -> list[Tensor]:
    """Hidden states of each row chunk by chunk; row i joins the batch after ``starts[i]`` steps.

    A row is fed for one step more than it lasts, by a piece of no frames.
    """
    size = rule.size * model.stride
    starts = [0] * len(lengths) if starts is None else starts
    states = [model.new_state(rule, longest=LONGEST) for _ in lengths]
    outputs: list[list[Tensor]] = [[] for _ in lengths]
    for step in range(max(start + length // size + 2 for start, length in zip(starts, lengths, strict=True))):
        first = [(step - start) * size for start in starts]
        rows = [row for row, at in enumerate(first) if 0 <= at <= lengths[row] + size]
        if not rows:
            continue
        counts = [max(0, min(size, lengths[row] - first[row])) for row in rows]
        piece = frames.new_full((len(rows), max(counts), FEATURES), float("nan"))
        for place, (row, count) in enumerate(zip(rows, counts, strict=True)):
            piece[place, :count] = frames[row, first[row] : first[row] + count]
        state = EncoderState.join([states[row] for row in rows])
        hidden, layout = model(piece, counts, rule=rule, state=state)
        assert layout.lengths == tuple(-(-count // model.stride) for count in counts)
        for place, (row, own) in enumerate(zip(rows, state.split(), strict=True)):
            states[row] = own
            outputs[row].append(hidden[place, : -(-counts[place] // model.stride)])
    return [torch.cat(parts) for parts in outputs]


def difference(one: Sequence[Tensor], other: Sequence[Tensor]) -> float:
    """Largest difference between two lists of tensors of the same shapes."""
    assert [x.shape for x in one] == [x.shape for x in other]
    return max(
        (float((x - y).abs().max()) for x, y in zip(one, other, strict=True) if x.numel()), default=0.0
    )
