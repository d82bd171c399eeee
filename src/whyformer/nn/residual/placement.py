"""Where the norm of a residual branch sits, how it joins its residual, and what else happens at its two ends.

B batch · L length · M model dimension
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from typing_extensions import override

from whyformer.attention.multihead import MultiHeadAttention
from whyformer.dropout import Dropout
from whyformer.kernels.residual import can_normalise, residual_norm
from whyformer.nn.residual.norm import LayerNorm, Norm
from whyformer.spec import Spec
from whyformer.tap import Tap

NewNorm = Callable[[], Norm]
"""Function that makes a norm of its own for each end of a branch that wants one."""


class PostNormSpec(Spec):
    """Normalise the sum of residual and branch; a stack ends normalised."""

    origin: ClassVar[str] = "Vaswani et al. 2017, section 3.1"
    kind: Literal["post"] = "post"
    final_norm: ClassVar[bool] = False

    def build(self, norm: NewNorm, dropout: Dropout, join: "ResidualSum", depth: "Depth") -> "Placement":
        """The ends of one residual branch."""
        return PostNorm(norm(), dropout, join)


class PreNormSpec(Spec):
    """Normalise what enters a branch, not the residual; a stack needs a last norm."""

    origin: ClassVar[str] = "Xiong et al. 2020, table 1"
    kind: Literal["pre"] = "pre"
    final_norm: ClassVar[bool] = True

    def build(self, norm: NewNorm, dropout: Dropout, join: "ResidualSum", depth: "Depth") -> "Placement":
        """The ends of one residual branch."""
        return PreNorm(norm(), dropout, join)


class PeriNormSpec(Spec):
    """Normalise what enters a branch and what leaves it, so that no branch outgrows the residual.

    As with pre-norm a stack needs a last norm. The norm of embeddings that the paper leaves to choice is not
    in it.
    """

    origin: ClassVar[str] = "Kim et al. 2025 (Peri-LN), section 3"
    kind: Literal["peri"] = "peri"
    final_norm: ClassVar[bool] = True

    def build(self, norm: NewNorm, dropout: Dropout, join: "ResidualSum", depth: "Depth") -> "Placement":
        """The ends of one residual branch."""
        return PeriNorm(norm(), norm(), dropout, join)


class DeepNormSpec(Spec):
    """Post-norm for very deep stacks: the residual weighs more, and branches begin smaller.

    The numbers follow from the depth of the stack: α = (2N)^1/4 and β = (8N)^-1/4 for N layers, (3N)^1/4 and
    (12N)^-1/4 where they have cross-attention too. Only for an encoder that feeds a decoder does the paper
    have others, which depend on both depths; here it counts as a stack by itself.
    """

    origin: ClassVar[str] = "Wang et al. 2022 (DeepNet), figure 2"
    kind: Literal["deep"] = "deep"
    final_norm: ClassVar[bool] = False

    def build(self, norm: NewNorm, dropout: Dropout, join: "ResidualSum", depth: "Depth") -> "Placement":
        """The ends of one residual branch."""
        branches = depth.layers * depth.branches
        return DeepNorm(norm(), dropout, join, alpha=branches**0.25, beta=(4 * branches) ** -0.25)


PlacementSpec = Annotated[
    PostNormSpec | PreNormSpec | PeriNormSpec | DeepNormSpec, Field(discriminator="kind")
]


class ResidualSumSpec(Spec):
    """Add what a branch made to its residual, each as it is."""

    origin: ClassVar[str] = "He et al. 2016, equation 1"
    kind: Literal["sum"] = "sum"
    embedded: ClassVar[bool] = False

    def build(self) -> "ResidualSum":
        """The sum at the end of one branch."""
        return ResidualSum()


class WeightedResidualSpec(Spec):
    """Add them with two learned numbers for each branch, which both begin at 1.

    ReZero learns the branch's number alone and begins at 0.
    """

    origin: ClassVar[str] = "Bachlechner et al. 2021 (ReZero), equation 1; nanochat"
    kind: Literal["weighted"] = "weighted"
    embedded: bool = False
    """Whether each layer begins by adding the stack's input times a learned number, which begins at 0."""

    def build(self) -> "WeightedResidual":
        """The sum at the end of one branch."""
        return WeightedResidual()


ResidualSpec = Annotated[ResidualSumSpec | WeightedResidualSpec, Field(discriminator="kind")]


