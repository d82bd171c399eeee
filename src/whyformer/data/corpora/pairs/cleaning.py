"""Choice of the pairs that are fit to train on.

Cleaning is for training data alone: a held-out set keeps every line, or its scores cannot be compared.
So nothing here reads files; ``pairs`` cleans in ``training(...)`` and nowhere else.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from whyformer.data.corpora.lines import BadLine, Placed, Reason, SentencePair
from whyformer.data.corpora.pairs.copies import Overlap
from whyformer.spec import Spec

_SHOWN = 5


@dataclass(frozen=True)
class CleaningReport:
    """Numbers of pairs that were kept, and that were dropped for each reason."""

    kept: int
    """Pairs that remain."""
    dropped: dict[Reason, int]
    """Pairs that were dropped, counted under the first reason that applied."""
    bad: tuple[BadLine, ...] = ()
    """The first lines that were dropped for each reason, where they are known."""

    @property
    def read(self) -> int:
        """Pairs in the files."""
        return self.kept + sum(self.dropped.values())

    def summary(self) -> str:
        """Say it in one sentence for the log."""
        if not self.dropped:
            return f"{self.read:,} pairs read, all kept"
        reasons = ", ".join(f"{n:,} {reason}{self._places(reason, n)}" for reason, n in self.dropped.items())
        return f"{self.read:,} pairs read, {self.kept:,} kept; dropped: {reasons}"

    def _places(self, reason: Reason, count: int) -> str:
        """The lines dropped for one reason, by file: `` (a.tsv:3, 7; b.tsv:2, …)``."""
        lines: dict[Path, list[str]] = {}
        for line in self.bad:
            if line.reason == reason:
                lines.setdefault(line.path, []).append(str(line.number))
        more = ", …" if count > sum(map(len, lines.values())) else ""
        files = "; ".join(f"{path}:{', '.join(numbers)}" for path, numbers in lines.items())
        return f" ({files}{more})" if files else ""


class Cleaning(Spec):
    """Rules by which training pairs are dropped. Pairs with an empty side always are."""

    longest: int | None = Field(default=1000, ge=1)
    """Maximum number of characters of either side; null for no limit."""
    ratio: float | None = Field(default=9.0, ge=1)
    """Maximum bytes of UTF-8 of one side for each byte of the other; null for no limit.

    In bytes, because a Chinese character takes three and says about as much as three Latin letters.
    """
    repeated: bool = True
    """Keep pairs that occur more than once; otherwise only the first of them."""

    overlap: Overlap = "keep"
    """Training pairs that a held-out set has, too: keep them, drop equal ``pairs``, or any with a side there.

    Texts that differ in case or white space alone are equal here.
    """

    def apply(
        self, pairs: Iterable[SentencePair | Placed | BadLine]
    ) -> tuple[list[SentencePair], CleaningReport]:
        """Return the pairs that may stay, in their order, and the summary of the others."""
        kept: list[SentencePair] = []
        dropped: Counter[Reason] = Counter()
        bad: list[BadLine] = []
        seen: set[SentencePair] = set()
        for item in pairs:
            pair = item.pair if isinstance(item, Placed) else item
            reason = pair.reason if isinstance(pair, BadLine) else self.reason(pair, seen)
            if reason is None:
                assert isinstance(pair, SentencePair), "a bad line has its reason"
                kept.append(pair)
                continue
            dropped[reason] += 1
            if dropped[reason] <= _SHOWN and not isinstance(item, SentencePair):
                bad.append(BadLine(item.path, item.number, reason))
        return kept, CleaningReport(len(kept), dict(dropped.most_common()), tuple(bad))

    def reason(self, pair: SentencePair, seen: set[SentencePair]) -> Reason | None:
        """Return why ``pair`` is dropped, None where it stays; ``seen`` has those that came before it."""
        if not pair.source.strip() or not pair.target.strip():
            return Reason.EMPTY
        if self.longest is not None and max(len(pair.source), len(pair.target)) > self.longest:
            return Reason.OVERLONG
        if self.ratio is not None and _ratio(pair) > self.ratio:
            return Reason.UNEVEN
        if not self.repeated:
            if pair in seen:
                return Reason.REPEATED
            seen.add(pair)
        return None


def _ratio(pair: SentencePair) -> float:
    shorter, longer = sorted((len(pair.source.encode()), len(pair.target.encode())))
    return longer / shorter
