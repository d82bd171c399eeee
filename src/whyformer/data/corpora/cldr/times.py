"""Times of day, alone, with a weekday, with a date, and from one time to another.

English writes "2:30 PM" where the others write 14:30; and each language cuts the day into its own parts
("in the morning" is 凌晨, 清晨 or 上午).
"""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from functools import partial
from random import Random
from typing import Literal

from babel import Locale

from whyformer.data.corpora.cldr.dates import days
from whyformer.data.corpora.cldr.patterns import (
    date_style,
    shortened,
    skeleton,
    spelled_out,
    time_style,
    written,
    written_interval,
)
from whyformer.data.corpora.cldr.phrase import Phrase

_MINUTES_PER_DAY = 24 * 60
_SUNDAY = date(2000, 1, 2)

_MINUTE = (skeleton("Bhm", spelled_out), time_style("short"))
_SECOND = (skeleton("Bhms", spelled_out), time_style("medium"))
_WEEKDAY = (skeleton("EBhm", spelled_out), skeleton("EBhm", shortened))
_PART_OF_DAY = skeleton("Bh", lambda pattern: "BBBB")


def times(random: Random) -> Iterator[Phrase]:
    """Times to the minute and to the second, weekdays with time, dates with time, and intervals."""
    for minute in random.sample(range(_MINUTES_PER_DAY), 800):
        moment = _time(minute)
        for pattern in _MINUTE:
            yield Phrase(f"T{moment:%H:%M}", partial(written, moment, pattern))
    for second in random.sample(range(_MINUTES_PER_DAY * 60), 700):
        moment = (datetime.min + timedelta(seconds=second)).time()
        for pattern in _SECOND:
            yield Phrase(f"T{moment:%H:%M:%S}", partial(written, moment, pattern))
    for minute in random.sample(range(_MINUTES_PER_DAY * 7), 700):
        moment = datetime.combine(_SUNDAY, time()) + timedelta(minutes=minute)
        for pattern in _WEEKDAY:
            yield Phrase(f"{moment.isoweekday()} T{moment:%H:%M}", partial(written, moment, pattern))
    for day in days(random, 1000):
        moment = datetime.combine(day, _time(random.randrange(_MINUTES_PER_DAY)))
        for style in ("full", "long"):
            yield Phrase(f"{moment:%Y-%m-%dT%H:%M}", partial(_date_and_time, moment, style))
    for _ in range(700):
        start, end = sorted(random.sample(range(_MINUTES_PER_DAY), 2))
        content = f"T{_time(start):%H:%M}/T{_time(end):%H:%M}"
        for write in (_interval_by_part_of_day, _interval_by_clock):
            yield Phrase(content, partial(write, _time(start), _time(end)))


def _time(minute: int) -> time:
    return time(minute // 60, minute % 60)


def _date_and_time(moment: datetime, style: Literal["full", "long"], locale: Locale) -> str:
    day = written(moment, date_style(style), locale)
    clock = written(moment, time_style("short"), locale)
    return locale.datetime_formats[style].replace("{1}", day).replace("{0}", clock)


def _interval_by_part_of_day(start: time, end: time, locale: Locale) -> str:
    same_part = written(start, _PART_OF_DAY, locale) == written(end, _PART_OF_DAY, locale)
    return written_interval(start, end, "Bhm", "h" if same_part else "B", spelled_out, locale)


def _interval_by_clock(start: time, end: time, locale: Locale) -> str:
    if "a" not in locale.time_formats["short"].pattern:
        return written_interval(start, end, "Hm", "H", shortened, locale)
    same_half = (start.hour < 12) == (end.hour < 12)
    return written_interval(start, end, "hm", "h" if same_half else "a", shortened, locale)
