"""Muon for matrices that ranks have rows of, as ``training.shard: full`` spreads them."""

from typing import Any, cast

import torch
from torch import Tensor, nn
from typing_extensions import override

from whyformer.training.ranks.sharding import own_rows, spread_like, whole_tensor


class SpreadMuon(torch.optim.Muon):
    """Muon whose matrices are gathered one at a time, because its products want them whole.

    Every rank computes the whole step of each and keeps its rows, with the numbers of one process.
    """

    @override
    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """Change the matrices by their gradients; all ranks call it."""
        for group in self.param_groups:
            for matrix in group["params"]:
                if matrix.grad is not None:
                    self._change(matrix, {name: value for name, value in group.items() if name != "params"})

    def _change(self, matrix: nn.Parameter, settings: dict[str, Any]) -> None:
        assert matrix.grad is not None, "what is changed"
        whole = nn.Parameter(whole_tensor(matrix))
        whole.grad = whole_tensor(matrix.grad)
        part = torch.optim.Muon([{"params": [whole], **settings}])
        state = cast("dict[str, Tensor]", self.state[matrix])
        part.state[whole].update({name: whole_tensor(tensor) for name, tensor in state.items()})
        part.step()
        spread = {name: spread_like(matrix, own_rows(matrix, now)) for name, now in part.state[whole].items()}
        state.update(spread)
        matrix.copy_(spread_like(matrix, own_rows(matrix, whole.detach())))
