"""The embedded corpus tells the truth: what a pair says is read back by rules that do not know babel."""

import re
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from functools import partial
from typing import get_args

import pytest
from babel import Locale
from hypothesis import given, settings
from hypothesis import strategies as st

from whyformer.data.corpora.cldr import CldrPair, CldrSpec, CorpusLanguage, Splits, Topic, normalise
from whyformer.data.corpora.cldr.lists import _list
from whyformer.data.corpora.cldr.locales import locale_of
from whyformer.data.corpora.cldr.money import _written as _money
from whyformer.data.corpora.cldr.numbers import _compact, _digits
from whyformer.data.corpora.cldr.patterns import (
    date_style,
    shortened,
    skeleton,
    spelled_out,
    time_style,
    written,
    written_interval,
)
from whyformer.data.corpora.cldr.relative import _written as _relative
from whyformer.data.corpora.cldr.times import _date_and_time, _interval_by_clock, _interval_by_part_of_day
from whyformer.data.corpora.cldr.topics import phrases
from whyformer.data.corpora.cldr.units import _measure, _measure_in_two_parts
from whyformer.data.corpora.cldr.words import cardinal, is_readable, ordinal

LANGUAGES: tuple[CorpusLanguage, ...] = get_args(CorpusLanguage)
TOPICS: tuple[Topic, ...] = get_args(Topic)


def built(topic: Topic) -> Splits:
    return CldrSpec(topics=(topic,)).build()


def everything(splits: Splits) -> list[CldrPair]:
    return splits.train + splits.valid + splits.test


def fields(pattern: str, text: str) -> tuple[str, ...]:
    """What the groups of ``pattern`` match; the whole text must match."""
    match = re.fullmatch(pattern, text)
    assert match, text
    return match.groups(default="")


