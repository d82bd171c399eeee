"""Multi-head attention: project, attend, project back. Here is the one softmax.

B batch · Q query length · K key length · H heads · D head dimension · M model dimension
"""

from typing import NamedTuple

from pydantic import Field, model_validator
from torch import Tensor, nn

from whyformer.attention.blocked import blocked
from whyformer.attention.gate import GateSpec, NoGateSpec
from whyformer.attention.heads import HeadsSpec, merge, repeat_key_value_heads, split
from whyformer.attention.kernel import choose, fused
from whyformer.attention.keys import KeysSpec, OwnKeysSpec
from whyformer.attention.mask import Mask
from whyformer.attention.query_key_norm import NoQueryKeyNormSpec, QueryKeyNormSpec
from whyformer.attention.score import ScaledDotSpec, Score, ScoreSpec
from whyformer.dropout import Dropout
from whyformer.kernels.softmax import softmax_over_keys
from whyformer.position.positions import Positions
from whyformer.spec import Spec
from whyformer.tap import Tap


class AttentionSpec(Spec):
    """One attention: its heads, its keys, its score, its dropout."""

    heads: HeadsSpec = HeadsSpec()
    """How the model dimension is cut into heads."""
    keys: KeysSpec = OwnKeysSpec()
    """Where keys come from."""
    score: ScoreSpec = ScaledDotSpec()
    """How well a query fits a key."""
    query_key_norm: QueryKeyNormSpec = NoQueryKeyNormSpec()
    """How queries and keys are normalised before positions turn them."""
    gate: GateSpec = NoGateSpec()
    """How much of what a query has gathered it lets through."""
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Probability that an attention weight is dropped in training."""

    @model_validator(mode="after")
    def _shares_heads(self) -> "AttentionSpec":
        if self.keys.shares and self.heads.key_value_heads != self.heads.query:
            raise ValueError(
                f"{self.heads.query} query heads and {self.heads.key_value_heads} key heads cannot share a "
                "matrix; set heads.key_value: null or keys.kind: own"
            )
        if self.keys.kind == "shared_unit" and self.query_key_norm.kind != "none":
            raise ValueError(
                "keys.kind shared_unit brings keys to length 1, and query_key_norm to another length after "
                "it; set keys.kind: shared or query_key_norm.kind: none"
            )
        return self

    @property
    def additions(self) -> tuple[str, ...]:
        """Fields by which it does more than that of Vaswani et al. 2017; who cannot, refuses them."""
        return tuple(field for field in ("query_key_norm", "gate") if getattr(self, field).kind != "none")

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


class Taps(nn.Module):
    """Where to listen inside one attention: scores and weights (B,H,Q,K), context (B,H,Q,D)."""

    def __init__(self) -> None:
        super().__init__()
        self.scores = Tap()
        self.weights = Tap()
        self.context = Tap()


class MultiHeadAttention(nn.Module):
    """Several attentions side by side, each in its own subspace (Vaswani et al. 2017, section 3.2.2).

    MultiHead(x, s) = concat(head_1 … head_H) W_O, head_i = attend(x W_Q_i, s W_K_i, s W_V_i).

    Queries and keys may be normalised, and a gate may stand before W_O.
    """

    def __init__(self, spec: AttentionSpec, d_model: int) -> None:
        super().__init__()
        heads, dim = spec.heads, spec.heads.head_dim(d_model)
        self.heads, self.key_value_heads = heads.query, heads.key_value_heads
        self.query = nn.Linear(d_model, heads.query * dim, bias=heads.bias)
        self.key = spec.keys.build(d_model, heads)
        self.value = nn.Linear(d_model, heads.key_value_heads * dim, bias=heads.bias)
        self.output = nn.Linear(heads.query * dim, d_model, bias=heads.bias)
        self.score = spec.score.build(heads.attention_shape(d_model))
        self.query_norm, self.key_norm = spec.query_key_norm.build(dim), spec.query_key_norm.build(dim)
        self.dropout = Dropout(spec.dropout)
        self.taps = Taps()
        self.reset_parameters()
        # Behind all others, which are drawn as they were without it.
        self.gate = spec.gate.build(d_model, heads.query * dim)

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
        key = self.key_norm(split(self.key.project(source, self.query), self.key_value_heads))
        value = split(self.value(source), self.key_value_heads)
        return KeyValues(positions.rotate(key, position), value)

    def forward(
        self, x: Tensor, source: KeyValues, mask: Mask, positions: Positions, position: Tensor | None = None
    ) -> Tensor:
        """Let ``x`` (B,Q,M) attend to ``source``; returns (B,Q,M).

        Queries are turned by ``position`` (B,Q) where the mask counts from elsewhere than the keys did.
        """
        position = mask.queries.position if position is None else position
        # (B,Q,M) -> (B,H,Q,D)
        query = self.score.prepare(self.query_norm(split(self.query(x), self.heads)))
        times = self.heads // self.key_value_heads
        key, value = repeat_key_value_heads(source.key, times), repeat_key_value_heads(source.value, times)
        context, weights = attend(
            positions.rotate(query, position),
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
        # (B,H,Q,D) -> (B,Q,H·D) -> (B,Q,M)
        merged = merge(context)
        return self.output(merged if self.gate is None else self.gate(merged, x))


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    score: Score,
    bias: Tensor | None,
    mask: Mask,
    dropout: Dropout,
    need_weights: bool,
    taps: Taps,
) -> tuple[Tensor, Tensor | None]:
    """Softmax attention (Vaswani et al. 2017, equation 1): each query takes a weighted mean of the values.

    Args:
        query: (B,H,Q,D), already prepared (scaled) by the score.
        key: (B,H,K,D).
        value: (B,H,K,D).
        score: turns queries and keys into logits.
        bias: what position schemes add to the logits, (B,H,Q,K) or broadcastable, or None.
        mask: who may attend to whom. A query that may see no key gets zeros and gives zero gradients.
        dropout: acts on the weights.
        need_weights: whether the caller reads the weights; the fused kernel never forms them.
        taps: where to listen.

    Returns:
        Context (B,H,Q,D), and the weights (B,H,Q,K) after dropout, or None where none were formed.
    """
    watched = need_weights or taps.scores.listening or taps.weights.listening
    match "plain" if watched else choose(query, key, score=score, bias=bias, mask=mask, dropout=dropout):
        case "fused":
            context, weights = fused(query, key, value, bias=bias, mask=mask, dropout=dropout), None
        case "blocked":

            def body(query: Tensor, key: Tensor, value: Tensor, mask: Mask) -> Tensor:
                return dropout(weigh(score(query, key), mask)) @ value

            context, weights = blocked(body, query, key, value, mask), None
        case "plain":
            logits = taps.scores(score(query, key))
            weights = dropout(taps.weights(weigh(logits if bias is None else logits + bias, mask)))
            context = weights @ value
    return taps.context(context), weights


def weigh(logits: Tensor, mask: Mask) -> Tensor:
    """The softmax of ``logits`` (B,H,Q,K) over the keys that the mask allows: weights (B,H,Q,K)."""
    weights = softmax_over_keys(logits, mask.penalty(logits.dtype))
    return weights if mask.reachable is None else weights * mask.reachable
