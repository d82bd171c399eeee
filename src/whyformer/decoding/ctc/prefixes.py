"""Prefixes of texts in a tree, and what a frame does to the best of them.

L frames · V symbols, of which 0 is the blank
"""

import math
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from whyformer.decoding.ctc.sums import CTC_BLANK

_NEVER = -math.inf


@dataclass(frozen=True)
class Pruning:
    """Limits of a prefix beam search."""

    beam: int
    """Prefixes kept after each frame."""
    symbols: int
    """Symbols tried in each frame, besides the blank."""
    floor: float
    """Log-probability below which none is tried, unless blank is below it too."""
    horizon: int | None
    """Frames after which the best prefix has its way about a symbol; None never settles it."""

    def tried(self, log_probs: npt.NDArray[np.floating[Any]]) -> list[list[tuple[int, float]]]:
        """Symbols that are tried in each of the L frames of ``log_probs`` (L,V), by id, with their scores."""
        frames: list[list[tuple[int, float]]] = [[] for _ in range(len(log_probs))]
        rows, columns = np.nonzero(log_probs[:, CTC_BLANK + 1 :] >= self.floor)
        columns += CTC_BLANK + 1
        scores = log_probs[rows, columns]
        for row, symbol, score in zip(rows.tolist(), columns.tolist(), scores.tolist(), strict=True):
            frames[row].append((symbol, score))
        for row, found in enumerate(frames):
            if len(found) > self.symbols:
                likeliest = sorted(found, key=lambda each: (-each[1], each[0]))[: self.symbols]
                frames[row] = sorted(likeliest)
            elif not found and log_probs.shape[1] > 1 and log_probs[row, CTC_BLANK] < self.floor:
                best = int(log_probs[row, CTC_BLANK + 1 :].argmax()) + CTC_BLANK + 1
                frames[row] = [(best, float(log_probs[row, best]))]
        return frames


class _Times:
    """Frames at which the symbols of an alignment began, the last first; alignments share their pasts."""

    __slots__ = ("before", "frame")

    def __init__(self, before: "_Times | None", frame: int) -> None:
        self.before = before
        self.frame = frame


class _Prefix:
    """A text: that of its parent and one symbol more. Scores are relative to what all prefixes share."""

    __slots__ = (
        "best_blank", "best_blank_times", "best_symbol", "best_symbol_times", "blank", "children", "depth",
        "kept", "parent", "symbol", "symbol_sum", "total",
    )  # fmt: skip

    def __init__(self, parent: "_Prefix | None", symbol: int) -> None:
        self.parent = parent
        self.symbol = symbol
        self.depth: int = 0 if parent is None else parent.depth + 1
        self.children: dict[int, _Prefix] = {}
        self.kept = True
        """Whether it is in the beam; if not, a longer prefix is."""
        self.total = _NEVER
        """Log-probability summed over alignments."""
        self.blank = _NEVER
        """Over those that end in a blank."""
        self.symbol_sum = _NEVER
        """Over those that end in the last symbol."""
        self.best_blank = _NEVER
        """Log-probability of the best alignment that ends in a blank, and its times."""
        self.best_blank_times: _Times | None = None
        self.best_symbol = _NEVER
        """Log-probability of the best that ends in the last symbol, and its times."""
        self.best_symbol_times: _Times | None = None

    def best(self) -> tuple[float, _Times | None]:
        """The best alignment; of equal ones that which ends in a blank."""
        if self.best_symbol > self.best_blank:
            return self.best_symbol, self.best_symbol_times
        return self.best_blank, self.best_blank_times


# A prefix as it is, or (extended prefix, symbol, best alignment, its times) of one yet to be made.
_Extension = tuple[_Prefix, int, float, "_Times | None"]


