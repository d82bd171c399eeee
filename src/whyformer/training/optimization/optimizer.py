"""Optimizers, chosen and named by a spec: torch's own, but for Muon's."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from typing_extensions import override

from whyformer.errors import TrainingError
from whyformer.nn.stack import Block
from whyformer.spec import Spec
from whyformer.training.optimization.muon import OrthogonalMomentum


class _Adam(Spec):
    beta1: float = Field(default=0.9, ge=0.0, lt=1.0)
    """Decay of the mean of gradients."""
    beta2: float = Field(default=0.98, ge=0.0, lt=1.0)
    """Decay of the mean of squared gradients."""
    epsilon: float = Field(default=1e-9, gt=0.0)
    """Number added to the root of the second mean."""

    @property
    def settings(self) -> dict[str, Any]:
        """Arguments of torch's Adam, apart from the weights."""
        return {"lr": 0.0, "betas": (self.beta1, self.beta2), "eps": self.epsilon, "fused": True}


class Adam(_Adam):
    """Steps scaled by running means of gradients and of their squares."""

    origin: ClassVar[str] = "Kingma and Ba 2015, algorithm 1"
    kind: Literal["adam"] = "adam"

    def build(
        self, parameters: Iterable[nn.Parameter], matrices: Sequence[Tensor] = ()
    ) -> torch.optim.Optimizer:
        """The optimizer of ``parameters``; the trainer sets the rate of every step."""
        return torch.optim.Adam(parameters, **self.settings)


class AdamW(_Adam):
    """Adam with decoupled weight decay on matrices."""

    origin: ClassVar[str] = "Loshchilov and Hutter 2019, algorithm 2"
    kind: Literal["adamw"] = "adamw"
    weight_decay: float = Field(default=0.01, ge=0.0)
    """Share of a matrix taken off in each step, times the learning rate; biases and gains are spared."""

    def build(
        self, parameters: Iterable[nn.Parameter], matrices: Sequence[Tensor] = ()
    ) -> torch.optim.Optimizer:
        """The optimizer of ``parameters``; the trainer sets the rate of every step."""
        every = list(parameters)
        groups = [
            {"params": [p for p in every if p.dim() > 1], "weight_decay": self.weight_decay},
            {"params": [p for p in every if p.dim() <= 1], "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, **self.settings)


class Muon(_Adam):
    """Momentum whose steps are made nearly orthogonal, for the matrices of blocks; Adam for all else.

    A gradient's matrix has a few large singular values; five Newton-Schulz iterations bring all of them near
    one, so that rare directions learn as fast as common ones. Steps are scaled to the size of Adam's (Liu et
    al. 2025, section 2.2), so that one learning rate serves both. Embeddings, norms and biases are Adam's.
    """

    origin: ClassVar[str] = "Jordan et al. 2024; Liu et al. 2025, equation 4"
    kind: Literal["muon"] = "muon"
    momentum: float = Field(default=0.95, ge=0.0, lt=1.0)
    """Decay of the sum of a matrix's gradients."""
    weight_decay: float = Field(default=0.0, ge=0.0)
    """Share of a matrix taken off in each step, times the learning rate; all else is spared."""
    ratio: float = Field(default=1.0, gt=0.0)
    """Learning rate of matrices, as a multiple of the schedule's, which is that of all else."""

    def build(
        self, parameters: Iterable[nn.Parameter], matrices: Sequence[Tensor] = ()
    ) -> torch.optim.Optimizer:
        """The optimizer of ``parameters``; the trainer sets the rate of every step.

        Args:
            parameters: all that is trained.
            matrices: those of them that are weights of linear layers in blocks, each (O,I).

        Raises:
            TrainingError: there are no such matrices.
        """
        if not matrices:
            raise TrainingError(
                "training.optimizer.kind muon is for the matrices of blocks, and this model has none; "
                "use adam."
            )
        chosen = set(map(id, matrices))
        others = [p for p in parameters if id(p) not in chosen]
        group = {"params": list(matrices), "ratio": self.ratio}
        return JointOptimizer(
            OrthogonalMomentum([group], momentum=self.momentum, weight_decay=self.weight_decay),
            torch.optim.Adam(others, **self.settings),
        )


OptimizerSpec = Annotated[Adam | AdamW | Muon, Field(discriminator="kind")]


class JointOptimizer(torch.optim.Optimizer):
    """Several optimizers of different weights as one, with one state."""

    def __init__(self, *parts: torch.optim.Optimizer) -> None:
        self.parts = parts
        """The optimizers, each with the state and the groups of its weights."""
        super().__init__([group for part in parts for group in part.param_groups], {})
        self._share()

    @override
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Let each optimizer change its weights."""
        for part in self.parts:
            part.step()

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self._share()

    def _share(self) -> None:
        """Give the parts the state and the groups that this has."""
        groups = iter(self.param_groups)
        for part in self.parts:
            part.state = self.state
            part.param_groups = [next(groups) for _ in part.param_groups]


def block_matrices(model: nn.Module) -> list[Tensor]:
    """Weights of the linear layers in the blocks of ``model``, each (O,I), in the order of the model."""
    found = {
        layer.weight: None
        for block in model.modules()
        if isinstance(block, Block)
        for layer in block.modules()
        if isinstance(layer, nn.Linear)
    }
    return list(found)
