"""Small models of every kind that our C++ runs, sentences for them, and whether it is compiled."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from whyformer.attention.gate import SigmoidGateSpec
from whyformer.attention.heads import HeadsSpec
from whyformer.attention.mask import Causal
from whyformer.attention.multihead import AttentionSpec
from whyformer.attention.query_key_norm import RMSQueryKeyNormSpec
from whyformer.attention.score import DotSpec
from whyformer.engines.native.library import missing
from whyformer.engines.webassembly.build import missing_engine
from whyformer.models.transformer import Transformer, TransformerSpec
from whyformer.nn.embedding import EmbeddingSpec
from whyformer.nn.feed_forward import GeluSpec, ReluSpec
from whyformer.nn.recurrent.ssru import RecurrenceSpec, SSRUSpec
from whyformer.nn.residual.placement import PeriNormSpec, PreNormSpec
from whyformer.nn.residual.values import FirstLayerValuesSpec, NoValueResidualSpec, ValueResidualSpec
from whyformer.nn.stack import BlockSpec, StackSpec
from whyformer.position.absolute import LearnedSpec, SinusoidalSpec
from whyformer.position.positions import PositionSpec
from whyformer.position.rotary import RotarySpec

VOCABULARY = 75
needs_engines = pytest.mark.skipif(
    missing() is not None or missing_engine() is not None, reason="needs both engines compiled"
)
HEADS = AttentionSpec(heads=HeadsSpec(query=4))
BLOCK = BlockSpec(attention=HEADS, feed_forward=ReluSpec(hidden=50))
SINUSOIDS = SinusoidalSpec()
TIED = EmbeddingSpec()


def made(
    block: BlockSpec = BLOCK,
    positions: PositionSpec = SINUSOIDS,
    embedding: EmbeddingSpec = TIED,
    *,
    layers: tuple[int, int] = (2, 3),
    recurrence: RecurrenceSpec | None = None,
    values: ValueResidualSpec = NoValueResidualSpec(),  # noqa: B008 (it is frozen)
    vocabulary: int = VOCABULARY,
) -> Transformer:
    """A model whose sizes fit nothing: neither words of 4 nor panels of 32."""
    writing = block.model_copy(update={"cross_attention": block.attention})
    if recurrence is not None:
        writing = writing.model_copy(update={"attention": None, "recurrence": recurrence})
    spec = TransformerSpec(
        d_model=44,
        embedding=embedding,
        encoder=StackSpec(layers=layers[0], block=block, positions=(positions,), value_residual=values),
        decoder=StackSpec(
            layers=layers[1], block=writing, positions=(positions,), mask=Causal(), value_residual=values
        ),
        longest=64,
    )
    torch.manual_seed(1)
    model = spec.build(vocabulary, vocabulary).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.15)
    return model


PRE_NORM = BlockSpec(attention=HEADS, feed_forward=GeluSpec(hidden=70), placement=PreNormSpec())
UNTIED = EmbeddingSpec(tie="none", output_bias=True, unpredicted=(1,), scale=False)
NORMED = AttentionSpec(heads=HeadsSpec(query=4), query_key_norm=RMSQueryKeyNormSpec(epsilon=0.01))
GATED = AttentionSpec(heads=HeadsSpec(query=4), gate=SigmoidGateSpec())
EVERYTHING = AttentionSpec(
    heads=HeadsSpec(query=3, dim=8),
    query_key_norm=RMSQueryKeyNormSpec(),
    gate=SigmoidGateSpec(),
    score=DotSpec(scale=0.3),
)
NARROW = AttentionSpec(heads=HeadsSpec(query=3, dim=7, bias=False), score=DotSpec(scale=0.3))

MODELS: dict[str, Callable[[], Transformer]] = {
    "post-norm, ReLU, sinusoids": made,
    "pre-norm, GELU, learned positions, three tables": lambda: made(
        PRE_NORM, LearnedSpec(longest=64), UNTIED
    ),
    "peri-norm": lambda: made(BlockSpec(attention=HEADS, placement=PeriNormSpec())),
    "peri-norm and a recurrence": lambda: made(
        BlockSpec(attention=HEADS, placement=PeriNormSpec()), recurrence=SSRUSpec(), layers=(2, 3)
    ),
    "narrow heads, no biases, an unscaled product": lambda: made(BlockSpec(attention=NARROW)),
    "pre-norm, rotary positions in a part of each head": lambda: made(
        BlockSpec(attention=AttentionSpec(heads=HeadsSpec(query=3, dim=8)), placement=PreNormSpec()),
        RotarySpec(fraction=0.75, stretch=1.5),
    ),
    "deep encoder, shallow decoder": lambda: made(layers=(4, 1)),
    "a recurrence, post-norm": lambda: made(recurrence=SSRUSpec(), layers=(3, 2)),
    "a recurrence, pre-norm, three tables": lambda: made(
        PRE_NORM, LearnedSpec(longest=64), UNTIED, recurrence=SSRUSpec(), layers=(3, 1)
    ),
    "normalised queries and keys": lambda: made(BlockSpec(attention=NORMED)),
    "gates": lambda: made(BlockSpec(attention=GATED)),
    "values of the first layer": lambda: made(values=FirstLayerValuesSpec(), layers=(3, 2)),
    "norms, gates and first values, pre-norm, rotary positions": lambda: made(
        BlockSpec(attention=EVERYTHING, placement=PreNormSpec()),
        RotarySpec(fraction=0.75),
        values=FirstLayerValuesSpec(),
        layers=(2, 4),
    ),
    "norms, gates and first values, peri-norm, rotary positions": lambda: made(
        BlockSpec(attention=EVERYTHING, placement=PeriNormSpec()),
        RotarySpec(),
        values=FirstLayerValuesSpec(),
        layers=(3, 2),
    ),
}


def sentences(count: int) -> list[Tensor]:
    torch.manual_seed(2)
    return [torch.randint(4, VOCABULARY, (1, 1 + index % 13)) for index in range(count)]
