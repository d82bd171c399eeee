"""Embeddings: from tokens to vectors, and from vectors back to a score for every token.

B batch · L length · N tokens · M model dimension · V vocabulary
"""

import math
from abc import ABC, abstractmethod
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from whyformer.dropout import Dropout
from whyformer.spec import Spec
from whyformer.special_tokens import EOS, PAD, UNK

NEVER = -1e4
"""A bias that leaves no probability: e to its power is 0, and in every precision it is a number."""


class EmbeddingSpec(Spec):
    """Token embeddings and what they share."""

    tie: Literal["all", "output", "none"] = "all"
    """Which matrices are one: source, target and output; target and output; or none."""
    scale: bool = True
    """Whether embeddings are multiplied by √d_model (Vaswani et al. 2017, section 3.4)."""
    deviation: float | None = Field(default=None, gt=0.0)
    """Standard deviation of the first vectors; 1/√d_model if left out. BERT and GPT-2 take 0.02."""
    dropout: float = Field(default=0.1, ge=0.0, lt=1.0)
    """Probability that a component of embedding plus position is dropped in training."""
    output_bias: bool = False
    """Whether each token has a learned bias when it is scored, as in Marian (Junczys-Dowmunt et al. 2018)."""
    unpredicted: tuple[Annotated[int, Field(ge=UNK, le=EOS)], ...] = ()
    """Marks that are never predicted, besides padding, as an imported model has none: 1 unknown, 2 start, 3
    end."""


class TokenEmbedding(nn.Module):
    """A table of vectors drawn from N(0, 1/M) if nothing else is asked for, multiplied by √M when read.

    The output layer may use the same table (Press & Wolf 2017), which wants a small variance there;
    the factor √M brings the vectors to unit variance here, on a scale with the positions.
    The row of the padding token is zero and stays zero.
    """

    def __init__(self, vocabulary: int, d_model: int, spec: EmbeddingSpec) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(vocabulary, d_model))
        self.scale = math.sqrt(d_model) if spec.scale else 1.0
        self.dropout = Dropout(spec.dropout)
        nn.init.normal_(self.weight, std=d_model**-0.5 if spec.deviation is None else spec.deviation)
        with torch.no_grad():
            self.weight[PAD].zero_()

    def forward(self, tokens: Tensor) -> Tensor:
        """(B,L) -> (B,L,M); under autocast in its type, which then is that of the whole residual path.

        Otherwise every product would cast the path anew; docs/log.md has what that cost.
        """
        x = F.embedding(tokens, self.weight, padding_idx=PAD) * self.scale
        device = x.device.type
        return x.to(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else x


def token_logits(hidden: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """(…,M) times the output table (V,M), plus ``bias`` (V,): logits (…,V), minus infinity for padding."""
    return without_padding(F.linear(hidden, weight, bias))


def without_padding(logits: Tensor) -> Tensor:
    """The same ``logits`` (…,V), minus infinity for padding."""
    logits[..., PAD] = -torch.inf
    return logits


def with_bias(hidden: Tensor, table: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """States (N,M) and a table (V,M), each with one more column, so that their product adds ``bias`` (V,)."""
    ones = hidden.new_ones(*hidden.shape[:-1], 1)
    return torch.cat([hidden, ones], dim=-1), torch.cat([table, bias[:, None]], dim=-1)


class OutputTable(nn.Module, ABC):
    """The part of a model that scores tokens: by the table it reads its own output from, or by another."""

    def __init__(self) -> None:
        super().__init__()
        self.own_output: TokenEmbedding | None = None
        self.output_bias: nn.Parameter | None = None
        self.low_precision_output: nn.Module | None = None
        """The product with the table in a lower precision, (…,M) -> (…,V); see ``nn.packed``."""
        self._never: Tensor | None
        self.register_buffer("_never", None, persistent=False)

    def make_output(self, vocabulary: int, d_model: int, spec: EmbeddingSpec) -> None:
        """Make the parameters that scoring needs beside the table of the tokens that are written."""
        if spec.tie == "none":
            self.own_output = TokenEmbedding(vocabulary, d_model, spec)
        if spec.output_bias:
            self.output_bias = nn.Parameter(torch.zeros(vocabulary))
        if spec.unpredicted:
            never = torch.zeros(vocabulary).index_fill(0, torch.tensor(spec.unpredicted), NEVER)
            self._never = never

    @property
    @abstractmethod
    def target_embedding(self) -> TokenEmbedding:
        """The table that the tokens which are written are read from."""

    @property
    def output_weight(self) -> Tensor:
        """The table (V,M) that scores the next token."""
        return (self.target_embedding if self.own_output is None else self.own_output).weight

    def logits(self, hidden: Tensor) -> Tensor:
        """Scores (…,V) of the next token from hidden states (…,M)."""
        if self.low_precision_output is not None:
            return without_padding(self.low_precision_output(hidden))
        return token_logits(hidden, self.output_weight, self.scoring_bias)

    def scored(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """States (N,M) and the output table (V,M) whose product is the logits: a bias is one more column."""
        bias = self.scoring_bias
        table = self.output_weight
        return (hidden, table) if bias is None else with_bias(hidden, table, bias)

    @property
    def scoring_bias(self) -> Tensor | None:
        """Bias (V,) added to the scores of the tokens; None for none."""
        if self.output_bias is None or self._never is None:
            return self._never if self.output_bias is None else self.output_bias
        return self.output_bias + self._never
