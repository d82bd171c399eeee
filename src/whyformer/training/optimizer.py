"""Optimizers: torch's own, chosen and named by a spec."""

from collections.abc import Iterable
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import nn

from whyformer.spec import Spec


class _Adam(Spec):
    beta1: float = Field(default=0.9, ge=0.0, lt=1.0)
    """Decay of the mean of gradients."""
    beta2: float = Field(default=0.98, ge=0.0, lt=1.0)
    """Decay of the mean of squared gradients."""
    epsilon: float = Field(default=1e-9, gt=0.0)
    """Number added to the root of the second mean."""


class Adam(_Adam):
    """Steps scaled by running means of gradients and of their squares."""

    origin: ClassVar[str] = "Kingma and Ba 2015, algorithm 1"
    kind: Literal["adam"] = "adam"

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """The optimizer of ``parameters``; the trainer sets the rate of every step."""
        return torch.optim.Adam(
            parameters, lr=0.0, betas=(self.beta1, self.beta2), eps=self.epsilon, fused=True
        )


class AdamW(_Adam):
    """Adam with decoupled weight decay on matrices."""

    origin: ClassVar[str] = "Loshchilov and Hutter 2019, algorithm 2"
    kind: Literal["adamw"] = "adamw"
    weight_decay: float = Field(default=0.01, ge=0.0)
    """Share of a matrix taken off in each step, times the learning rate; biases and gains are spared."""

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """The optimizer of ``parameters``; the trainer sets the rate of every step."""
        every = list(parameters)
        groups = [
            {"params": [p for p in every if p.dim() > 1], "weight_decay": self.weight_decay},
            {"params": [p for p in every if p.dim() <= 1], "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=0.0, betas=(self.beta1, self.beta2), eps=self.epsilon, fused=True)


OptimizerSpec = Annotated[Adam | AdamW, Field(discriminator="kind")]
