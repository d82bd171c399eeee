"""Embeddings: from tokens to vectors, and from vectors back to a score for every token.

B batch · L length · M model dimension · V vocabulary
"""

import math
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from whyformer.dropout import Dropout
from whyformer.marks import PAD
from whyformer.spec import Spec


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


def token_logits(hidden: Tensor, weight: Tensor) -> Tensor:
    """(…,M) times the output table (V,M) -> logits (…,V); padding is never predicted: minus infinity."""
    logits = F.linear(hidden, weight)
    logits[..., PAD] = -torch.inf
    return logits