@pytest.mark.parametrize(
    ("say", "truths"),
    [
        (
            partial(written, date(1998, 11, 8), date_style("full")),
            "Sunday, November 8, 1998 | 1998年11月8日星期日 | "
            "Sonntag, 8. November 1998 | dimanche 8 novembre 1998",
        ),
        (
            partial(written, date(1815, 3, 1), date_style("long")),
            "March 1, 1815 | 1815年3月1日 | 1. März 1815 | 1 mars 1815",
        ),
        (
            partial(written, date(2024, 2, 29), skeleton("MMMEd", spelled_out)),
            "Thursday, February 29 | 2月29日星期四 | Donnerstag, 29. Februar | jeudi 29 février",
        ),
        (
            partial(written, date(2024, 8, 1), skeleton("yQQQQ", spelled_out)),
            "3rd quarter 2024 | 2024年第3季度 | 3. Quartal 2024 | 3e trimestre 2024",
        ),
        (
            partial(written_interval, date(1998, 11, 8), date(1998, 11, 12), "yMMMd", "d", spelled_out),
            "November 8 – 12, 1998 | 1998年11月8日至12日 | 8.–12. November 1998 | 8–12 novembre 1998",
        ),
        (
            partial(written_interval, date(1999, 12, 30), date(2000, 1, 2), "yMMMd", "y", shortened),
            "Dec 30, 1999 – Jan 2, 2000 | 1999年12月30日至2000年1月2日 | 30. Dez. 1999 – 2. Jan. 2000 | "
            "30 déc. 1999 – 2 janv. 2000",
        ),
        (partial(written, time(14, 30), time_style("short")), "2:30 PM | 14:30 | 14:30 | 14:30"),
        (
            partial(written, datetime(2000, 1, 2, 5, 5), skeleton("EBhm", spelled_out)),
            "Sunday 5:05 in the morning | 星期日清晨5:05 | Sonntag 5:05 morgens | dimanche 5:05 du matin",
        ),
        (
            partial(_date_and_time, datetime(1998, 11, 8, 0, 5), "long"),
            "November 8, 1998, 12:05 AM | 1998年11月8日 00:05 | "
            "8. November 1998, 00:05 | 8 novembre 1998, 00:05",
        ),
        (
            partial(_interval_by_clock, time(11, 0), time(13, 15)),
            "11:00 AM – 1:15 PM | 11:00–13:15 | 11:00–13:15 Uhr | 11:00 – 13:15",
        ),
        (
            partial(_interval_by_part_of_day, time(18, 30), time(19, 45)),
            "6:30 – 7:45 in the evening | 下午6:30至晚上7:45 | 6:30 – 7:45 Uhr abends | 6:30 – 7:45 du soir",
        ),
        (
            partial(_relative, 45, "day", "long"),
            "in 45 days | 45天后 | in 45 Tagen | dans 45 jours",
        ),
        (
            partial(_relative, -1, "month", "short"),
            "1 mo. ago | 1个月前 | vor 1 Monat | il y a 1 m.",
        ),
        (partial(cardinal, 81), "eighty-one | 八十一 | einundachtzig | quatre-vingt-un"),
        (
            partial(cardinal, 1_200_000),
            "one million, two hundred thousand | 一百二十万 | "
            "eine Million zweihunderttausend | un million deux cent mille",
        ),
        (
            partial(cardinal, Decimal("-12.05")),
            "minus twelve point zero five | 负十二点零五 | "
            "minus zwölf Komma null fünf | moins douze virgule zéro cinq",
        ),
        (partial(ordinal, 3), "third | 第三 | dritte | troisième"),
        (partial(_digits, 1_234_567), "1,234,567 | 1,234,567 | 1.234.567 | 1 234 567"),
        (
            partial(_compact, 12_300_000),
            "12.3 million | 1230万 | 12,3 Millionen | 12,3 millions",
        ),
        (
            partial(_list, "territories", ["TD", "PE", "DE"], "or"),
            "Chad, Peru, or Germany | 乍得、秘鲁或德国 | "
            "Tschad, Peru oder Deutschland | Tchad, Pérou ou Allemagne",
        ),
        (
            partial(_list, "languages", ["fr", "zh"], "standard"),
            "French and Chinese | 法语和中文 | Französisch und Chinesisch | français et chinois",
        ),
        (
            partial(_measure, 12, "length-kilometer"),
            "12 kilometers | 12公里 | 12 Kilometer | 12 kilomètres",
        ),
        (
            partial(_measure, Decimal("1250.5"), "speed-mile-per-hour"),
            "1,250.5 miles per hour | 每小时1,250.5英里 | "
            "1.250,5 Meilen pro Stunde | 1 250,5 miles par heure",
        ),
        (
            partial(_measure_in_two_parts, (3, 1), ("duration-hour", "duration-minute")),
            "3 hours, 1 minute | 3小时1分钟 | 3 Stunden, 1 Minute | 3 heures et 1 minute",
        ),
        (
            partial(_money, Decimal("1234.50"), "USD", "name"),
            "1,234.50 US dollars | 1,234.50美元 | 1.234,50 US-Dollar | 1 234,50 dollars des États-Unis",
        ),
        (partial(_money, Decimal(800), "JPY", "standard"), "¥800 | JP¥800 | 800 ¥ | 800 JPY"),
    ],
)
def test_known_truths(say: Callable[[Locale], str], truths: str) -> None:
    assert " | ".join(normalise(say(locale_of(language))) for language in LANGUAGES) == truths


ENGLISH_DAYS = ("%A, %B %d, %Y", "%B %d, %Y", "%a, %b %d, %Y", "%b %d, %Y")


def english_day(text: str) -> date | None:
    for form in ENGLISH_DAYS:
        try:
            return datetime.strptime(text, form).date()
        except ValueError:
            continue
    return None


def test_both_sides_of_a_date_are_the_day_of_its_content() -> None:
    checked = 0
    for pair in everything(built("dates")):
        if not re.fullmatch(r"\d{4}-\d\d-\d\d", pair.content):
            continue
        day = date.fromisoformat(pair.content)
        assert english_day(pair.source) == day, pair
        year, month, of_month, weekday = fields(r"(\d+)年(\d+)月(\d+)日(?:周|星期)?(.?)", pair.target)
        assert (int(year), int(month), int(of_month)) == (day.year, day.month, day.day), pair
        assert weekday == "" or weekday == "一二三四五六日"[day.weekday()], pair
        assert pair.source.startswith(("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")) == (weekday != ""), (
            pair
        )
        checked += 1
    assert checked > 8000


