"""The Transformer of Vaswani et al. 2017: an encoder reads, a decoder writes.

B batch · S source length · T target length · R hypotheses · M model dimension · V vocabulary
"""

from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from whyformer.attention.cache import CrossCache, KVCache
from whyformer.attention.heads import HeadsSpec
from whyformer.attention.mask import Axis, CausalSpec
from whyformer.attention.multihead import AttentionSpec
from whyformer.attention.tap import record
from whyformer.nn.block import BlockSpec
from whyformer.nn.embedding import EmbeddingSpec, TokenEmbedding, token_logits
from whyformer.nn.feed_forward import ReluSpec
from whyformer.nn.stack import StackSpec
from whyformer.spec import Spec


class TransformerSpec(Spec):
    """An encoder-decoder."""

    kind: Literal["transformer"] = "transformer"
    d_model: int = Field(512, ge=1)
    """Components of the vector that stands for a token."""
    embedding: EmbeddingSpec = EmbeddingSpec()
    """Token embeddings and what they share."""
    encoder: StackSpec = StackSpec()
    """Reads the source."""
    decoder: StackSpec = StackSpec(mask=CausalSpec(), block=BlockSpec(cross_attention=AttentionSpec()))
    """Writes the target."""
    longest: int = Field(1024, ge=2)
    """Most tokens of a source or target sentence, marks included."""

    @model_validator(mode="after")
    def _fits_together(self) -> "TransformerSpec":
        if self.decoder.block.cross_attention is None:
            raise ValueError("decoder.block.cross_attention is missing: a decoder has to read the source")
        if self.encoder.block.cross_attention is not None:
            raise ValueError("encoder.block.cross_attention is set, but an encoder has nothing to attend to; remove it")
        if not self.decoder.mask.causal:
            raise ValueError("decoder.mask lets a token see later ones, so training would leak; use kind: causal")
        for attention in (self.encoder.block.attention, self.decoder.block.attention, self.decoder.block.cross_attention):
            attention.heads.head_dim(self.d_model)
        return self

    def build(self, source_vocabulary: int, target_vocabulary: int) -> "Transformer":
        """The model, freshly initialised from torch's global random state.

        Raises:
            ValueError: source and target embeddings are tied, but the vocabularies differ in size.
        """
        return Transformer(self, source_vocabulary, target_vocabulary)


