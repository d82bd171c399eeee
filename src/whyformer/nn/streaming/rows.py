"""Tensors of many streams as rows of one: their last columns, some of them, all of them one after another.

B rows · C columns
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def latest(x: Tensor, dim: int, new: Sequence[int], width: int, keep: int) -> Tensor:
    """The last ``keep`` real columns of each row of ``x`` (B,…), whose columns are dimension ``dim``.

    Of the last ``width`` columns of row i, ``new[i]`` are real and padding follows them; all columns before
    are real, or were no columns yet: where a row has fewer than ``keep``, its first ones mean nothing.
    """
    total = x.shape[dim]
    first = [total - width + count - keep for count in new]
    if first[0] >= 0 and first.count(first[0]) == len(first):
        kept = x.narrow(dim, first[0], keep)
        # A view would hold on to all the columns that it leaves out.
        return kept.clone() if total > 2 * keep else kept
    index = torch.tensor(first)[:, None] + torch.arange(keep)
    shape = [1] * x.dim()
    shape[0], shape[dim] = len(new), keep
    index = index.clamp_min(0).view(shape).to(x.device)
    return x.gather(dim, index.expand(*x.shape[:dim], keep, *x.shape[dim + 1 :]))


def chosen(x: Tensor, rows: Sequence[int]) -> Tensor:
    """Some ``rows`` of ``x`` (B,…); ``x`` itself where those are all of them, in their order."""
    if list(rows) == list(range(len(x))):
        return x
    return x.index_select(0, torch.tensor(rows, device=x.device))


def stacked(parts: Sequence[Tensor | None], rows: Sequence[int], dim: int) -> Tensor | None:
    """Rows of several states under each other, their columns (dimension ``dim``) filled up on the left.

    A part of None is that of ``rows`` streams which have not begun; it becomes zeros. None if no part has.
    """
    like = next((part for part in parts if part is not None), None)
    if like is None or len(parts) == 1:
        return like
    columns = max(part.shape[dim] for part in parts if part is not None)
    whole: list[Tensor] = []
    for part, count in zip(parts, rows, strict=True):
        if part is None:
            whole.append(like.new_zeros(count, *like.shape[1:dim], columns, *like.shape[dim + 1 :]))
        elif (missing := columns - part.shape[dim]) > 0:
            whole.append(F.pad(part, [0, 0] * (part.dim() - dim - 1) + [missing, 0]))
        else:
            whole.append(part)
    return torch.cat(whole)


def size_in_bytes(tensors: Sequence[Tensor | None]) -> int:
    """Bytes of the elements of ``tensors``."""
    return sum(x.numel() * x.element_size() for x in tensors if x is not None)
