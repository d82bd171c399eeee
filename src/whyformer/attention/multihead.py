"""Multi-head attention: project, attend, project back.

B batch · Q query length · K key length · H heads · D head dimension · M model dimension
"""

from pydantic import Field
from torch import Tensor, nn

from whyformer.attention.cache import KeyValues
from whyformer.attention.dropout import Dropout
from whyformer.attention.heads import HeadsSpec, merge, share, split
from whyformer.attention.kernel import Taps, attend
from whyformer.attention.mask import Mask
from whyformer.attention.position import Positions
from whyformer.attention.score import ScaledDotSpec, ScoreSpec
from whyformer.spec import Spec


class AttentionSpec(Spec):
    """One attention: its heads, its score, its dropout."""

    heads: HeadsSpec = HeadsSpec()
    """How the model dimension is cut into heads."""
    score: ScoreSpec = ScaledDotSpec()
    """How well a query fits a key."""
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Probability that an attention weight is dropped in training."""

    def build(self, d_model: int) -> "MultiHeadAttention":
        """The module for a model of ``d_model`` components."""
        return MultiHeadAttention(self, d_model)


class MultiHeadAttention(nn.Module):
    """Several attentions side by side, each in its own subspace (Vaswani et al. 2017, section 3.2.2).

    MultiHead(x, s) = concat(head_1 … head_H) W_O, head_i = attend(x W_Q_i, s W_K_i, s W_V_i).
    """

    def __init__(self, spec: AttentionSpec, d_model: int) -> None:
        super().__init__()
        heads, dim = spec.heads, spec.heads.head_dim(d_model)
        self.heads, self.pairs = heads.query, heads.pairs
        self.query = nn.Linear(d_model, heads.query * dim, bias=heads.bias)
        self.key = nn.Linear(d_model, heads.pairs * dim, bias=heads.bias)
        self.value = nn.Linear(d_model, heads.pairs * dim, bias=heads.bias)
        self.output = nn.Linear(heads.query * dim, d_model, bias=heads.bias)
        self.score = spec.score.build(dim)
        self.dropout = Dropout(spec.dropout)
        self.taps = Taps()
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Glorot uniform; q, k and v as if they were one matrix (gain 1/√2), biases zero."""
        for layer in (self.query, self.key, self.value):
            nn.init.xavier_uniform_(layer.weight, gain=0.5**0.5)
        nn.init.xavier_uniform_(self.output.weight)
        for name, parameter in self.named_parameters():
            if name.endswith(".bias"):
                nn.init.zeros_(parameter)

    def key_values(self, source: Tensor, positions: Positions, position: Tensor) -> KeyValues:
        """Keys and values of ``source`` (B,K,M), whose tokens stand at ``position`` (B,K)."""
        # (B,K,M) -> (B,H,K,D)
        key, value = split(self.key(source), self.pairs), split(self.value(source), self.pairs)
        return KeyValues(positions.rotate(key, position), value)

    def forward(self, x: Tensor, source: KeyValues, mask: Mask, positions: Positions) -> Tensor:
        """Let ``x`` (B,Q,M) attend to ``source``; returns (B,Q,M)."""
        # (B,Q,M) -> (B,H,Q,D)
        query = self.score.prepare(split(self.query(x), self.heads))
        times = self.heads // self.pairs
        context, weights = attend(
            positions.rotate(query, mask.queries.position),
            share(source.key, times),
            share(source.value, times),
            score=self.score,
            bias=positions.logits(query, mask.queries, mask.keys),
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
