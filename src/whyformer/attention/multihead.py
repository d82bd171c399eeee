"""Multi-head attention: project, attend, project back.

B batch · Q query length · K key length · H heads · D head dimension · M model dimension
"""

from typing import Annotated, ClassVar, Literal, NamedTuple

from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from whyformer.attention.heads import HeadsSpec, merge, share, split
from whyformer.attention.kernel import Taps, attend
from whyformer.attention.mask import Mask
from whyformer.attention.score import ScaledDotSpec, ScoreSpec
from whyformer.dropout import Dropout
from whyformer.position.positions import Positions
from whyformer.spec import Spec


class OwnKeysSpec(Spec):
    """Keys are projected by a matrix of their own."""

    origin: ClassVar[str] = "Vaswani et al. 2017, section 3.2.2"
    kind: Literal["own"] = "own"
    shares: ClassVar[bool] = False

    def build(self, d_model: int, heads: HeadsSpec) -> "OwnKeys":
        """The projection of the keys."""
        return OwnKeys(d_model, heads.pairs * heads.head_dim(d_model), bias=heads.bias)


class SharedKeysSpec(Spec):
    """Queries and keys are projected by one matrix, so that what two tokens think of each other is alike."""

    origin: ClassVar[str] = "Kitaev et al. 2020, section 2 (shared-QK)"
    kind: Literal["shared"] = "shared"
    shares: ClassVar[bool] = True

    def build(self, d_model: int, heads: HeadsSpec) -> "SharedKeys":
        """The projection of the keys."""
        return SharedKeys()


class SharedUnitKeysSpec(Spec):
    """Queries and keys are projected by one matrix, and each key is brought to length 1."""

    origin: ClassVar[str] = "Kitaev et al. 2020, section 2 (shared-QK)"
    kind: Literal["shared_unit"] = "shared_unit"
    shares: ClassVar[bool] = True

    def build(self, d_model: int, heads: HeadsSpec) -> "SharedUnitKeys":
        """The projection of the keys."""
        return SharedUnitKeys(heads.pairs)


KeysSpec = Annotated[OwnKeysSpec | SharedKeysSpec | SharedUnitKeysSpec, Field(discriminator="kind")]


class OwnKeys(nn.Linear):
    """x W_K + b_K, the projection of the queries left alone."""

    def project(self, x: Tensor, query: nn.Linear) -> Tensor:
        """Keys (B,K,H·D) of ``x`` (B,K,M); ``query`` is the projection of the queries."""
        return self(x)


class SharedKeys(nn.Module):
    """x W_Q + b_Q. It has no parameters: those are the query's."""

    def project(self, x: Tensor, query: nn.Linear) -> Tensor:
        """Keys (B,K,H·D) of ``x`` (B,K,M), by the projection ``query``."""
        return query(x)


class SharedUnitKeys(nn.Module):
    """The same, divided by its length in each head: a token can no longer win by being long."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.heads = heads

    def project(self, x: Tensor, query: nn.Linear) -> Tensor:
        """Keys (B,K,H·D) of ``x`` (B,K,M), by the projection ``query``."""
        # (B,K,H·D) -> (B,K,H,D) -> (B,K,H·D)
        return F.normalize(query(x).unflatten(-1, (self.heads, -1)), dim=-1).flatten(-2)


class AttentionSpec(Spec):
    """One attention: its heads, its keys, its score, its dropout."""

    heads: HeadsSpec = HeadsSpec()
    """How the model dimension is cut into heads."""
    keys: KeysSpec = OwnKeysSpec()
    """Where keys come from."""
    score: ScoreSpec = ScaledDotSpec()
    """How well a query fits a key."""
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Probability that an attention weight is dropped in training."""

    @model_validator(mode="after")
    def _shares_heads(self) -> "AttentionSpec":
        if self.keys.shares and self.heads.pairs != self.heads.query:
            raise ValueError(
                f"{self.heads.query} query heads and {self.heads.pairs} key heads cannot share a matrix; "
                "set heads.key_value: null or keys.kind: own"
            )
        return self

    def across(self) -> str | None:
        """Why this cannot attend from one sequence to another; None where it can."""
        if not self.keys.shares:
            return None
        return f"keys.kind {self.keys.kind} shares a matrix between two different sequences; use own"

    def build(self, d_model: int) -> "MultiHeadAttention":
        """The module for a model of ``d_model`` components."""
        return MultiHeadAttention(self, d_model)


class KeyValues(NamedTuple):
    """Keys and values of one attention, each (B,H,K,D)."""

    key: Tensor
    value: Tensor

    def select(self, rows: Tensor) -> "KeyValues":
        """Keep, reorder or repeat sentences."""
        return KeyValues(self.key.index_select(0, rows), self.value.index_select(0, rows))


class MultiHeadAttention(nn.Module):
    """Several attentions side by side, each in its own subspace (Vaswani et al. 2017, section 3.2.2).

    MultiHead(x, s) = concat(head_1 … head_H) W_O, head_i = attend(x W_Q_i, s W_K_i, s W_V_i).
    """

    def __init__(self, spec: AttentionSpec, d_model: int) -> None:
        super().__init__()
        heads, dim = spec.heads, spec.heads.head_dim(d_model)
        self.heads, self.pairs = heads.query, heads.pairs
        self.query = nn.Linear(d_model, heads.query * dim, bias=heads.bias)
        self.key = spec.keys.build(d_model, heads)
        self.value = nn.Linear(d_model, heads.pairs * dim, bias=heads.bias)
        self.output = nn.Linear(heads.query * dim, d_model, bias=heads.bias)
        self.score = spec.score.build(heads.site(d_model))
        self.dropout = Dropout(spec.dropout)
        self.taps = Taps()
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Glorot uniform; q, k and v as if they were one matrix (gain 1/√2), biases zero."""
        for layer in self.children():
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight, gain=1.0 if layer is self.output else 0.5**0.5)
        for name, parameter in self.named_parameters():
            if name.endswith(".bias"):
                nn.init.zeros_(parameter)

    def key_values(self, source: Tensor, positions: Positions, position: Tensor) -> KeyValues:
        """Keys and values of ``source`` (B,K,M), whose tokens stand at ``position`` (B,K)."""
        # (B,K,M) -> (B,H,K,D)
        key = split(self.key.project(source, self.query), self.pairs)
        value = split(self.value(source), self.pairs)
        return KeyValues(positions.rotate(key, position), value)

    def forward(self, x: Tensor, source: KeyValues, mask: Mask, positions: Positions) -> Tensor:
        """Let ``x`` (B,Q,M) attend to ``source``; returns (B,Q,M)."""
        # (B,Q,M) -> (B,H,Q,D)
        query = self.score.prepare(split(self.query(x), self.heads))
        times = self.heads // self.pairs
        key, value = share(source.key, times), share(source.value, times)
        context, weights = attend(
            positions.rotate(query, mask.queries.position),
            key,
            value,
            score=self.score,
            bias=positions.logits(query, key, mask.queries, mask.keys),
            mask=mask,
            dropout=self.dropout,
            need_weights=positions.reads_weights,
            taps=self.taps,
        )
        if weights is not None:
            term = positions.values(weights, mask.queries, mask.keys)
            context = context if term is None else context + term
        # (B,H,Q,D) -> (B,Q,M)
        return self.output(merge(context))
