"""Days, months, quarters and days of the year, each in all the forms that say the same on both sides.

Left out because the two languages would not say the same: numeric dates (is 3/4/2005 in March or in
April?), two-digit years, and week numbers (weeks begin on Sunday in one locale, on Monday in another).
"""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from functools import partial
from random import Random

from whyformer.data.corpora.cldr.patterns import (
    Pattern,
    date_style,
    shortened,
    skeleton,
    spelled_out,
    written,
)
from whyformer.data.corpora.cldr.phrase import Phrase

FIRST_DAY = date(1800, 1, 1)
LAST_DAY = date(2099, 12, 31)

_DAY = (
    date_style("full"),
    date_style("long"),
    skeleton("yMMMEd", shortened),
    skeleton("yMMMd", shortened),
    date_style("medium"),
)
_MONTH = (skeleton("yMMMM", spelled_out), skeleton("yMMM", shortened))
_QUARTER = (skeleton("yQQQQ", spelled_out), skeleton("yQQQ", shortened))
_DAY_OF_YEAR = (skeleton("MMMMd", spelled_out), skeleton("MMMd", shortened))
_WEEKDAY = (skeleton("MMMEd", spelled_out), skeleton("MMMEd", shortened))


def dates(random: Random) -> Iterator[Phrase]:
    """Every form of a drawn day comes before the next day, the most explicit form first."""
    for day in days(random, 2600):
        yield from _forms(day.isoformat(), day, _DAY)
    for month in days(random, 900):
        yield from _forms(f"{month:%Y-%m}", month, _MONTH)
    for day in days(random, 400):
        yield from _forms(f"{day.year}-Q{(day.month + 2) // 3}", day, _QUARTER)
    for offset in range(366):
        day = date(2000, 1, 1) + timedelta(days=offset)
        yield from _forms(f"--{day:%m-%d}", day, _DAY_OF_YEAR)
    for day in days(random, 900):
        yield from _forms(f"--{day:%m-%d} {day.isoweekday()}", day, _WEEKDAY)


def days(random: Random, count: int) -> list[date]:
    """``count`` days: half of them from 1950 to 2049, half from the whole range, none of them twice."""
    recent = range(date(1950, 1, 1).toordinal(), date(2050, 1, 1).toordinal())
    whole = range(FIRST_DAY.toordinal(), LAST_DAY.toordinal() + 1)
    drawn = random.sample(recent, count // 2) + random.sample(whole, count - count // 2)
    return [date.fromordinal(ordinal) for ordinal in dict.fromkeys(drawn)]


def _forms(content: str, day: date, patterns: Sequence[Pattern]) -> Iterator[Phrase]:
    for pattern in patterns:
        yield Phrase(content, partial(written, day, pattern))
