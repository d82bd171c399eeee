"""Memory of a stack that is fed piece by piece: of each layer the last keys and values, and a few inputs.

B rows · H heads · C columns kept · D head dimension · M model dimension · R inputs that a convolution keeps
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from whyformer.attention.mask import Rule
from whyformer.attention.multihead import KeyValues
from whyformer.nn.streaming.pieces import memory, same_when_shifted
from whyformer.nn.streaming.rows import chosen, latest, size_in_bytes, stacked
from whyformer.position.layout import Facts, Layout


class StackState:
    """Past of some streams, a row each; rows may stand at different positions and remember different much.

    Of each layer it keeps the keys and values (B,H,C,D) of the last positions that a later piece may see
    under ``rule``, and no more, and the inputs (B,R,M) that its convolution reads again. The last column is
    a row's last position; where a row is younger than others, its first columns mean nothing. Tensors are
    never written to: whoever holds an older one keeps what it was.
    """

    def __init__(self, rule: Rule, layers: int, rows: int = 1) -> None:
        self.rule = rule
        self.seen: tuple[int, ...] = (0,) * rows
        """Positions that have come so far, of each row."""
        self.keep = memory(rule)
        self.keys: list[KeyValues | None] = [None] * layers
        self.tails: list[Tensor | None] = [None] * layers
        self._new: tuple[int, ...] = ()
        self._kept = 0
        """Columns that the oldest row will fill after the present piece."""

    @property
    def columns(self) -> int:
        """C, the columns that the oldest row fills."""
        return max(self._fill(), default=0)

    @property
    def nbytes(self) -> int:
        """Bytes of all that is kept, of all rows together."""
        keys = [x for pair in self.keys if pair is not None for x in pair]
        return size_in_bytes([*keys, *self.tails])

    def refuse(self, rule: Rule, new: Sequence[int] | None) -> None:
        """Refuse a piece of ``new`` positions a row that cannot follow exactly.

        Raises:
            ValueError: another rule than that of the pieces before; another number of rows; earlier
                positions should have seen this piece.
        """
        if new is None or len(new) != len(self.seen):
            raise ValueError(
                f"a piece for a state of {len(self.seen)} rows needs as many, padded on the right only, "
                "with known lengths"
            )
        if rule != self.rule:
            raise ValueError(
                f"the state belongs to the mask {self.rule!r}, and the piece has {rule!r}; begin a new state"
            )
        for row, (seen, count) in enumerate(zip(self.seen, new, strict=True)):
            if seen and count and not rule.exact_in_pieces(seen):
                raise ValueError(
                    f"a piece that begins at position {seen} of row {row} cannot follow others: by the mask "
                    f"{rule!r}, tokens before had to see it; feed pieces that the mask keeps apart, and a "
                    "shorter one only as a row's last"
                )

    def begin(self, queries: Layout) -> tuple[Layout, Layout]:
        """The layouts of the ``queries`` of a piece and of all keys that they meet, as the mask counts them.

        Rows whose positions differ by what the rule does not tell apart are counted from one place, so that
        they share one mask and one set of offsets.
        """
        assert queries.lengths is not None, "the lengths of a piece are known"
        self._new = queries.lengths
        self._kept = max(self._fill(self._new), default=0)
        rows, length = queries.position.shape
        total, before, device = self.columns + length, self.columns, queries.position.device
        valid = self._valid(length, device)
        begun = [seen for seen, count in zip(self.seen, self._new, strict=True) if count] or [0]
        if all(same_when_shifted(self.rule, seen - begun[0]) for seen in begun):
            column = torch.arange(begun[0] - before, begun[0] + length, device=device).expand(rows, -1)
            asking = Layout(column[:, before:], queries.valid, facts=Facts(begun[0], lengths=self._new))
            return asking, Layout(column, valid, facts=Facts(begun[0] - before))
        column = torch.tensor(self.seen, device=device)[:, None] - before
        return queries, Layout(column + torch.arange(total, device=device), valid)

    def append(self, layer: int, new: KeyValues) -> KeyValues:
        """Add the keys and values of the present piece in ``layer``; those kept come back before them."""
        old = self.keys[layer]
        joined = new if old is None else KeyValues(*map(_after, old, new))
        width = new.key.shape[2]
        self.keys[layer] = KeyValues(*(latest(x, 2, self._new, width, self._kept) for x in joined))
        return joined

    def past(self, layer: int, new: Tensor, back: int) -> Tensor:
        """The last ``back`` of the inputs (B,R,M) before ``new`` (B,L,M), which is remembered in turn."""
        tail = self.tails[layer]
        tail = new.new_zeros(len(new), back, new.shape[2]) if tail is None else tail
        self.tails[layer] = latest(
            torch.cat([tail.to(new.dtype), new], dim=1), 1, self._new, new.shape[1], back
        )
        return tail

    def advance(self) -> None:
        """Accept the piece, after all layers."""
        self.seen = tuple(seen + new for seen, new in zip(self.seen, self._new, strict=True))

    def copy(self) -> "StackState":
        """A state that goes on by itself; the tensors are shared, as nobody writes to them."""
        state = StackState(self.rule, len(self.keys))
        state.seen, state.keys, state.tails = self.seen, [*self.keys], [*self.tails]
        return state

    def select(self, rows: Sequence[int]) -> "StackState":
        """A state of some ``rows``, in that order."""
        state = StackState(self.rule, len(self.keys))
        state.seen = tuple(self.seen[row] for row in rows)
        keep = state.columns
        for layer, pair in enumerate(self.keys):
            if pair is not None:
                parts = (chosen(x, rows) for x in pair)
                state.keys[layer] = KeyValues(*(x.narrow(2, x.shape[2] - keep, keep) for x in parts))
        state.tails = [None if tail is None else chosen(tail, rows) for tail in self.tails]
        return state

    @staticmethod
    def join(states: Sequence["StackState"]) -> "StackState":
        """The rows of several states under each other.

        Raises:
            ValueError: they follow different rules.
        """
        first = states[0]
        for other in states:
            if other.rule != first.rule:
                raise ValueError(
                    f"streams of the masks {first.rule!r} and {other.rule!r} cannot share a batch; join "
                    "those of one mask"
                )
        state = StackState(first.rule, len(first.keys))
        state.seen = tuple(seen for each in states for seen in each.seen)
        rows = [len(each.seen) for each in states]
        for layer in range(len(first.keys)):
            pairs = [each.keys[layer] for each in states]
            key = stacked([pair and pair.key for pair in pairs], rows, dim=2)
            value = stacked([pair and pair.value for pair in pairs], rows, dim=2)
            state.keys[layer] = None if key is None or value is None else KeyValues(key, value)
            state.tails[layer] = stacked([each.tails[layer] for each in states], rows, dim=1)
        return state

    def _fill(self, new: Sequence[int] | None = None) -> list[int]:
        """Columns that each row fills, after ``new`` more positions."""
        seen = self.seen if new is None else map(sum, zip(self.seen, new, strict=True))
        return [count if self.keep is None else min(count, self.keep) for count in seen]

    def _valid(self, length: int, device: torch.device) -> Tensor | None:
        """Which of the columns kept and of the ``length`` new ones are real, (B,C+L); None for all."""
        before, fill = self.columns, self._fill()
        if all(count == before for count in fill) and all(count == length for count in self._new):
            return None
        column = torch.arange(before + length, device=device)
        first = torch.tensor([before - count for count in fill], device=device)[:, None]
        stop = torch.tensor([before + count for count in self._new], device=device)[:, None]
        return (column >= first) & (column < stop)


def _after(old: Tensor, new: Tensor) -> Tensor:
    return torch.cat([old.to(new.dtype), new], dim=2)
