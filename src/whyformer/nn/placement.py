"""Where the norm of a residual branch sits, and what else happens at the branch's two ends."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from typing_extensions import override

from whyformer.attention.multihead import MultiHeadAttention
from whyformer.dropout import Dropout, drawn_numbers
from whyformer.kernels.residual import can_normalise, residual_norm
from whyformer.nn.norm import LayerNorm, Norm
from whyformer.spec import Spec
from whyformer.tap import Tap


class PostNormSpec(Spec):
    """Normalise the sum of residual and branch; a stack ends normalised."""

    origin: ClassVar[str] = "Vaswani et al. 2017, section 3.1"
    kind: Literal["post"] = "post"
    final_norm: ClassVar[bool] = False

    def build(self, norm: Norm, dropout: Dropout, depth: "Depth") -> "Placement":
        """The ends of one residual branch."""
        return PostNorm(norm, dropout)


class PreNormSpec(Spec):
    """Normalise what enters a branch, not the residual; a stack needs a last norm."""

    origin: ClassVar[str] = "Xiong et al. 2020, table 1"
    kind: Literal["pre"] = "pre"
    final_norm: ClassVar[bool] = True

    def build(self, norm: Norm, dropout: Dropout, depth: "Depth") -> "Placement":
        """The ends of one residual branch."""
        return PreNorm(norm, dropout)


class DeepNormSpec(Spec):
    """Post-norm for very deep stacks: the residual weighs more, and branches begin smaller.

    The numbers follow from the depth of the stack: α = (2N)^1/4 and β = (8N)^-1/4 for N layers, (3N)^1/4 and
    (12N)^-1/4 where they have cross-attention too. Only for an encoder that feeds a decoder does the paper
    have others, which depend on both depths; here it counts as a stack by itself.
    """

    origin: ClassVar[str] = "Wang et al. 2022 (DeepNet), figure 2"
    kind: Literal["deep"] = "deep"
    final_norm: ClassVar[bool] = False

    def build(self, norm: Norm, dropout: Dropout, depth: "Depth") -> "Placement":
        """The ends of one residual branch."""
        branches = depth.layers * depth.branches
        return DeepNorm(norm, dropout, alpha=branches**0.25, beta=(4 * branches) ** -0.25)


PlacementSpec = Annotated[PostNormSpec | PreNormSpec | DeepNormSpec, Field(discriminator="kind")]


@dataclass(frozen=True)
class Depth:
    """How many residual branches a token passes."""

    layers: int
    branches: int
    """In each layer: two, or three with cross-attention."""


class Placement(nn.Module, ABC):
    """The two ends of a residual branch, between which the block calls the sublayer itself."""

    def __init__(self, norm: Norm, dropout: Dropout) -> None:
        super().__init__()
        self.norm = norm
        self.dropout = dropout
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
        return self.residual(_joined(x, branch, self.dropout, self.norm, valid))


class PreNorm(Placement):
    """x <- x + dropout(f(norm(x)))."""

    @override
    def enter(self, x: Tensor, valid: Tensor | None) -> Tensor:
        return self.norm(x, valid)

    @override
    def leave(self, x: Tensor, branch: Tensor, valid: Tensor | None) -> Tensor:
        return self.residual(x + self.dropout(branch))


class DeepNorm(PostNorm):
    """x <- norm(α x + dropout(f(x))), where all of f but queries and keys begins β times smaller."""

    def __init__(self, norm: Norm, dropout: Dropout, alpha: float, beta: float) -> None:
        super().__init__(norm, dropout)
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


def _joined(x: Tensor, branch: Tensor, dropout: Dropout, norm: Norm, valid: Tensor | None) -> Tensor:
    """norm(x + dropout(branch)) of tensors (B,L,M), by what is fastest; the same elements are dropped."""
    if not isinstance(norm, LayerNorm) or not can_normalise(x, branch, norm.weight, norm.bias):
        return norm(x + dropout(branch), valid)
    drawn = drawn_numbers(branch, dropout.probability) if dropout.acts else None
    return residual_norm(x, branch, norm.weight, norm.bias, norm.eps, drawn)
