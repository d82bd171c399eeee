"""Numbers in words (cardinal, ordinal, decimal), in digits, and in thousands and millions."""

from collections.abc import Iterator
from decimal import Decimal
from functools import partial
from random import Random

from babel import Locale
from babel.numbers import format_compact_decimal, format_decimal

from whyformer.data.corpora.cldr.phrase import Phrase
from whyformer.data.corpora.cldr.words import cardinal, is_readable, ordinal

_LARGEST_ORDINAL = 9999
"""Above this, num2words spells German ordinals wrongly ("zwanzig millionen zehntausendste")."""

_ONE_MILLION_AND_SO_ON = (10**6, 10**9, 10**12)
"""Babel gives these the French plural: "1 millions"."""


def numbers(random: Random) -> Iterator[Phrase]:
    """Small numbers densely, larger ones ever more sparsely."""
    for number in _integers(random):
        yield from _integer_forms(number)
    for _ in range(1500):
        yield from _decimal_forms(_decimal(random))
    for _ in range(1400):
        number = random.randint(2, 999) * 10 ** random.randint(3, 11)
        if number >= 10**4 and number not in _ONE_MILLION_AND_SO_ON:
            yield Phrase(str(number), partial(_compact, number))


def _integers(random: Random) -> list[int]:
    """Below a million in full; up to a thousand million only whole thousands: few read out nine digits."""
    drawn = [
        *range(100),
        *random.sample(range(100, 1000), 800),
        *random.sample(range(1000, 10**4), 900),
        *random.sample(range(10**4, 10**6), 700),
        *(1000 * thousands for thousands in random.sample(range(1000, 10**6), 300)),
        *(random.randint(1, 999) * 10 ** random.randint(2, 6) for _ in range(700)),
    ]
    return [number for number in dict.fromkeys(drawn) if is_readable(number)]


def _integer_forms(number: int) -> Iterator[Phrase]:
    content = str(number)
    yield Phrase(content, partial(cardinal, number))
    if 0 < number <= _LARGEST_ORDINAL:
        yield Phrase(content, partial(ordinal, number))
    if number >= 1000:
        yield Phrase(content, partial(_digits, number))


def _decimal(random: Random) -> Decimal:
    """Up to 999.99 in size, with one or two decimals of which the last is not zero."""
    places = random.randint(1, 2)
    tail = random.randint(0, 10 ** (places - 1) - 1) * 10 + random.randint(1, 9)
    number = random.choice((random.randint(0, 20), random.randint(0, 999))) + Decimal(tail).scaleb(-places)
    # num2words forgets the sign of -0.5.
    return -number if number > 1 and random.random() < 0.2 else number


def _decimal_forms(number: Decimal) -> Iterator[Phrase]:
    yield Phrase(str(number), partial(cardinal, number))
    yield Phrase(str(number), partial(_digits, number))


def _digits(number: int | Decimal, locale: Locale) -> str:
    return format_decimal(number, locale=locale)


def _compact(number: int, locale: Locale) -> str:
    # Chinese has no long form of its own: CLDR falls back to the short one; babel raises.
    length = "short" if locale.language == "zh" else "long"
    return format_compact_decimal(number, format_type=length, fraction_digits=3, locale=locale)
