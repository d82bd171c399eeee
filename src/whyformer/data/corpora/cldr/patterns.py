"""CLDR date and time patterns, looked up by locale and applied to a moment."""

import re
from collections.abc import Callable
from datetime import date, datetime, time
from functools import cache

from babel import Locale
from babel.dates import parse_pattern

Pattern = Callable[[Locale], str]
"""Finds a locale's own pattern (``MMMM d, y`` or ``y年M月d日``) for one form of a date or time."""

Width = Callable[[str], str]
"""Changes how long the names in a pattern are written."""


@cache
def spelled_out(pattern: str) -> str:
    """Write months, weekdays and parts of the day in full.

    Widening a field keeps its place in the pattern (Unicode Technical Standard 35, part 4, "Matching
    Skeletons"), so the result is still the locale's own order.

    >>> spelled_out("E, MMM d")
    'EEEE, MMMM d'
    """
    return re.sub("E+", "EEEE", re.sub("M{3,}", "MMMM", shortened(pattern)))


@cache
def shortened(pattern: str) -> str:
    """Leave months and weekdays abbreviated, but write parts of the day in full.

    The short parts of the day are not idiomatic everywhere: French would say "2:30 après-midi".
    """
    return re.sub("B+", "BBBB", pattern)


def date_style(style: str) -> Pattern:
    """The locale's ``full``, ``long`` or ``medium`` date."""
    return lambda locale: locale.date_formats[style].pattern


def time_style(style: str) -> Pattern:
    """The locale's ``medium`` (with seconds) or ``short`` time, on its usual 12 or 24 hour clock."""
    return lambda locale: locale.time_formats[style].pattern


def skeleton(fields: str, width: Width) -> Pattern:
    """The locale's pattern that shows exactly the ``fields`` (``yMMMd``), at the given width."""
    return lambda locale: width(locale.datetime_skeletons[fields].pattern)


def written(moment: date | datetime | time, pattern: Pattern, locale: Locale) -> str:
    """``moment`` in the locale's version of ``pattern``."""
    return parse_pattern(pattern(locale)).apply(moment, locale)


def written_interval(
    start: date | time, end: date | time, fields: str, difference: str, width: Width, locale: Locale
) -> str:
    """From ``start`` to ``end``, where ``difference`` is the largest field in which they differ.

    What both ends share is written once: ``Nov 8 – 12, 1998`` and ``1998年11月8日至12日``.
    """
    first, last = locale.interval_formats[fields][difference]
    return parse_pattern(width(first)).apply(start, locale) + parse_pattern(width(last)).apply(end, locale)