class PrefixBeam:
    """The best prefixes after each frame, best first; of equal ones those that were there before.

    A prefix is a node of a tree and knows its scores; nodes that are neither in the beam nor lead there are
    taken out, so the tree holds the texts of the beam and nothing else. An alignment's times are a list whose
    beginning others share. A frame costs what its symbols times the beam cost, however long the stream is; if
    nothing but the blank is tried, all scores change alike, which is one addition.

    Stable is the trunk of the tree: the longest prefix A that all kept prefixes begin with. It never changes.
    Let all kept prefixes begin with A. A frame makes of each either itself or itself and one more symbol, so
    those of the next frame, a choice of these, begin with A as well; and so on by induction. As nothing else
    is in the tree, A ends where the root has a kept prefix or two children.

    Alone, that would not bound the memory. Frames being independent, two readings of a symbol that are nearly
    as good stay so for ever, and the closest call of all so far is in the beam. Hence the horizon: every so
    many frames, prefixes that do not share all symbols of the best that began so long ago are dropped, so no
    more than twice as many frames are ever unsettled.
    """

    def __init__(self, width: int, horizon: int | None) -> None:
        self._width = width
        self._horizon = math.inf if horizon is None else horizon
        self._next_check = self._horizon
        self._start = _Prefix(None, CTC_BLANK)
        """Last symbol that was committed."""
        self._trunk = self._start
        """Last symbol that is stable."""
        self._start.total = self._start.blank = self._start.best_blank = 0.0
        self._kept = [self._start]
        self._shared = 0.0
        self._settled = True
        """Whether every alignment ends in a blank."""

    @property
    def stable(self) -> int:
        """Number of stable symbols that are not committed."""
        return self._trunk.depth - self._start.depth

    def readings(self, n: int) -> list[tuple[tuple[int, ...], float, tuple[int, ...]]]:
        """The best ``n`` prefixes without what is committed: symbols, score, times."""
        found: list[tuple[tuple[int, ...], float, tuple[int, ...]]] = []
        for prefix in self._kept[:n]:
            symbols = [each.symbol for each in self._path(prefix)]
            links = self._links(prefix.best()[1], len(symbols))
            found.append((tuple(symbols), prefix.total + self._shared, tuple(each.frame for each in links)))
        return found

    def commit(self) -> tuple[tuple[int, int], ...]:
        """Take out the stable symbols whose times are the same in every alignment: with their frames."""
        if not self.stable:
            return ()
        path = self._path(self._trunk)
        chains = [
            self._links(times, prefix.depth - self._start.depth)
            for prefix in self._kept
            for score, times in (
                (prefix.best_blank, prefix.best_blank_times),
                (prefix.best_symbol, prefix.best_symbol_times),
            )
            if score > _NEVER
        ]
        first = chains[0]
        final = 0
        while final < len(path) and all(chain[final] is first[final] for chain in chains):
            final += 1
        if not final:
            return ()
        self._start = path[final - 1]
        self._start.parent = None
        first[final - 1].before = None
        return tuple((node.symbol, link.frame) for node, link in zip(path[:final], first, strict=False))

    def step_blank(self, frame: int, blank: float) -> None:
        """Read a ``frame`` in which nothing but the blank is tried."""
        self._shared += blank
        if not self._settled:
            for prefix in self._kept:
                prefix.best_blank, prefix.best_blank_times = prefix.best()
                prefix.blank = prefix.total
                prefix.symbol_sum = prefix.best_symbol = _NEVER
                prefix.best_symbol_times = None
            self._settled = True
        if frame >= self._next_check:
            self._settle(frame)

    def step(self, frame: int, blank: float, symbols: list[tuple[int, float]]) -> None:
        """Read a ``frame`` in which ``symbols`` are tried, with their log-probabilities, and ``blank``."""
        kept = self._kept
        before = [
            (prefix, prefix.total, prefix.blank, *prefix.best(), prefix.best_blank, prefix.best_blank_times)
            for prefix in kept
        ]
        self._stay(blank, dict(symbols))
        extensions: list[tuple[float, _Extension]] = []
        # No extension that is worse than the last of a full beam can come in.
        bound = min(prefix.total for prefix in kept) if len(kept) == self._width else _NEVER
        for prefix, total, blank_sum, best, times, best_blank, blank_times in before:
            children, last = prefix.children, prefix.symbol
            for symbol, score in symbols:
                if symbol == last:
                    gain, peak, link = blank_sum + score, best_blank + score, blank_times
                else:
                    gain, peak, link = total + score, best + score, times
                if gain == _NEVER:
                    continue
                child = children.get(symbol)
                if child is not None and child.kept:
                    _merge(child, gain, peak, link, frame)
                elif gain > bound:
                    extensions.append((gain, (prefix, symbol, peak, link)))
        self._settled = False
        self._choose(frame, extensions)
        if frame >= self._next_check:
            self._settle(frame)

    def _stay(self, blank: float, symbols: dict[int, float]) -> None:
        """Let every prefix go on with the blank, or with its last symbol."""
        for prefix in self._kept:
            again = symbols.get(prefix.symbol, _NEVER)
            best, times = prefix.best()
            prefix.best_blank, prefix.best_blank_times = best + blank, times
            prefix.blank = prefix.total + blank
            prefix.best_symbol += again
            prefix.symbol_sum += again
            prefix.total = _log_add(prefix.blank, prefix.symbol_sum)

    def _choose(self, frame: int, extensions: list[tuple[float, _Extension]]) -> None:
        """Keep the best of the prefixes and of their ``extensions``."""
        ranked: list[tuple[float, int, _Prefix | _Extension]] = [
            (-prefix.total, place, prefix) for place, prefix in enumerate(self._kept)
        ]
        ranked += [(-gain, place, made) for place, (gain, made) in enumerate(extensions, len(ranked))]
        # Places differ, so nothing behind them is ever compared.
        ranked.sort()
        chosen: list[_Prefix] = []
        for loss, _, each in ranked[: self._width]:
            if isinstance(each, _Prefix):
                chosen.append(each)
            elif loss < math.inf:
                chosen.append(_extended(frame, -loss, each))
        self._drop([each for _, _, each in ranked[self._width :] if isinstance(each, _Prefix)])
        self._kept = chosen

    def _settle(self, frame: int) -> None:
        """Drop the prefixes that differ from the best about symbols older than the horizon."""
        self._next_check = frame + self._horizon
        best, trunk = self._kept[0], self._trunk
        links = self._links(best.best()[1], best.depth - trunk.depth)
        settled = trunk.depth + sum(link.frame <= frame - self._horizon for link in links)
        ancestors = [self._ancestor(prefix, settled) for prefix in self._kept]
        pairs = list(zip(self._kept, ancestors, strict=True))
        self._kept = [prefix for prefix, ancestor in pairs if ancestor is ancestors[0]]
        self._drop([prefix for prefix, ancestor in pairs if ancestor is not ancestors[0]])

    @staticmethod
    def _ancestor(prefix: _Prefix, depth: int) -> _Prefix:
        """The first ``depth`` symbols of ``prefix``; itself if it has no more."""
        while prefix.depth > depth:
            prefix = cast("_Prefix", prefix.parent)
        return prefix

    def _drop(self, prefixes: list[_Prefix]) -> None:
        """Take ``prefixes`` out of the beam, and find how far the others agree."""
        for prefix in prefixes:
            prefix.kept = False
        for prefix in prefixes:
            self._take_out(prefix)
        trunk = self._trunk
        while not trunk.kept and len(trunk.children) == 1:
            (trunk,) = trunk.children.values()
        self._trunk = trunk

    def _take_out(self, prefix: _Prefix) -> None:
        """Cut off a prefix that leads nowhere, and its ancestors that now do not either."""
        while not prefix.kept and not prefix.children and (parent := prefix.parent) is not None:
            if parent.children.get(prefix.symbol) is prefix:
                del parent.children[prefix.symbol]
            prefix = parent

    def _path(self, prefix: _Prefix) -> list[_Prefix]:
        """The symbols of ``prefix`` that are not committed, first to last."""
        path: list[_Prefix] = []
        while prefix is not self._start:
            path.append(prefix)
            prefix = cast("_Prefix", prefix.parent)
        return path[::-1]

    @staticmethod
    def _links(times: _Times | None, length: int) -> list[_Times]:
        """The last ``length`` of an alignment's times, first to last."""
        links: list[_Times] = []
        while len(links) < length:
            link = cast("_Times", times)
            links.append(link)
            times = link.before
        return links[::-1]


def _extended(frame: int, gain: float, made: _Extension) -> _Prefix:
    """The prefix of an extension: a new one, or one that is out of the beam while longer ones are in it."""
    parent, symbol, peak, link = made
    child = parent.children.get(symbol)
    if child is None:
        child = parent.children[symbol] = _Prefix(parent, symbol)
    child.kept = True
    child.blank = child.best_blank = _NEVER
    child.best_blank_times = None
    child.total = child.symbol_sum = gain
    child.best_symbol, child.best_symbol_times = peak, _Times(link, frame)
    return child


def _merge(child: _Prefix, gain: float, peak: float, link: _Times | None, frame: int) -> None:
    """Add the alignments that come to ``child`` from its parent to those that it has."""
    child.symbol_sum = _log_add(child.symbol_sum, gain)
    child.total = _log_add(child.blank, child.symbol_sum)
    if peak > child.best_symbol:
        child.best_symbol, child.best_symbol_times = peak, _Times(link, frame)


def _log_add(one: float, other: float) -> float:
    if one < other:
        one, other = other, one
    return one if other == _NEVER else one + math.log1p(math.exp(other - one))