@dataclass(frozen=True)
class Depth:
    """How many residual branches a token passes."""

    layers: int
    branches: int
    """In each layer: two, or three with cross-attention."""


class ResidualSum(nn.Module):
    """x + y."""

    @override
    def forward(self, x: Tensor, branch: Tensor) -> Tensor:
        """The sum (B,L,M) of the residual ``x`` and what a ``branch`` made."""
        return x + branch


class WeightedResidual(ResidualSum):
    """r x + b y, where r and b are learned."""

    def __init__(self) -> None:
        super().__init__()
        self.kept = nn.Parameter(torch.ones(()))
        self.added = nn.Parameter(torch.ones(()))

    @override
    def forward(self, x: Tensor, branch: Tensor) -> Tensor:
        return self.kept * x + self.added * branch


class Placement(nn.Module, ABC):
    """The two ends of a residual branch, between which the block calls the sublayer itself."""

    def __init__(self, norm: Norm, dropout: Dropout, join: ResidualSum) -> None:
        super().__init__()
        self.norm = norm
        self.dropout = dropout
        self.join = join
        self.residual = Tap()

    @abstractmethod
    def enter(self, x: Tensor, valid: Tensor | None) -> Tensor:
        """Input (B,L,M) of the sublayer."""

    @abstractmethod
    def leave(self, x: Tensor, branch: Tensor, valid: Tensor | None) -> Tensor:
        """Join the residual ``x`` and what the sublayer made."""

    def initialise(self, sublayer: nn.Module) -> None:
        """Change the first weights of a branch's ``sublayer``; by default they stay."""


class PostNorm(Placement):
    """x <- norm(x + dropout(f(x)))."""

    @override
    def enter(self, x: Tensor, valid: Tensor | None) -> Tensor:
        return x

    @override
    def leave(self, x: Tensor, branch: Tensor, valid: Tensor | None) -> Tensor:
        return self.residual(self._normalised_sum(x, branch, valid))

    def _normalised_sum(self, x: Tensor, branch: Tensor, valid: Tensor | None) -> Tensor:
        """The norm of the sum, (B,L,M), by what is fastest; the same elements are dropped either way."""
        norm = self.norm
        if (
            isinstance(norm, LayerNorm)
            and type(self.join) is ResidualSum
            and can_normalise(x, branch, norm.weight, norm.bias)
        ):
            drawn = self.dropout.drawn(branch)
            return residual_norm(x, branch, norm.weight, norm.bias, norm.eps, drawn)
        return norm(self.join(x, self.dropout(branch)), valid)


class PreNorm(Placement):
    """x <- x + dropout(f(norm(x)))."""

    @override
    def enter(self, x: Tensor, valid: Tensor | None) -> Tensor:
        return self.norm(x, valid)

    @override
    def leave(self, x: Tensor, branch: Tensor, valid: Tensor | None) -> Tensor:
        return self.residual(self.join(x, self.dropout(branch)))


class PeriNorm(PreNorm):
    """x <- x + dropout(norm(f(norm(x)))), with two norms."""

    def __init__(self, norm: Norm, leaving_norm: Norm, dropout: Dropout, join: ResidualSum) -> None:
        super().__init__(norm, dropout, join)
        self.leaving_norm = leaving_norm

    @override
    def leave(self, x: Tensor, branch: Tensor, valid: Tensor | None) -> Tensor:
        return super().leave(x, self.leaving_norm(branch, valid), valid)


class DeepNorm(PostNorm):
    """x <- norm(α x + dropout(f(x))), where all of f but queries and keys begins β times smaller."""

    def __init__(self, norm: Norm, dropout: Dropout, join: ResidualSum, alpha: float, beta: float) -> None:
        super().__init__(norm, dropout, join)
        self.alpha = alpha
        self.beta = beta

    @override
    def leave(self, x: Tensor, branch: Tensor, valid: Tensor | None) -> Tensor:
        return super().leave(x * self.alpha, branch, valid)

    @override
    def initialise(self, sublayer: nn.Module) -> None:
        kept = (sublayer.query, sublayer.key) if isinstance(sublayer, MultiHeadAttention) else ()
        for layer in sublayer.children():
            if isinstance(layer, nn.Linear) and layer not in kept:
                with torch.no_grad():
                    layer.weight.mul_(self.beta)
