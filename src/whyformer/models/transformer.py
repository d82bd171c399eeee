"""The Transformer of Vaswani et al. 2017: an encoder reads, a decoder writes.

B batch · S source length · T target length · R hypotheses · M model dimension · V vocabulary
"""

from typing import Literal

import torch
from pydantic import ConfigDict, Field, JsonValue, model_validator
from torch import Tensor
from typing_extensions import override

from whyformer.attention.heads import HeadsSpec
from whyformer.attention.mask import Causal
from whyformer.attention.multihead import AttentionSpec
from whyformer.models.encoder_decoder import EncoderDecoder, EncoderDecoderState
from whyformer.nn.cache import CrossCache, KVCache
from whyformer.nn.embedding import EmbeddingSpec, TokenEmbedding
from whyformer.nn.feed_forward import ReluSpec
from whyformer.nn.stack import BlockSpec, Stack, StackSpec
from whyformer.position.layout import Layout, Padding
from whyformer.spec import Spec

_CROSS_WEIGHTS = "cross_attention.taps.weights"


class TransformerSpec(Spec):
    """An encoder-decoder; a recipe may start from ``preset: tiny | small | base | big``."""

    model_config = ConfigDict(json_schema_extra=lambda schema: schema.update(presets=presets()))

    kind: Literal["transformer"] = "transformer"
    d_model: int = Field(default=512, ge=1)
    """Components of the vector that stands for a token."""
    embedding: EmbeddingSpec = EmbeddingSpec()
    """Token embeddings and what they share."""
    encoder: StackSpec = StackSpec()
    """Reads the source."""
    decoder: StackSpec = StackSpec(mask=Causal(), block=BlockSpec(cross_attention=AttentionSpec()))
    """Writes the target."""
    longest: int = Field(default=1024, ge=2)
    """Maximum number of tokens of a source or target sentence, special tokens included."""

    @model_validator(mode="after")
    def _fits_together(self) -> "TransformerSpec":
        if self.decoder.block.cross_attention is None:
            raise ValueError("decoder.block.cross_attention is missing: a decoder has to read the source")
        if self.encoder.block.cross_attention is not None:
            raise ValueError("encoder.block.cross_attention is set, but there is nothing to read; remove it")
        if not self.decoder.mask.causal:
            raise ValueError("decoder.mask lets a token see later ones, which leaks; use kind: causal")
        for name, stack in (("encoder", self.encoder), ("decoder", self.decoder)):
            try:
                stack.check(self.d_model, self.longest)
            except ValueError as error:
                raise ValueError(f"{name}.{error}") from None
        return self

    def build(self, source_vocabulary: int, target_vocabulary: int) -> "Transformer":
        """The model, freshly initialised from torch's global random state.

        Raises:
            ValueError: source and target embeddings are tied, but the vocabularies differ in size.
        """
        return Transformer(self, source_vocabulary, target_vocabulary)


def transformer(
    *, layers: int, d_model: int, heads: int, feed_forward: int, dropout: float
) -> TransformerSpec:
    """An encoder-decoder in the shape of the paper: post-norm, ReLU, sinusoids, all embeddings tied."""
    attention = AttentionSpec(heads=HeadsSpec(query=heads))
    hidden = ReluSpec(hidden=feed_forward)
    reading = BlockSpec(attention=attention, feed_forward=hidden, dropout=dropout)
    writing = BlockSpec(attention=attention, cross_attention=attention, feed_forward=hidden, dropout=dropout)
    return TransformerSpec(
        d_model=d_model,
        embedding=EmbeddingSpec(dropout=dropout),
        encoder=StackSpec(layers=layers, block=reading),
        decoder=StackSpec(layers=layers, mask=Causal(), block=writing),
    )


def base() -> TransformerSpec:
    """The base model of Vaswani et al. 2017, table 3."""
    return transformer(layers=6, d_model=512, heads=8, feed_forward=2048, dropout=0.1)


def big() -> TransformerSpec:
    """The big model of Vaswani et al. 2017, table 3."""
    return transformer(layers=6, d_model=1024, heads=16, feed_forward=4096, dropout=0.3)


