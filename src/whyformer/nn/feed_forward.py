"""Feed-forward networks: what happens to each token by itself.

B batch · L length · M model dimension
"""

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from whyformer.attention.dropout import Dropout
from whyformer.spec import Spec


class ReluSpec(Spec):
    """Two linear layers with a ReLU between them."""

    kind: Literal["relu"] = "relu"
    hidden: int = Field(default=2048, ge=1)
    """Components of the hidden layer."""
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Probability that a hidden component is dropped in training."""

    def build(self, d_model: int) -> "FeedForward":
        """The network for ``d_model`` components."""
        return FeedForward(d_model, self.hidden, self.dropout)


FeedForwardSpec = ReluSpec


class FeedForward(nn.Module):
    """FFN(x) = max(0, x W_1 + b_1) W_2 + b_2 (Vaswani et al. 2017, equation 2)."""

    def __init__(self, d_model: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.enter = nn.Linear(d_model, hidden)
        self.leave = nn.Linear(hidden, d_model)
        self.dropout = Dropout(dropout)
        for layer in (self.enter, self.leave):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Transform every token of ``x`` (B,L,M) by itself."""
        return self.leave(self.dropout(self.enter(x).relu_()))
