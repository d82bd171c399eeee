"""An layout: where the tokens on one side of an attention stand.

B batch · L length
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class Layout:
    """One side of an attention: where its tokens stand, which of them are real, which belong together.

    ``position`` (B,L) int64; ``valid`` (B,L) bool, or None where all are real; ``segment`` (B,L) int64
    numbers the sentences packed into a row, or None where a row is one sentence.
    """

    position: Tensor
    valid: Tensor | None = None
    segment: Tensor | None = None

    def __post_init__(self) -> None:
        shape = self.position.shape
        for name, x, kind in (
            ("position", self.position, torch.int64),
            ("valid", self.valid, torch.bool),
            ("segment", self.segment, torch.int64),
        ):
            if x is not None and (x.dtype != kind or x.shape != shape or x.dim() != 2):
                raise TypeError(f"{name} must be a {kind} tensor (B,L) like position, not {_describe(x)}")

    @cached_property
    def start(self) -> int | None:
        """The first position, where all rows count up from it one by one; None where they do not.

        On an accelerator a look at the data would make the host wait, so there the answer is always None.
        """
        first = self.position[:1]
        if self.position.device.type != "cpu" or not first.numel():
            return None
        counts_up = bool((first.diff(dim=1) == 1).all()) and bool((self.position == first).all())
        return int(first[0, 0]) if counts_up else None

    @staticmethod
    def of(valid: Tensor) -> "Layout":
        """The layout of sentences ``valid`` (B,L) padded on either side: the first real token stands at 0."""
        column = torch.arange(valid.shape[1], device=valid.device)
        first = valid.int().argmax(dim=1, keepdim=True)
        return Layout((column - first).clamp_min(0), valid)

    def followed_by(self, other: "Layout") -> "Layout":
        """The tokens of this layout, then those of ``other``; segments count only where both have them."""
        valid = segment = None
        if self.valid is not None or other.valid is not None:
            both = [
                torch.ones_like(a.position, dtype=torch.bool) if a.valid is None else a.valid
                for a in (self, other)
            ]
            valid = torch.cat(both, dim=1)
        if self.segment is not None and other.segment is not None:
            segment = torch.cat([self.segment, other.segment], dim=1)
        return Layout(torch.cat([self.position, other.position], dim=1), valid, segment)

    def cut(self, columns: slice) -> "Layout":
        """Some of the tokens."""
        return self._each(lambda part: part[:, columns])

    def in_rows(self, rows: int) -> "Layout":
        """The same tokens (B,L) in fewer ``rows`` (B',L'), of which each holds several of these in a row."""
        return self if rows == len(self.position) else self._each(lambda part: part.reshape(rows, -1))

    def select(self, rows: Tensor) -> "Layout":
        """Keep, reorder or repeat sentences: ``rows`` (B',) int64."""
        return self._each(lambda part: part[rows])

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Layout":
        """The layout whose every part is changed alike."""
        return Layout(
            change(self.position),
            None if self.valid is None else change(self.valid),
            None if self.segment is None else change(self.segment),
        )


def _describe(x: Tensor) -> str:
    return f"{x.dtype} of shape {tuple(x.shape)}"
