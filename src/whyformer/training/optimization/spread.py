"""Steps of an optimizer whose weights are spread over ranks, with the numbers of one process."""

from typing import Any, cast

import torch
from torch import Tensor, nn

from whyformer.training.optimization.muon import OrthogonalMomentum
from whyformer.training.optimization.optimizer import JointOptimizer
from whyformer.training.ranks.sharding import RowRange, own_rows, ranks_of, spread_like, whole_tensor

_VECTOR = 16
"""Numbers that an optimizer on a CPU changes at once; those left over at the end are rounded otherwise."""


def spread_step(optimizer: torch.optim.Optimizer, *, exact: bool) -> None:
    """Change the weights by their gradients; all ranks call it.

    Muon's products want matrices whole. These are gathered one at a time, every rank computes the step of
    each, and keeps its rows.

    Args:
        optimizer: the optimizer.
        exact: whether weights whose parts do not end where a processor's vectors do are gathered as well, so
            that every bit is that of one process.
    """
    parts = optimizer.parts if isinstance(optimizer, JointOptimizer) else (optimizer,)
    with torch.no_grad():
        for part in parts:
            for group in part.param_groups:
                settings = {name: value for name, value in group.items() if name != "params"}
                for weight in group["params"]:
                    wanted = isinstance(part, OrthogonalMomentum) or (exact and _is_cut_in_vectors(weight))
                    if weight.grad is not None and wanted:
                        _step_whole(part, weight, settings)
                        weight.grad = None
    optimizer.step()


def _step_whole(optimizer: torch.optim.Optimizer, weight: nn.Parameter, settings: dict[str, Any]) -> None:
    """The step of one ``weight`` by an optimizer of its own, with its state."""
    assert weight.grad is not None, "what is changed"
    whole = nn.Parameter(whole_tensor(weight))
    whole.grad = whole_tensor(weight.grad)
    own = cast(Any, type(optimizer))([{"params": [whole], **settings}])
    state = cast("dict[str, Tensor]", optimizer.state[weight])
    own.state[whole].update({name: whole_tensor(tensor) for name, tensor in state.items()})
    own.step()
    for name, tensor in own.state[whole].items():
        is_spread = tensor.shape == whole.shape
        state[name] = spread_like(weight, own_rows(weight, tensor)) if is_spread else tensor
    weight.copy_(spread_like(weight, own_rows(weight, whole.detach())))


def _is_cut_in_vectors(weight: Tensor) -> bool:
    """Whether a rank's part of ``weight`` ends within what is changed at once."""
    first = RowRange.of_rank(0, ranks_of(weight), len(weight))
    return first.last * weight[0].numel() % _VECTOR != 0
