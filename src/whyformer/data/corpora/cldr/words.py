"""Numbers in words, one reading per number and language."""

from decimal import Decimal

import cn2an
from babel import Locale
from num2words import num2words


def cardinal(number: int | Decimal, locale: Locale) -> str:
    """Forty-two, 四十二, zweiundvierzig, quarante-deux; the decimals are read digit by digit."""
    if locale.language == "zh":
        return cn2an.an2cn(str(number))
    words = num2words(number, lang=locale.language)
    # German "eins" bends to what it counts; num2words forgets that in 201 000 and 301 000 000.
    return words.replace("einstausend", "eintausend").replace("eins Million", "eine Million")


def ordinal(number: int, locale: Locale) -> str:
    """Forty-second, 第四十二, zweiundvierzigste, quarante-deuxième."""
    if locale.language == "zh":
        return "第" + cardinal(number, locale)
    words = num2words(number, lang=locale.language, to="ordinal")
    # The plural's s of quatre-vingts and deux cents belongs to nothing but the end; num2words keeps it.
    return words.replace("vingtsième", "vingtième").replace("centsième", "centième")


def is_readable(number: int) -> bool:
    """False where cn2an drops a 零: it writes 100 005 693 as 一亿五千六百九十三 (for 一亿零五千…)."""
    return not (number >= 10**8 and number // 10**4 % 10**4 == 0 and number // 1000 % 10 != 0)
