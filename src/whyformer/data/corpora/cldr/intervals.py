"""From one day, month or year to another: each side leaves out what both ends share in its own way."""

from collections.abc import Iterator
from datetime import date, timedelta
from functools import partial
from random import Random

from whyformer.data.corpora.cldr.dates import FIRST_DAY, LAST_DAY, days
from whyformer.data.corpora.cldr.patterns import shortened, spelled_out, written_interval
from whyformer.data.corpora.cldr.phrase import Phrase


def intervals(random: Random) -> Iterator[Phrase]:
    """Intervals of days (with and without weekday or year), months and years."""
    for start, end in _pairs_of_days(random, 1600):
        yield from _forms(f"{start}/{end}", start, end, ("yMMMd", "yMMMEd"))
    for start, end in _pairs_of_days(random, 700):
        if start.year == end.year:
            yield from _forms(f"--{start:%m-%d}/--{end:%m-%d}", start, end, ("MMMd",))
    for start, end in _pairs_of_days(random, 1200):
        if (start.year, start.month) != (end.year, end.month):
            yield from _forms(f"{start:%Y-%m}/{end:%Y-%m}", start, end, ("yMMMM",))
    for start in days(random, 450):
        end = start.replace(year=start.year + random.randint(1, 120), day=1)
        if end <= LAST_DAY:
            yield from _forms(f"{start.year}/{end.year}", start, end, ("y",))


def _pairs_of_days(random: Random, count: int) -> Iterator[tuple[date, date]]:
    """A third within some days, a third within some months, a third within some years."""
    longest = (27, 330, 3650)
    for index, start in enumerate(days(random, count)):
        end = start + timedelta(days=random.randint(1, longest[index % len(longest)]))
        if FIRST_DAY <= end <= LAST_DAY:
            yield start, end


def _forms(content: str, start: date, end: date, skeletons: tuple[str, ...]) -> Iterator[Phrase]:
    difference = "y" if start.year != end.year else "M" if start.month != end.month else "d"
    for width in (spelled_out, shortened):
        for fields in skeletons:
            yield Phrase(content, partial(written_interval, start, end, fields, difference, width))