def transformer(*, layers: int, d_model: int, heads: int, feed_forward: int, dropout: float) -> TransformerSpec:
    """An encoder-decoder in the shape of the paper: post-norm, ReLU, sinusoids, all embeddings tied."""
    attention = AttentionSpec(heads=HeadsSpec(query=heads))
    block = BlockSpec(attention=attention, feed_forward=ReluSpec(hidden=feed_forward), dropout=dropout)
    return TransformerSpec(
        d_model=d_model,
        embedding=EmbeddingSpec(dropout=dropout),
        encoder=StackSpec(layers=layers, block=block),
        decoder=StackSpec(
            layers=layers, mask=CausalSpec(), block=block.model_copy(update={"cross_attention": attention})
        ),
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


class TransformerState:
    """What the decoder remembers of the prefixes so far, a row per hypothesis."""

    def __init__(self, cache: KVCache, cross: CrossCache, watch_attention: bool) -> None:
        self.cache = cache
        self.cross = cross
        self.watch_attention = watch_attention
        self.attention: Tensor | None = None
        self._sentence = torch.arange(cross.axis.position.shape[0], device=cross.axis.position.device)

    def select(self, rows: Tensor) -> None:
        """Keep, reorder or repeat hypotheses: ``rows`` (R',) int64.

        Hypotheses of one sentence share its memory, so that moves only where the sentences change.
        """
        self.cache.select(rows)
        sentence = self._sentence[rows]
        if not torch.equal(sentence, self._sentence):
            self.cross.select(rows)
            self._sentence = sentence


class Transformer(nn.Module):
    """Encoder and decoder over shared embeddings; each tensor is registered once, tied or not."""

    def __init__(self, spec: TransformerSpec, source_vocabulary: int, target_vocabulary: int) -> None:
        super().__init__()
        tie = spec.embedding.tie
        if tie == "all" and source_vocabulary != target_vocabulary:
            raise ValueError(
                f"source and target embeddings cannot be one table: the vocabularies have {source_vocabulary} and "
                f"{target_vocabulary} tokens; train a joint tokenizer or set model.embedding.tie: output"
            )
        self.spec = spec
        self.source_embedding = TokenEmbedding(source_vocabulary, spec.d_model, spec.embedding)
        self.own_target_embedding = (
            None if tie == "all" else TokenEmbedding(target_vocabulary, spec.d_model, spec.embedding)
        )
        self.own_output = TokenEmbedding(target_vocabulary, spec.d_model, spec.embedding) if tie == "none" else None
        self.encoder = spec.encoder.build(spec.d_model)
        self.decoder = spec.decoder.build(spec.d_model)

    @property
    def target_embedding(self) -> TokenEmbedding:
        """The table that target tokens are read from."""
        return self.source_embedding if self.own_target_embedding is None else self.own_target_embedding

    @property
    def output_weight(self) -> Tensor:
        """The table (V,M) that scores the next token."""
        return (self.target_embedding if self.own_output is None else self.own_output).weight

    def encode(self, source: Tensor, valid: Tensor) -> CrossCache:
        """Read sentences ``source`` (B,S) int64 with ``valid`` (B,S) bool: the memory, as the decoder's layers see it."""
        axis = Axis.of(valid)
        embedding = self.source_embedding
        x = embedding.dropout(self.encoder.positions.embed(embedding(source), axis.position))
        return self.decoder.read(self.encoder(x, axis), axis)

    def decode(self, tokens: Tensor, queries: Axis, cross: CrossCache, cache: KVCache | None = None) -> Tensor:
        """Hidden states (B,T,M) of target ``tokens`` (B,T) that stand at ``queries``."""
        embedding = self.target_embedding
        x = embedding.dropout(self.decoder.positions.embed(embedding(tokens), queries.position))
        return self.decoder(x, queries, cache=cache, cross=cross)

    def forward(self, source: Tensor, source_valid: Tensor, target: Tensor, target_valid: Tensor) -> Tensor:
        """Teacher forcing: hidden states (B,T,M), where row t has read ``target`` (B,T) up to t."""
        return self.decode(target, Axis.of(target_valid), self.encode(source, source_valid))

    def logits(self, hidden: Tensor) -> Tensor:
        """Scores (…,V) of the next token from hidden states (…,M)."""
        return token_logits(hidden, self.output_weight)

    def start(self, source: Tensor, valid: Tensor, watch_attention: bool = False) -> TransformerState:
        """Read the sources and stand before the first target token, a row per sentence.

        ``watch_attention`` keeps each step's cross-attention, mean over the last layer's heads, as
        ``state.attention`` (R,S).
        """
        return TransformerState(self.decoder.new_cache(), self.encode(source, valid), watch_attention)

    def step(self, tokens: Tensor, state: TransformerState) -> Tensor:
        """One more ``tokens`` (R,) for every hypothesis; logits (R,V) of what comes next."""
        position = torch.full_like(tokens, state.cache.length)[:, None]
        if state.watch_attention:
            with record(self.decoder.blocks[-1], "cross_attention.taps.weights") as tape:
                hidden = self.decode(tokens[:, None], Axis(position), state.cross, state.cache)
            # (R,H,1,S) -> (R,S)
            state.attention = tape["cross_attention.taps.weights"][0].mean(dim=1).squeeze(1)
        else:
            hidden = self.decode(tokens[:, None], Axis(position), state.cross, state.cache)
        return self.logits(hidden[:, -1])
