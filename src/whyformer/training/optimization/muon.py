"""Muon's steps: momentum made nearly orthogonal by products alone.

O outputs · I inputs of a matrix
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

_COEFFICIENTS = 3.4445, -4.7750, 2.0315
"""Of x, x³ and x⁵: what is small grows as fast as it can, and what is near one stays between 0.7 and 1.2."""
_ITERATIONS = 5
_LEAST = 1e-7
"""Norm of a matrix at least, so that one of zeros can be divided by it."""
_RMS = 0.2
"""Root mean square of an entry of Adam's steps, by Liu et al. 2025."""


def orthogonalised(matrix: Tensor, dtype: torch.dtype) -> Tensor:
    """``matrix`` (O,I) with singular values near one, in ``dtype``: Jordan et al. 2024.

    An odd polynomial of a matrix is that of its singular values, and needs no decomposition.
    """
    first, third, fifth = _COEFFICIENTS
    # The products with its transpose are smaller where it is wide.
    wide = matrix.to(dtype) if matrix.shape[0] <= matrix.shape[1] else matrix.to(dtype).T
    wide = wide / wide.norm().clamp(min=_LEAST)
    for _ in range(_ITERATIONS):
        square = wide @ wide.T
        factor = torch.addmm(square, square, square, beta=third, alpha=fifth)
        wide = torch.addmm(wide, factor, wide, beta=first)
    return wide if matrix.shape[0] <= matrix.shape[1] else wide.T


class OrthogonalMomentum(torch.optim.Optimizer):
    """Muon: ``torch.optim.Muon`` with Nesterov's momentum and steps of Adam's size, in any precision.

    Torch's computes its products in bf16 on every processor. Here they are in the precision that autocast
    asks for around ``step``, else in that of the weights: a processor that emulates bf16 spent more than half
    of a training's time on them (docs/log.md).
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        *,
        lr: float = 0.0,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
    ) -> None:
        """Change ``params``, matrices (O,I), at rate ``lr``; for the others see the spec ``Muon``."""
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @override
    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Change each matrix that has a gradient."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._change(weight, weight.grad, group)

    def _change(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[weight]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(gradient)
        velocity, momentum, rate = state["momentum_buffer"], group["momentum"], group["lr"]
        velocity.lerp_(gradient, 1 - momentum)
        direction = gradient.lerp(velocity, momentum)
        kind = weight.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weight.dtype
        # What is rounded shall not be rounded otherwise by autocast's own list.
        with torch.autocast(kind, enabled=False):
            step = orthogonalised(direction, dtype)
        weight.mul_(1 - rate * group["weight_decay"])
        weight.add_(step, alpha=-rate * _RMS * max(weight.shape) ** 0.5)
