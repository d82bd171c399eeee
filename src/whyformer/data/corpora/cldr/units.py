"""Measures: a number with a unit, and two parts of one measure ("3 hours, 12 minutes")."""

from collections.abc import Iterator
from decimal import Decimal
from functools import cache, partial
from random import Random
from typing import Literal

from babel import Locale
from babel.lists import format_list
from babel.numbers import format_percent
from babel.units import format_unit

from whyformer.data.corpora.cldr.phrase import Phrase

_UNITS_OF = {
    "angle": "degree",
    "area": "acre hectare square-foot square-kilometer square-meter square-mile",
    "concentr": "permille",
    "consumption": "liter-per-100-kilometer",
    "digital": "byte gigabyte kilobyte megabyte terabyte",
    "duration": "century day decade hour millisecond minute month second week year",
    "electric": "ampere ohm volt",
    "energy": "joule kilocalorie kilojoule kilowatt-hour",
    "force": "newton",
    "frequency": "gigahertz hertz kilohertz megahertz",
    "graphics": "pixel",
    "length": "centimeter foot inch kilometer light-year meter mile millimeter nautical-mile yard",
    "mass": "carat gram kilogram milligram ounce pound tonne",
    "power": "horsepower kilowatt megawatt watt",
    "pressure": "atmosphere hectopascal pascal",
    "speed": "kilometer-per-hour knot meter-per-second mile-per-hour",
    "temperature": "celsius fahrenheit kelvin",
    "volume": "barrel cubic-centimeter cubic-meter gallon liter milliliter pint tablespoon teaspoon",
}
_UNITS = tuple(f"{kind}-{name}" for kind, names in _UNITS_OF.items() for name in names.split())
_BELOW_ZERO = ("temperature-celsius", "temperature-fahrenheit")

_TWO_PARTS = (
    ("duration-year", 99, "duration-month", 11),
    ("duration-week", 51, "duration-day", 6),
    ("duration-day", 99, "duration-hour", 23),
    ("duration-hour", 99, "duration-minute", 59),
    ("duration-minute", 99, "duration-second", 59),
    ("length-foot", 99, "length-inch", 11),
    ("mass-pound", 99, "mass-ounce", 15),
)
"""Whole unit, its largest count, part, its largest count."""


def units(random: Random) -> Iterator[Phrase]:
    """One and two of each unit (its singular and its plural), then other amounts of it."""
    for unit in _UNITS:
        for count in (1, 2):
            yield Phrase(f"{count} {unit}", partial(_measure, count, unit), introduces_name=True)
        for _ in range(55):
            amount = _amount(random) * (random.choice((-1, 1)) if unit in _BELOW_ZERO else 1)
            yield Phrase(f"{amount} {unit}", partial(_measure, amount, unit))
    for _ in range(400):
        share = Decimal(random.randint(1, 2000)) / 10
        for write in (_percent, _percent_in_words):
            yield Phrase(f"{share}%", partial(write, share))
    for whole, most, part, most_parts in _TWO_PARTS:
        for _ in range(220):
            counts = (random.randint(1, most), random.randint(1, most_parts))
            content = f"{counts[0]} {whole} {counts[1]} {part}"
            yield Phrase(content, partial(_measure_in_two_parts, counts, (whole, part)))


def _amount(random: Random) -> int | Decimal:
    """A count, a number with one decimal, or a large round number."""
    match random.randrange(4):
        case 0 | 1:
            return random.randint(3, 999)
        case 2:
            return Decimal(random.randint(0, 999) * 10 + random.randint(1, 9)) / 10
        case _:
            return random.randint(10, 999) * 10 ** random.randint(1, 2)


def _measure(amount: int | Decimal, unit: str, locale: Locale) -> str:
    return format_unit(amount, unit, _length(unit, locale), locale=locale)


@cache
def _length(unit: str, locale: Locale) -> Literal["long", "short"]:
    """The long form if the locale has one; where it has none, babel prints the unit's identifier.

    CLDR means the short form then (root.xml, ``unitLength type="long"``): 12公里, not "12 length-kilometer".
    """
    return "short" if unit in format_unit(2, unit, "long", locale=locale) else "long"


def _measure_in_two_parts(counts: tuple[int, int], names: tuple[str, str], locale: Locale) -> str:
    parts = [_measure(count, unit, locale) for count, unit in zip(counts, names, strict=True)]
    return format_list(parts, "unit", locale=locale)


def _percent(percent: Decimal, locale: Locale) -> str:
    return format_percent(percent / 100, decimal_quantization=False, locale=locale)


def _percent_in_words(percent: Decimal, locale: Locale) -> str:
    return _measure(percent, "concentr-percent", locale)
