"""BERT: an encoder that reads a text from both sides (Devlin et al. 2019).

B batch · L length · M model dimension · V vocabulary
"""

from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
from pydantic import ConfigDict, Field, JsonValue, model_validator
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from whyformer.attention.heads import HeadsSpec
from whyformer.attention.mask import SameSegment
from whyformer.attention.multihead import AttentionSpec
from whyformer.nn.embedding import EmbeddingSpec, TokenEmbedding, with_bias
from whyformer.nn.feed_forward import GeluSpec
from whyformer.nn.initial import draw_matrices
from whyformer.nn.residual.norm import LayerNormSpec
from whyformer.nn.stack import BlockSpec, StackSpec
from whyformer.position.absolute import LearnedSpec
from whyformer.position.layout import Layout
from whyformer.spec import Spec

Head = Literal["masked", "next_sentence"]
Transform = Literal["gelu", "gelu_tanh", "relu", "silu", "linear"]


def _stack(*, layers: int, d_model: int, heads: int, longest: int = 512, dropout: float = 0.1) -> StackSpec:
    """Post-norm, GELU, learned positions, everything in sight."""
    block = BlockSpec(
        attention=AttentionSpec(heads=HeadsSpec(query=heads), dropout=dropout),
        feed_forward=GeluSpec(hidden=4 * d_model),
        norm=LayerNormSpec(epsilon=1e-12),
        dropout=dropout,
    )
    return StackSpec(layers=layers, positions=(LearnedSpec(longest=longest),), block=block)


class BERTSpec(Spec):
    """An encoder alone; a recipe may start from ``preset: tiny | mini | small | base``."""

    model_config = ConfigDict(json_schema_extra=lambda schema: schema.update(presets=presets()))

    kind: Literal["bert"] = "bert"
    d_model: int = Field(default=768, ge=1)
    """Components of the vector that stands for a token."""
    token_types: int = Field(default=2, ge=0, json_schema_extra={"formerly": "kinds"})
    """Number of token types (the paper's segments): first and second sentence of a pair; 0 for none."""
    embedding: EmbeddingSpec = EmbeddingSpec(tie="output", scale=False, deviation=0.02)
    """Token embeddings; tie is output (one table reads and scores) or none."""
    stack: StackSpec = _stack(layers=12, d_model=768, heads=12)
    """Reads. Its block's norm also acts on the embeddings."""
    pooler: bool = True
    """Whether the first token's state passes one more layer, to stand for the whole text."""
    heads: tuple[Head, ...] = ("masked", "next_sentence")
    """Predictions of the model: masked tokens, whether a sentence follows another; none for vectors only."""
    transform: Transform = "gelu"
    """Activation of the layer before the output table, in the head for masked tokens."""
    deviation: float | None = Field(default=0.02, gt=0.0)
    """Standard deviation of all first matrices; null leaves them as each part has them."""
    longest: int = Field(default=512, ge=5)
    """Maximum number of tokens of a text or pair, special tokens included."""

    @model_validator(mode="after")
    def _fits_together(self) -> "BERTSpec":
        if self.embedding.tie == "all":
            raise ValueError("embedding.tie is all, but there is no target to share with; use output or none")
        if self.embedding.output_bias or self.embedding.unpredicted:
            raise ValueError(
                "embedding.output_bias and unpredicted are not for BERT, whose head for masked tokens has a "
                "bias; leave them out"
            )
        if self.stack.block.cross_attention is not None:
            raise ValueError("stack.block.cross_attention is set, but there is nothing to read; remove it")
        if self.stack.mask.causal:
            raise ValueError(
                "stack.mask hides what follows, but a masked token is to be told from both sides; "
                "use kind: everything"
            )
        if "next_sentence" in self.heads and self.token_types < 2:
            raise ValueError("heads has next_sentence, which reads pairs; set token_types: 2")
        if "next_sentence" in self.heads and not self.pooler:
            raise ValueError("heads has next_sentence, which reads the pooler; set pooler: true")
        try:
            self.stack.check(self.d_model, self.longest)
        except ValueError as error:
            raise ValueError(f"stack.{error}") from None
        return self

    def build(self, vocabulary: int) -> "BERT":
        """The model, freshly initialised from torch's global random state."""
        return BERT(self, vocabulary)


