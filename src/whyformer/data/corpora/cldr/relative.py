"""Times relative to now: "in 3 days", 3天后, "vor 3 Tagen", "il y a 3 jours"."""

import math
from collections.abc import Iterator
from functools import partial
from random import Random
from typing import Literal

from babel import Locale
from babel.dates import TIMEDELTA_UNITS, format_timedelta

from whyformer.data.corpora.cldr.phrase import Phrase

_Unit = Literal["year", "month", "week", "day", "hour", "minute", "second"]
_Length = Literal["long", "short"]

_UNITS: tuple[_Unit, ...] = ("year", "month", "week", "day", "hour", "minute", "second")
_LENGTHS: tuple[_Length, ...] = ("long", "short")
_SECONDS = dict(TIMEDELTA_UNITS)


def relative(random: Random) -> Iterator[Phrase]:
    """Counts to 60 and some to 999, of each unit, before and after now."""
    for unit in _UNITS:
        for direction in (-1, 1):
            for count in [*range(1, 61), *random.sample(range(61, 1000), 110)]:
                for length in _LENGTHS:
                    say = partial(_written, direction * count, unit, length)
                    yield Phrase(f"{direction * count:+d} {unit}", say)


def _written(count: int, unit: _Unit, length: _Length, locale: Locale) -> str:
    try:
        return _formatted(count, unit, length, locale)
    except KeyError:
        # German has no short months. CLDR then falls back to the long form; babel does not.
        return _formatted(count, unit, "long", locale)


def _formatted(count: int, unit: _Unit, length: _Length, locale: Locale) -> str:
    """Without a bound on the unit, babel would round 45 days to a month."""
    return format_timedelta(
        count * _SECONDS[unit],
        granularity=unit,
        threshold=math.inf,
        add_direction=True,
        format=length,
        locale=locale,
    )
