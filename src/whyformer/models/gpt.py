"""GPT: the Transformer's decoder alone, which writes on from what it has read (Radford et al. 2018, 2019).

B batch · L length · S prompt length · R hypotheses · M model dimension · V vocabulary
"""

from typing import Literal

from pydantic import ConfigDict, Field, JsonValue, model_validator
from torch import Tensor
from typing_extensions import override

from whyformer.attention.heads import HeadsSpec
from whyformer.attention.mask import Causal, SameSegment
from whyformer.attention.multihead import AttentionSpec
from whyformer.nn.cache import KVCache
from whyformer.nn.embedding import EmbeddingSpec, OutputTable, TokenEmbedding
from whyformer.nn.feed_forward import GeluSpec
from whyformer.nn.initial import draw_matrices
from whyformer.nn.residual.placement import PreNormSpec
from whyformer.nn.stack import BlockSpec, StackSpec
from whyformer.position.absolute import LearnedSpec
from whyformer.position.layout import Facts, Layout, Padding
from whyformer.spec import Spec


def _stack(*, layers: int, d_model: int, heads: int, longest: int, dropout: float) -> StackSpec:
    """Pre-norm, GELU, learned positions, as in GPT-2."""
    block = BlockSpec(
        attention=AttentionSpec(heads=HeadsSpec(query=heads), dropout=dropout),
        feed_forward=GeluSpec(hidden=4 * d_model),
        placement=PreNormSpec(),
        dropout=dropout,
    )
    positions = (LearnedSpec(longest=longest),)
    return StackSpec(layers=layers, mask=Causal(), positions=positions, block=block)


class GPTSpec(Spec):
    """A decoder alone; a recipe may start from ``preset: tiny | gpt2_small``."""

    model_config = ConfigDict(json_schema_extra=lambda schema: schema.update(presets=presets()))

    kind: Literal["gpt"] = "gpt"
    d_model: int = Field(default=768, ge=1)
    """Components of the vector that stands for a token."""
    embedding: EmbeddingSpec = EmbeddingSpec(tie="output", scale=False, deviation=0.02)
    """Token embeddings; tie is output (one table reads and scores) or none."""
    stack: StackSpec = _stack(layers=12, d_model=768, heads=12, longest=1024, dropout=0.1)
    """Reads and writes. Documents packed into one row never see each other, whatever the mask."""
    deviation: float | None = Field(default=0.02, gt=0.0)
    """Standard deviation of all first matrices, those that end a residual branch divided by the root of the
    number of branches (Radford et al. 2019, section 2.3); null leaves them as each part has them."""
    longest: int = Field(default=1024, ge=2)
    """Maximum number of tokens read at once: the length of a training row, of prompt and text together."""

    @model_validator(mode="after")
    def _fits_together(self) -> "GPTSpec":
        if self.embedding.tie == "all":
            raise ValueError("embedding.tie is all, but there is no source to share with; use output or none")
        if self.stack.block.cross_attention is not None:
            raise ValueError(
                "stack.block.cross_attention is set, but there is no source to attend to; remove it"
            )
        if self.stack.block.convolution is not None:
            raise ValueError(
                "stack.block.convolution reads tokens before its own, which a text written token by token "
                "does not keep; remove it"
            )
        if not self.stack.mask.causal:
            raise ValueError("stack.mask lets a token see later ones, which leaks; use kind: causal")
        try:
            self.stack.check(self.d_model, self.longest)
        except ValueError as error:
            raise ValueError(f"stack.{error}") from None
        return self

    def build(self, vocabulary: int) -> "GPT":
        """The model, freshly initialised from torch's global random state."""
        return GPT(self, vocabulary)


def gpt2_small() -> GPTSpec:
    """The smallest model of Radford et al. 2019, table 2; the default of a recipe."""
    return GPTSpec()


def tiny() -> GPTSpec:
    """A model for a few books, trained in minutes on a CPU."""
    stack = _stack(layers=4, d_model=128, heads=4, longest=256, dropout=0.1)
    return GPTSpec(d_model=128, stack=stack, longest=256)


def presets() -> dict[str, JsonValue]:
    """The sizes that recipes know by name, written out."""
    named = {"tiny": tiny(), "gpt2_small": gpt2_small()}
    return {name: spec.model_dump(mode="json") for name, spec in named.items()}


class GPTState:
    """Memory of the decoder: the texts so far, a row per hypothesis."""

    def __init__(self, cache: KVCache, upcoming: Layout) -> None:
        self.cache = cache
        self.upcoming = upcoming
        """Where the next token of each row stands: (R,1)."""

    def select(self, rows: Tensor) -> None:
        """Keep, reorder or repeat hypotheses: ``rows`` (R',) int64."""
        self.cache.select(rows)
        self.upcoming = self.upcoming.select(rows)


class GPT(OutputTable):
    """One stack over one embedding."""

    def __init__(self, spec: GPTSpec, vocabulary: int) -> None:
        super().__init__()
        self.longest = spec.longest
        self.embedding = TokenEmbedding(vocabulary, spec.d_model, spec.embedding)
        self.make_output(vocabulary, spec.d_model, spec.embedding)
        apart = spec.stack.model_copy(update={"mask": spec.stack.mask & SameSegment()})
        self.stack = apart.build(spec.d_model)
        if spec.deviation is not None:
            branches = 2 * spec.stack.layers
            ends = ("attention.output", "feed_forward.leave")
            draw_matrices(self, spec.deviation, lambda name: branches**0.5 if name.endswith(ends) else 1.0)

    @property
    @override
    def target_embedding(self) -> TokenEmbedding:
        return self.embedding

    def embed(self, tokens: Tensor, layout: Layout) -> Tensor:
        """Tokens (B,L) that stand at ``layout`` as vectors (B,L,M)."""
        return self.embedding.dropout(self.stack.embed(self.embedding(tokens), layout))

    @override
    def forward(self, tokens: Tensor, layout: Layout) -> Tensor:
        """Hidden states (B,L,M); at position t they have read ``tokens`` (B,L) of their segment up to t."""
        return self.stack(self.embed(tokens, layout), layout)

    def start(self, source: Tensor, valid: Padding, watch_attention: bool = False) -> GPTState:
        """Read the prompts ``source`` (B,S), padded on the right, all but the last token of each.

        That is for the first ``step``. There is no cross-attention to watch; a search that needs it says so.
        """
        prompts = valid if isinstance(valid, Layout) else Layout.right_padded(valid)
        cache = self.stack.new_cache()
        if source.shape[1] > 1:
            before = prompts.without_last()
            self.stack(self.embed(source[:, :-1], before), before, cache=cache)
        lengths = prompts.lengths or (1, source.shape[1])
        first, last = min(lengths) - 1, max(lengths) - 1
        facts = Facts(first if first == last else None, (first, last))
        # (B,) -> (B,1)
        return GPTState(cache, Layout(prompts.real.sum(dim=1, keepdim=True) - 1, facts=facts))

    def step(self, tokens: Tensor, state: GPTState) -> Tensor:
        """Feed one more token to every hypothesis, ``tokens`` (R,); logits (R,V) of the next."""
        # (R,) -> (R,1)
        queries = state.upcoming
        hidden = self.stack(self.embed(tokens[:, None], queries), queries, cache=state.cache)
        state.upcoming = queries.shifted(1)
        # (R,1,M) -> (R,M)
        return self.logits(hidden[:, -1])