def _sized(layers: int, d_model: int) -> BERTSpec:
    """A published size: heads have 64 components."""
    return BERTSpec(d_model=d_model, stack=_stack(layers=layers, d_model=d_model, heads=d_model // 64))


def presets() -> dict[str, JsonValue]:
    """The sizes that recipes know by name, written out (Devlin et al. 2019; small: Turc et al. 2019)."""
    sizes = {"tiny": (2, 128), "mini": (4, 256), "small": (4, 512), "base": (12, 768)}
    return {name: _sized(*size).model_dump(mode="json") for name, size in sizes.items()}


class BERT(nn.Module):
    """One stack over the sum of three embeddings, and the heads that it is trained by."""

    def __init__(self, spec: BERTSpec, vocabulary: int) -> None:
        super().__init__()
        d_model = spec.d_model
        self.longest = spec.longest
        self.embedding = TokenEmbedding(vocabulary, d_model, spec.embedding)
        self.token_type = nn.Embedding(spec.token_types, d_model) if spec.token_types else None
        self.embedding_norm = spec.stack.block.norm.build(d_model)
        # Texts that are packed into one row never see each other.
        self.stack = spec.stack.model_copy(update={"mask": spec.stack.mask & SameSegment()}).build(d_model)
        self.pooler = nn.Linear(d_model, d_model) if spec.pooler else None
        self.masked = MaskedHead(spec, vocabulary) if "masked" in spec.heads else None
        self.next_sentence = nn.Linear(d_model, 2) if "next_sentence" in spec.heads else None
        if spec.deviation is not None:
            draw_matrices(self, spec.deviation)

    def embed(self, tokens: Tensor, layout: Layout, token_types: Tensor | None = None) -> Tensor:
        """Tokens (B,L) of ``token_types`` (B,L), all of the first if left out, as vectors (B,L,M)."""
        x = self.stack.embed(self.embedding(tokens), layout)
        if self.token_type is not None:
            types = torch.zeros_like(tokens) if token_types is None else token_types
            x = x + self.token_type(types).to(x.dtype)
        return self.embedding.dropout(self.embedding_norm(x, layout.valid))

    @override
    def forward(self, tokens: Tensor, layout: Layout, token_types: Tensor | None = None) -> Tensor:
        """Hidden states (B,L,M) of ``tokens`` (B,L); rows of padding are finite and mean nothing."""
        return self.stack(self.embed(tokens, layout, token_types), layout)

    def pool(self, hidden: Tensor) -> Tensor:
        """One vector (B,M) for each text, from its first token's state in ``hidden`` (B,L,M)."""
        assert self.pooler is not None, "this model has no pooler"
        return self.pooler(hidden[:, 0]).tanh()

    def scored(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Masked tokens' states (N,M), transformed, and the output table, each with a column for the bias.

        Their product are the logits (N,V): (N,M+1) and (V,M+1).
        """
        assert self.masked is not None, "this model has no head for masked tokens"
        own = self.masked.own_output
        table = self.embedding.weight if own is None else own.weight
        return with_bias(self.masked(hidden), table, self.masked.bias)


_ACTIVATIONS: dict[Transform, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_tanh": partial(F.gelu, approximate="tanh"),
    "relu": F.relu,
    "silu": F.silu,
    "linear": nn.Identity(),
}


class MaskedHead(nn.Module):
    """Transform of a masked token's state before the output table: a layer, its activation, a norm."""

    def __init__(self, spec: BERTSpec, vocabulary: int) -> None:
        super().__init__()
        self.transform = nn.Linear(spec.d_model, spec.d_model)
        self.activation = _ACTIVATIONS[spec.transform]
        self.norm = spec.stack.block.norm.build(spec.d_model)
        self.bias = nn.Parameter(torch.zeros(vocabulary))
        self.own_output: TokenEmbedding | None = None
        if spec.embedding.tie == "none":
            self.own_output = TokenEmbedding(vocabulary, spec.d_model, spec.embedding)

    @override
    def forward(self, hidden: Tensor) -> Tensor:
        """(N,M) -> (N,M)."""
        # (N,M) -> (1,N,M): to a norm over a batch, one text
        return self.norm(self.activation(self.transform(hidden))[None], None)[0]
