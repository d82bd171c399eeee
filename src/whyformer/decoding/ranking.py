"""The best of many, with ties broken the same way on every device and in every batch.

R rows · V values per row · N best of them
"""

import torch
from torch import Tensor


def highest(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The ``count`` highest of each row of ``scores`` (R,V), and their places: two (R,N), highest first.

    Of equal values the one that stands first wins, which ``topk`` alone does not promise. N is less than
    ``count`` if the row is shorter. The order among -inf is left open.
    """
    if count >= scores.shape[1]:
        return scores.sort(dim=1, descending=True, stable=True)
    values, places = scores.topk(count + 1, dim=1)
    last, next_best = values[:, count - 1], values[:, count]
    places = places[:, :count]
    # A tie at the edge: there topk may have taken any of the equal values.
    tied = (last == next_best) & (last > -torch.inf)
    if tied.any():
        places[tied] = _first_of_equals(scores[tied], last[tied, None], count)
    places = places.sort(dim=1).values
    values, order = scores.gather(1, places).sort(dim=1, descending=True, stable=True)
    return values, places.gather(1, order)


def _first_of_equals(scores: Tensor, edge: Tensor, count: int) -> Tensor:
    """Places (R,N) of all values above ``edge`` (R,1) and of the first that equal it."""
    width = scores.shape[1]
    earliness = torch.arange(width, 0, -1, device=scores.device)
    rank = torch.where(scores > edge, width, 0) + torch.where(scores >= edge, earliness, 0)
    return rank.topk(count, dim=1).indices
