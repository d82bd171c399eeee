"""The table: a row for every alternative of every axis, with its slow formula. A new one adds its row here.

B batch · L length · H heads · D head dimension · M model dimension
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from conformance import slow
from conformance.slow import Pair, Token
from whyformer.attention.gate import GateSpec, NoGateSpec, SigmoidGateSpec
from whyformer.attention.heads import HeadsSpec
from whyformer.attention.keys import KeysSpec, OwnKeysSpec, SharedKeysSpec, SharedUnitKeysSpec
from whyformer.attention.mask import Causal, Chunk, Everything, MaskRule, SameSegment, Window
from whyformer.attention.query_key_norm import NoQueryKeyNormSpec, QueryKeyNormSpec, RMSQueryKeyNormSpec
from whyformer.attention.score import AdditiveSpec, DotSpec, ScaledDotSpec, ScoreSpec
from whyformer.nn.feed_forward import (
    FeedForwardSpec,
    GeluSpec,
    GeluTanhSpec,
    LinearSpec,
    NoFeedForwardSpec,
    ReluSpec,
    ReluSquaredSpec,
    SiluSpec,
    SwiGLUSpec,
)
from whyformer.nn.recurrent.ssru import SSRUSpec
from whyformer.nn.residual.norm import LayerNormSpec, MaskedBatchNormSpec, NoNormSpec, NormSpec, RMSNormSpec
from whyformer.nn.residual.placement import (
    DeepNormSpec,
    PeriNormSpec,
    PlacementSpec,
    PostNormSpec,
    PreNormSpec,
    ResidualSpec,
    ResidualSumSpec,
    WeightedResidualSpec,
)
from whyformer.nn.residual.values import FirstLayerValuesSpec, NoValueResidualSpec, ValueResidualSpec
from whyformer.position.absolute import LearnedSpec, SinusoidalSpec
from whyformer.position.alibi import AlibiSpec
from whyformer.position.layout import Layout
from whyformer.position.positions import PositionSpec
from whyformer.position.rotary import RotarySpec
from whyformer.position.shaw import ShawKeysSpec, ShawValuesSpec
from whyformer.position.t5 import T5Spec
from whyformer.position.transformer_xl import TransformerXLSpec

M, HIDDEN, LAYERS, BATCH, LENGTH, LONGEST = 12, 10, 2, 2, 6, 128
EPSILON = 1e-3


class ScoreRow(NamedTuple):
    spec: ScoreSpec
    scale: Callable[[int], float]
    """What the query is multiplied by, from D."""
    fit: Callable[[nn.Module, Tensor, Tensor], Tensor]


SCORES: Mapping[str, ScoreRow] = {
    "scaled_dot": ScoreRow(ScaledDotSpec(), lambda dim: dim**-0.5, slow.dot),
    "dot": ScoreRow(DotSpec(), lambda dim: 1.0, slow.dot),
    "additive": ScoreRow(AdditiveSpec(), lambda dim: 1.0, slow.additive),
}

HEADS: Mapping[str, HeadsSpec] = {
    "multi": HeadsSpec(query=3),
    "single": HeadsSpec(query=1),
    "grouped": HeadsSpec(query=4, key_value=2, dim=4),
    "multi_query": HeadsSpec(query=3, key_value=1, bias=False),
    "full_width": HeadsSpec(query=2, dim=M),
}


class KeysRow(NamedTuple):
    spec: KeysSpec
    project: Callable[[nn.Module, Tensor, int], Tensor]


KEYS: Mapping[str, KeysRow] = {
    "own": KeysRow(OwnKeysSpec(), slow.own_keys),
    "shared": KeysRow(SharedKeysSpec(), slow.shared_keys),
    "shared_unit": KeysRow(SharedUnitKeysSpec(), slow.shared_unit_keys),
}


class QueryKeyNormRow(NamedTuple):
    spec: QueryKeyNormSpec
    normalise: Callable[[nn.Module, Tensor, float], Tensor]


QUERY_KEY_NORMS: Mapping[str, QueryKeyNormRow] = {
    "as_projected": QueryKeyNormRow(NoQueryKeyNormSpec(), slow.no_head_norm),
    "rms_heads": QueryKeyNormRow(RMSQueryKeyNormSpec(epsilon=EPSILON), slow.rms_head_norm),
}


class GateRow(NamedTuple):
    spec: GateSpec
    passed: Callable[[nn.Module, Tensor, Tensor], Tensor]
    """(attention, context, input of the queries) -> what is let through."""


GATES: Mapping[str, GateRow] = {
    "open": GateRow(NoGateSpec(), slow.no_gate),
    "gated": GateRow(SigmoidGateSpec(), slow.sigmoid_gate),
}


@dataclass(frozen=True)
class Scheme:
    """A position scheme, and what it does in each of the places that it touches."""

    spec: PositionSpec
    embed: Callable[[nn.Module, int, int], Tensor] | None = None
    """(module, position, M) -> what is added to a token, (M,)."""
    rotate: Callable[[PositionSpec, Tensor, int], Tensor] | None = None
    """(spec, query or key (H,D), position) -> (H,D)."""
    logit: Callable[[Pair], Tensor] | None = None
    """What is added to a logit, (H,)."""
    value: Callable[[Pair], Tensor] | None = None
    """What is added to a value, (D,)."""


SINUSOIDAL = Scheme(SinusoidalSpec(), embed=lambda _, position, d_model: slow.sinusoid(position, d_model))
LEARNED = Scheme(LearnedSpec(longest=LONGEST), embed=slow.learned)
ROTARY = Scheme(RotarySpec(), rotate=slow.rotary)
SHAW_KEYS = Scheme(ShawKeysSpec(distance=2), logit=lambda pair: slow.shaw_keys(pair, 2))
SHAW_VALUES = Scheme(ShawValuesSpec(distance=3, owner="stack"), value=lambda pair: slow.shaw_values(pair, 3))

POSITIONS: Mapping[str, Sequence[Scheme]] = {
    "none": (),
    "sinusoidal": (SINUSOIDAL,),
    "learned": (LEARNED,),
    "rotary": (ROTARY,),
    "rotary_partial": (Scheme(RotarySpec(fraction=0.5, base=100, stretch=2), rotate=slow.rotary),),
    "alibi": (Scheme(AlibiSpec(), logit=slow.alibi),),
    "t5": (Scheme(T5Spec(buckets=8, farthest=5), logit=lambda pair: slow.t5(pair, 8, 5)),),
    "shaw_keys": (SHAW_KEYS,),
    "shaw_values": (SHAW_VALUES,),
    "transformer_xl": (Scheme(TransformerXLSpec(), logit=slow.transformer_xl),),
    "sinusoidal_and_shaw": (SINUSOIDAL, SHAW_KEYS, SHAW_VALUES),
    "learned_and_rotary": (LEARNED, ROTARY),
}


class MaskRow(NamedTuple):
    rule: MaskRule
    causal: bool
    sees: Callable[[Token, Token], bool]


MASKS: Mapping[str, MaskRow] = {
    "everything": MaskRow(Everything(), False, lambda q, k: True),
    "causal": MaskRow(Causal(), True, lambda q, k: k.position <= q.position),
    "window": MaskRow(Window(left=1, right=1), False, lambda q, k: abs(k.position - q.position) <= 1),
    "window_back": MaskRow(
        Window(left=2, right=0), True, lambda q, k: q.position - 2 <= k.position <= q.position
    ),
    "chunk": MaskRow(
        Chunk(size=2, left_chunks=1), False, lambda q, k: q.position // 2 - k.position // 2 in (0, 1)
    ),
    "packed": MaskRow(
        SameSegment() & Causal(), True, lambda q, k: q.segment == k.segment and k.position <= q.position
    ),
    "either": MaskRow(Causal() | Window(left=0, right=1), False, lambda q, k: k.position <= q.position + 1),
    "either_causal": MaskRow(
        Window(left=1, right=0) | (Causal() & Chunk(size=3, left_chunks=0)),
        True,
        lambda q, k: (
            0 <= q.position - k.position <= 1
            or (k.position <= q.position and k.position // 3 == q.position // 3)
        ),
    ),
}


class ValueResidualRow(NamedTuple):
    spec: ValueResidualSpec
    mix: Callable[[nn.Module, int, Tensor, Tensor], Tensor]
    """(stack, layer, its values, the first layer's values) -> the values that are attended to."""


VALUE_RESIDUALS: Mapping[str, ValueResidualRow] = {
    "own_values": ValueResidualRow(NoValueResidualSpec(), slow.own_values),
    "first_values": ValueResidualRow(FirstLayerValuesSpec(), slow.mixed_values),
}


class NormRow(NamedTuple):
    spec: NormSpec
    normalise: Callable[[nn.Module, Tensor, Tensor, float], Tensor]


NORMS: Mapping[str, NormRow] = {
    "layer": NormRow(LayerNormSpec(epsilon=EPSILON), slow.layer_norm),
    "rms": NormRow(RMSNormSpec(epsilon=EPSILON), slow.rms_norm),
    "batch": NormRow(MaskedBatchNormSpec(epsilon=EPSILON), slow.batch_norm),
    "none": NormRow(NoNormSpec(), slow.no_norm),
}

Map = Callable[[Tensor], Tensor]
Add = Callable[[Tensor, Tensor], Tensor]


class PlacementRow(NamedTuple):
    spec: PlacementSpec
    final_norm: bool
    join: Callable[[Tensor, Sequence[Map], Map, Add, int], Tensor]
    """(residual, norms, branch, sum, branches in the stack) -> the next residual."""


PLACEMENTS: Mapping[str, PlacementRow] = {
    "post": PlacementRow(PostNormSpec(), False, lambda x, norms, branch, add, _: norms[0](add(x, branch(x)))),
    "pre": PlacementRow(PreNormSpec(), True, lambda x, norms, branch, add, _: add(x, branch(norms[0](x)))),
    "peri": PlacementRow(
        PeriNormSpec(), True, lambda x, norms, branch, add, _: add(x, norms[1](branch(norms[0](x))))
    ),
    "deep": PlacementRow(
        DeepNormSpec(), False, lambda x, norms, branch, add, n: norms[0](add(x * n**0.25, branch(x)))
    ),
}


class ResidualRow(NamedTuple):
    spec: ResidualSpec
    add: Callable[[nn.Module, Tensor, Tensor], Tensor]
    embedded: bool = False
    """Whether a layer begins by adding what entered the stack."""


RESIDUALS: Mapping[str, ResidualRow] = {
    "sum": ResidualRow(ResidualSumSpec(), slow.plain_sum),
    "weighted": ResidualRow(WeightedResidualSpec(), slow.weighted_sum),
    "weighted_embedded": ResidualRow(WeightedResidualSpec(embedded=True), slow.weighted_sum, embedded=True),
}


class FeedForwardRow(NamedTuple):
    spec: FeedForwardSpec
    network: Callable[[nn.Module, Tensor], Tensor] | None


FEED_FORWARDS: Mapping[str, FeedForwardRow] = {
    "relu": FeedForwardRow(ReluSpec(hidden=HIDDEN), slow.relu),
    "relu_squared": FeedForwardRow(ReluSquaredSpec(hidden=HIDDEN), slow.relu_squared),
    "gelu": FeedForwardRow(GeluSpec(hidden=HIDDEN), slow.gelu),
    "gelu_tanh": FeedForwardRow(GeluTanhSpec(hidden=HIDDEN), slow.gelu_tanh),
    "silu": FeedForwardRow(SiluSpec(hidden=HIDDEN), slow.silu),
    "linear": FeedForwardRow(LinearSpec(hidden=HIDDEN), slow.linear),
    "swiglu": FeedForwardRow(SwiGLUSpec(hidden=HIDDEN), slow.swiglu),
    "none": FeedForwardRow(NoFeedForwardSpec(), None),
}

RECURRENCES: Mapping[str, SSRUSpec | None] = {"attention": None, "ssru": SSRUSpec()}
"""What mixes the tokens of one sequence."""

MEMORIES: Mapping[str, KeysSpec | None] = {"alone": None, "memory": OwnKeysSpec()}
"""Whether the stack reads a memory, and by which keys."""


def _sentences(*first_and_end: tuple[int, int]) -> Layout:
    """A sentence a row, real from the one column up to the other."""
    bounds, column = torch.tensor(first_and_end), torch.arange(LENGTH)
    return Layout.of((bounds[:, :1] <= column) & (column < bounds[:, 1:]))


def _packed() -> Layout:
    """Two sentences a row, each counting from 0; the last row ends in padding."""
    segment = torch.tensor([[0, 0, 1, 1, 1, 1], [0, 0, 1, 1, 2, 2]])
    position = torch.tensor([[0, 1, 0, 1, 2, 3], [0, 1, 0, 1, 0, 1]])
    return Layout(position, segment < 2, segment)


PADDINGS: Mapping[str, Callable[[], Layout]] = {
    "unpadded": lambda: Layout(torch.arange(LENGTH).expand(BATCH, -1)),
    "right": lambda: _sentences((0, 6), (0, 3)),
    "left": lambda: _sentences((0, 6), (3, 6)),
    "packed": _packed,
}

# What must always be refused, or with some rows of other axes: see refusals.py.
FAULTY_HEADS = {"undivided": HeadsSpec(query=5), "odd": HeadsSpec(query=2, dim=5)}
FAULTY_POSITIONS = {"learned_short": (Scheme(LearnedSpec(longest=LONGEST - 1)),)}
FAULTY_MEMORIES = {"memory_by_shared": SharedKeysSpec(), "memory_by_unit": SharedUnitKeysSpec()}
