"""Amounts of money, with the currency's name ("2.50 euros") and with its sign (€2.50)."""

from collections.abc import Iterator
from decimal import Decimal
from functools import partial
from random import Random
from typing import Literal

from babel import Locale
from babel.numbers import format_currency, get_currency_precision, get_currency_symbol

from whyformer.data.corpora.cldr.locales import locale_of
from whyformer.data.corpora.cldr.phrase import Phrase

_CURRENCIES = (
    *("AED", "ARS", "AUD", "BRL", "CAD", "CHF", "CLP", "CNY", "COP", "CZK", "DKK", "EGP", "EUR", "GBP"),
    *("HKD", "HUF", "IDR", "ILS", "INR", "ISK", "JPY", "KES", "KRW", "MAD", "MXN", "MYR", "NGN", "NOK"),
    *("NZD", "PHP", "PKR", "PLN", "RON", "SAR", "SEK", "SGD", "THB", "TRY", "TWD", "UAH", "USD", "VND"),
    "ZAR",
)

_Form = Literal["name", "standard"]


def money(random: Random) -> Iterator[Phrase]:
    """One and two of each currency, then amounts up to a million."""
    for currency in _CURRENCIES:
        step = Decimal(1).scaleb(-get_currency_precision(currency))
        for count in (1, 2):
            yield from _phrases(Decimal(count).quantize(step), currency, introduces_name=True)
        for _ in range(60):
            amount = Decimal(random.randrange(10 ** random.randint(3, 8))) / 100
            yield from _phrases(amount.quantize(step), currency, introduces_name=False)


def _phrases(amount: Decimal, currency: str, *, introduces_name: bool) -> Iterator[Phrase]:
    for form in _forms(currency):
        yield Phrase(f"{amount} {currency}", partial(_written, amount, currency, form), introduces_name)


def _forms(currency: str) -> tuple[_Form, ...]:
    """A currency without a sign shows its code: nothing to translate there."""
    has_sign = get_currency_symbol(currency, locale_of("en")) != currency
    return ("name", "standard") if has_sign else ("name",)


def _written(amount: Decimal, currency: str, form: _Form, locale: Locale) -> str:
    return format_currency(amount, currency, format_type=form, locale=locale)
