"""The best of many, with ties broken the same way on every device and in every batch.

R rows · V values per row · N best of them · B values per block
"""

import torch
from torch import Tensor

_BLOCK = 64
_LARGE = 2**17
"""Values in a matrix from which on looking at blocks pays (docs/log.md)."""


def highest(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The ``count`` highest of each row of ``scores`` (R,V), and their places: two (R,N), highest first.

    Of equal values the one that stands first wins, which ``topk`` alone does not promise. N is less than
    ``count`` if the row is shorter. The order among -inf is left open.
    """
    if count >= scores.shape[1]:
        return scores.sort(dim=1, descending=True, stable=True)
    if count == 1 and scores.numel() < _LARGE:
        return scores.max(dim=1, keepdim=True)  # takes the first
    values, places = _some_highest(scores, count + 1)
    last, next_best = values[:, count - 1], values[:, count]
    places = places[:, :count]
    # A tie at the edge: there topk may have taken any of the equal values.
    tied = (last == next_best) & (last > -torch.inf)
    if tied.any():
        places[tied] = _first_of_equals(scores[tied], last[tied, None], count)
    places = places.sort(dim=1).values
    values, order = scores.gather(1, places).sort(dim=1, descending=True, stable=True)
    return values, places.gather(1, order)


def _some_highest(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """As ``topk``. Of a large matrix it reads most blocks only for their maximum, which is much faster."""
    blocks = scores.shape[1] // _BLOCK
    if scores.numel() < _LARGE or count >= blocks:
        return scores.topk(count, dim=1)
    # No value is among the highest whose block has no maximum among the highest: (R,V) -> (R,V/B) -> (R,N)
    maxima = scores[:, : blocks * _BLOCK].unflatten(1, (blocks, _BLOCK)).amax(dim=2)
    within = torch.arange(_BLOCK, device=scores.device)
    # (R,N) -> (R,N,B) -> (R,N·B), and the values behind the last block
    places = (maxima.topk(count, dim=1).indices[:, :, None] * _BLOCK + within).flatten(1)
    rest = torch.arange(blocks * _BLOCK, scores.shape[1], device=scores.device)
    places = torch.cat([places, rest.expand(len(scores), -1)], dim=1)
    values, chosen = scores.gather(1, places).topk(count, dim=1)
    return values, places.gather(1, chosen)


def _first_of_equals(scores: Tensor, edge: Tensor, count: int) -> Tensor:
    """Places (R,N) of all values above ``edge`` (R,1) and of the first that equal it."""
    width = scores.shape[1]
    earliness = torch.arange(width, 0, -1, device=scores.device)
    rank = torch.where(scores > edge, width, 0) + torch.where(scores >= edge, earliness, 0)
    return rank.topk(count, dim=1).indices
