"""Lists of places or languages: "Chad, Fiji, or Peru", 乍得、斐济或秘鲁, "Tschad, Fidschi oder Peru"."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from random import Random
from typing import Literal, get_args

from babel import Locale
from babel.lists import format_list

from whyformer.data.corpora.cldr.locales import locale_of
from whyformer.data.corpora.cldr.phrase import CorpusLanguage, Phrase

_Kind = Literal["territories", "languages"]
_Conjunction = Literal["standard", "or"]
_KINDS: tuple[_Kind, ...] = ("territories", "languages")
_CONJUNCTIONS: tuple[_Conjunction, ...] = ("standard", "or")

_NO_PLACES = {"EU", "EZ", "QO", "UN", "XA", "XB", "ZZ"}
"""Unions, test regions and "unknown"."""

_LOOKS_LIKE_A_LIST = re.compile(r"[&,(（]|\b(und|et)\b")


def lists(random: Random) -> Iterator[Phrase]:
    """Each name alone, then lists of two to four names of one kind, joined by "and" or "or"."""
    codes = _codes()
    for kind in _KINDS:
        for code in codes[kind]:
            yield Phrase(code, partial(_name, kind, code), introduces_name=True)
    for _ in range(2600):
        for kind in _KINDS:
            drawn = random.sample(codes[kind], random.randint(2, 4))
            conjunction = random.choice(_CONJUNCTIONS)
            yield Phrase("+".join(sorted(drawn)), partial(_list, kind, drawn, conjunction))


def _codes() -> dict[_Kind, list[str]]:
    """The two-letter codes whose names can be told apart, and from a list of names, in every language.

    Nauru is a place and a language in English; "Antigua & Barbuda" is one place, but looks like two.
    """
    locales = [locale_of(language) for language in get_args(CorpusLanguage)]
    known: set[tuple[_Kind, str]] = {
        (kind, code)
        for kind in _KINDS
        for code in set.intersection(*(set(_names(locale, kind)) for locale in locales))
        if len(code) == 2 and code not in _NO_PLACES
    }
    for locale in locales:
        names = {(kind, code): _name(kind, code, locale) for kind, code in known}
        count = Counter(name.casefold() for name in names.values())
        unclear = {
            key
            for key, name in names.items()
            if count[name.casefold()] > 1 or _LOOKS_LIKE_A_LIST.search(name)
        }
        known -= unclear
    return {kind: sorted(code for of_kind, code in known if of_kind == kind) for kind in _KINDS}


def _names(locale: Locale, kind: _Kind) -> Mapping[str, str]:
    return locale.territories if kind == "territories" else locale.languages


def _name(kind: _Kind, code: str, locale: Locale) -> str:
    return _names(locale, kind)[code]


def _list(kind: _Kind, codes: list[str], conjunction: _Conjunction, locale: Locale) -> str:
    return format_list([_name(kind, code, locale) for code in codes], conjunction, locale=locale)