def test_all_forms_of_a_day_are_in_one_split() -> None:
    splits = built("dates")
    found: dict[date, set[int]] = {}
    for index, pairs in enumerate((splits.train, splits.valid, splits.test)):
        for pair in pairs:
            day = english_day(pair.source) if pair.topic == "dates" else None
            if day is not None:
                found.setdefault(day, set()).add(index)
    assert len(found) > 2000
    assert all(len(places) == 1 for places in found.values())


def test_relative_times_say_the_same_count_and_direction() -> None:
    for pair in everything(built("relative")):
        count = int(pair.content.split()[0])
        assert re.findall(r"\d+", pair.source) == re.findall(r"\d+", pair.target) == [str(abs(count))], pair
        assert pair.target.endswith("后") == pair.source.startswith("in ") == (count > 0), pair


def chinese_reading(number: int) -> str:
    """By the rules of a school book: groups of four digits; of the zeros in a row only one is read,
    and those that end a group are not, unless the whole group is zero.
    """
    text = ""
    zero = False
    for power in range(9, -1, -1):
        digit = number // 10**power % 10
        if digit:
            text += "零" * (zero and text != "")
            text += "零一二三四五六七八九"[digit] + ("", "十", "百", "千")[power % 4]
        zero = digit == 0
        if power % 4 == 0:
            zero = number // 10**power % 10**4 == 0
            text += "" if zero else ("", "万", "亿")[power // 4]
    return re.sub("^一十", "十", text) or "零"


@settings(deadline=None)
@given(
    st.one_of(st.integers(0, 10**5), st.integers(0, 10**9), st.integers(0, 999).map(lambda n: n * 10**6 + n))
)
def test_chinese_numbers_are_read_by_the_rules(number: int) -> None:
    if is_readable(number):
        assert cardinal(number, locale_of("zh")) == chinese_reading(number)


ENGLISH_COMPACT = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
CHINESE_COMPACT = {"万": 10**4, "亿": 10**8, "万亿": 10**12}


def test_numbers_mean_their_content() -> None:
    kinds = {"compact": 0, "words": 0, "ordinal": 0}
    for pair in everything(built("numbers")):
        compact = re.fullmatch(r"([\d.]+) (\w+)", pair.source)
        if compact:
            value, unit = fields(r"([\d.]+)(\D+)", pair.target)
            assert Decimal(compact[1]) * ENGLISH_COMPACT[compact[2]] == Decimal(pair.content), pair
            assert Decimal(value) * CHINESE_COMPACT[unit] == Decimal(pair.content), pair
            kinds["compact"] += 1
        elif pair.target.startswith("第"):
            assert pair.target == "第" + chinese_reading(int(pair.content)), pair
            kinds["ordinal"] += 1
        elif "." not in pair.content:
            assert pair.target == chinese_reading(int(pair.content)), pair
            kinds["words"] += 1
        else:
            assert ("minus" in pair.source) == ("负" in pair.target) == pair.content.startswith("-"), pair
    assert min(kinds.values()) > 1000


@settings(deadline=None)
@given(st.integers(-(10**9), 10**9) | st.decimals(-1000, 1000, places=2))
def test_digits_mean_their_number(number: int | Decimal) -> None:
    marks = {"en": (",", "."), "zh": (",", "."), "de": (".", ","), "fr": (" ", ",")}
    for language in LANGUAGES:
        group_mark, decimal_mark = marks[language]
        text = normalise(_digits(number, locale_of(language)))
        assert Decimal(text.replace(group_mark, "").replace(decimal_mark, ".")) == number


def test_different_contents_never_look_alike() -> None:
    """Else the first one drawn would win, and what a source means would depend on the seed."""
    meant: dict[tuple[CorpusLanguage, str], tuple[str, str]] = {}
    for topic in TOPICS:
        for phrase in phrases(topic, seed=3):
            meaning = (topic, phrase.content)
            for language in LANGUAGES:
                text = normalise(phrase.say(locale_of(language)))
                if any(character.isalpha() for character in text):
                    assert meant.setdefault((language, text), meaning) == meaning
