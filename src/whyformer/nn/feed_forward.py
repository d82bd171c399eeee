"""Feed-forward networks: what happens to each token by itself.

B batch · L length · M model dimension · H hidden components
"""

from collections.abc import Callable
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from whyformer.dropout import Dropout
from whyformer.kernels.rectifier import can_rectify, rectified
from whyformer.spec import Spec


class _HiddenSpec(Spec):
    """Base of all networks with a hidden layer."""

    hidden: int = Field(default=2048, ge=1)
    """Components of the hidden layer."""
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Probability that a hidden component is dropped in training."""


class ReluSpec(_HiddenSpec):
    """Two linear layers with a ReLU between them."""

    origin: ClassVar[str] = "Vaswani et al. 2017, equation 2"
    kind: Literal["relu"] = "relu"

    def build(self, d_model: int) -> "FeedForward":
        """The network for ``d_model`` components."""
        return FeedForward(d_model, self.hidden, self.dropout, F.relu)


class ReluSquaredSpec(_HiddenSpec):
    """Two linear layers with the square of a ReLU between them, which rises from zero without a bend."""

    origin: ClassVar[str] = "So et al. 2021 (Primer), section 3"
    kind: Literal["relu_squared"] = "relu_squared"

    def build(self, d_model: int) -> "FeedForward":
        """The network for ``d_model`` components."""
        return FeedForward(d_model, self.hidden, self.dropout, relu_squared)


class GeluSpec(_HiddenSpec):
    """Two linear layers with a GELU between them, which bends where ReLU breaks."""

    origin: ClassVar[str] = "Hendrycks and Gimpel 2016, equation 1"
    kind: Literal["gelu"] = "gelu"

    def build(self, d_model: int) -> "FeedForward":
        """The network for ``d_model`` components."""
        return FeedForward(d_model, self.hidden, self.dropout, F.gelu)


class GeluTanhSpec(_HiddenSpec):
    """The same with GELU's approximation by a hyperbolic tangent, which GPT-2 was trained with."""

    origin: ClassVar[str] = "Hendrycks and Gimpel 2016, section 2"
    kind: Literal["gelu_tanh"] = "gelu_tanh"

    def build(self, d_model: int) -> "FeedForward":
        """The network for ``d_model`` components."""
        return FeedForward(d_model, self.hidden, self.dropout, nn.GELU(approximate="tanh"))


class SiluSpec(_HiddenSpec):
    """Two linear layers with x · sigmoid(x) between them, also called swish."""

    origin: ClassVar[str] = "Hendrycks and Gimpel 2016, section 2"
    kind: Literal["silu"] = "silu"

    def build(self, d_model: int) -> "FeedForward":
        """The network for ``d_model`` components."""
        return FeedForward(d_model, self.hidden, self.dropout, F.silu)


class LinearSpec(_HiddenSpec):
    """Two linear layers with nothing between them: the parameters of a ReLU network, without its bend."""

    origin: ClassVar[str] = "a control"
    kind: Literal["linear"] = "linear"

    def build(self, d_model: int) -> "FeedForward":
        """The network for ``d_model`` components."""
        return FeedForward(d_model, self.hidden, self.dropout, nn.Identity())


class SwiGLUSpec(_HiddenSpec):
    """Two linear layers, the hidden one gated by a third; two thirds of the width cost what a ReLU's does."""

    origin: ClassVar[str] = "Shazeer 2020, equation 6"
    kind: Literal["swiglu"] = "swiglu"

    def build(self, d_model: int) -> "SwiGLU":
        """The network for ``d_model`` components."""
        return SwiGLU(d_model, self.hidden, self.dropout)


class NoFeedForwardSpec(Spec):
    """Leave the branch out: layers of attention alone."""

    origin: ClassVar[str] = "a control"
    kind: Literal["none"] = "none"

    def build(self, d_model: int) -> None:
        """Nothing: a block without a network has no branch for one."""


FeedForwardSpec = Annotated[
    ReluSpec
    | ReluSquaredSpec
    | GeluSpec
    | GeluTanhSpec
    | SiluSpec
    | SwiGLUSpec
    | LinearSpec
    | NoFeedForwardSpec,
    Field(discriminator="kind"),
]


def relu_squared(x: Tensor) -> Tensor:
    """max(x, 0)² of each component of ``x`` (any shape)."""
    return F.relu(x).square()


class FeedForward(nn.Module):
    """FFN(x) = f(x W_1 + b_1) W_2 + b_2."""

    def __init__(
        self, d_model: int, hidden: int, dropout: float, activation: Callable[[Tensor], Tensor]
    ) -> None:
        super().__init__()
        self.enter = nn.Linear(d_model, hidden)
        self.leave = nn.Linear(hidden, d_model)
        self.dropout = Dropout(dropout)
        self.activation = activation
        _initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Transform every token of ``x`` (B,L,M) by itself."""
        return self.leave(self._activated(self.enter(x)))

    def _activated(self, hidden: Tensor) -> Tensor:
        """The hidden layer (B,L,H), by what is fastest; the same components are dropped either way."""
        if self.activation is F.relu and can_rectify(hidden):
            return rectified(hidden, self.dropout.drawn(hidden))
        return self.dropout(self.activation(hidden))


class SwiGLU(nn.Module):
    """FFN(x) = (silu(x W) · x V) W_2, without biases."""

    def __init__(self, d_model: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.gate = nn.Linear(d_model, hidden, bias=False)
        self.enter = nn.Linear(d_model, hidden, bias=False)
        self.leave = nn.Linear(hidden, d_model, bias=False)
        self.dropout = Dropout(dropout)
        _initialise(self)

    @override
    def forward(self, x: Tensor) -> Tensor:
        return self.leave(self.dropout(F.silu(self.gate(x)) * self.enter(x)))


def _initialise(network: nn.Module) -> None:
    """Glorot uniform weights, zero biases."""
    for name, parameter in network.named_parameters():
        if name.endswith(".bias"):
            nn.init.zeros_(parameter)
        else:
            nn.init.xavier_uniform_(parameter)