def small() -> TransformerSpec:
    """The size that suits 29,000 sentences of Multi30k (Wu et al. 2021, "Transformer-Tiny")."""
    return transformer(layers=4, d_model=128, heads=4, feed_forward=256, dropout=0.3)


def tiny() -> TransformerSpec:
    """A model for small tasks, trained in minutes on a CPU."""
    return transformer(layers=2, d_model=128, heads=4, feed_forward=256, dropout=0.1)


def presets() -> dict[str, JsonValue]:
    """The sizes that recipes know by name, written out."""
    named = {"tiny": tiny(), "small": small(), "base": base(), "big": big()}
    return {name: spec.model_dump(mode="json") for name, spec in named.items()}


class TransformerState(EncoderDecoderState):
    """The caches of the decoder."""

    def __init__(self, cache: KVCache, cross: CrossCache, watch_attention: bool) -> None:
        super().__init__(watch_attention)
        self.cache = cache
        self.cross = cross
        self._memory = torch.arange(len(cross), device=cross.layout.position.device)
        """Index of the memory that each row reads, (R,)."""

    @override
    def select(self, rows: Tensor) -> None:
        self.cache.select(rows)
        memory = self._memory[rows]
        if torch.equal(memory, self._memory):
            return
        # Where all sentences have as many hypotheses, each side by side, they share one memory.
        shared, times = memory.unique_consecutive(return_counts=True)
        if bool((times != times[0]).any()):
            shared, times = memory, torch.ones_like(memory)
        if not torch.equal(shared, torch.arange(len(self.cross), device=rows.device)):
            self.cross.select(shared)
        self._memory = torch.arange(len(shared), device=rows.device).repeat_interleave(times)


class Transformer(EncoderDecoder[TransformerState]):
    """Encoder and decoder, two stacks over shared embeddings."""

    def __init__(self, spec: TransformerSpec, source_vocabulary: int, target_vocabulary: int) -> None:
        super().__init__(spec, source_vocabulary, target_vocabulary)
        self.spec = spec
        self.encoder = spec.encoder.build(spec.d_model)
        self.decoder = spec.decoder.build(spec.d_model)

    def encode(self, source: Tensor, valid: Padding) -> CrossCache:
        """The memory of ``source`` (B,S) int64 with ``valid`` (B,S), as the decoder's layers see it."""
        layout = Layout.of(valid)
        x = _embedded(source, layout, self.source_embedding, self.encoder)
        return self.decoder.read(self.encoder(x, layout), layout)

    @override
    def forward(self, source: Tensor, source_valid: Padding, target: Tensor, target_valid: Padding) -> Tensor:
        cross, queries = self.encode(source, source_valid), Layout.of(target_valid)
        x = _embedded(target, queries, self.target_embedding, self.decoder)
        return self.decoder(x, queries, cross=cross)

    @override
    def start(self, source: Tensor, valid: Padding, watch_attention: bool = False) -> TransformerState:
        cross = self.encode(source, valid)
        cross.make_contiguous()
        return TransformerState(self.decoder.new_cache(), cross, watch_attention)

    @override
    def step(self, tokens: Tensor, state: TransformerState) -> Tensor:
        # (R,) -> (R,1)
        queries = Layout.counting(len(tokens), 1, start=state.cache.seen, device=tokens.device)
        x = _embedded(tokens[:, None], queries, self.target_embedding, self.decoder)
        with state.watching(self.decoder.blocks[-1], _CROSS_WEIGHTS):
            hidden = self.decoder(x, queries, cache=state.cache, cross=state.cross)
        # (R,1,M) -> (R,M)
        return self.logits(hidden[:, -1]) if state.scores_tokens else hidden[:, -1]


def _embedded(tokens: Tensor, layout: Layout, table: TokenEmbedding, stack: Stack) -> Tensor:
    """Tokens (B,L) that stand at ``layout`` as vectors (B,L,M), ready for ``stack``."""
    return table.dropout(stack.embed(table(tokens), layout))
