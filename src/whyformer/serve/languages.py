"""Languages of runs: which codes their recipes tell, and when two codes mean the same language."""

from collections.abc import Iterable
from functools import lru_cache
from pathlib import PurePosixPath
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from whyformer.data.corpora.cldr import CldrSpec
from whyformer.data.corpora.download import Download
from whyformer.data.corpora.pair_files import (
    AnyPairs,
    CsvPairs,
    JoinedPairs,
    JsonlPairs,
    Location,
    TextPairs,
    TsvPairs,
)
from whyformer.data.corpora.parallel import FilesSpec
from whyformer.errors import WhyformerError
from whyformer.tasks.recipe import Recipe
from whyformer.tasks.translation.task import TranslationRecipe

_COMPRESSED = (".gz", ".txt")
# Codes that LibreTranslate's clients use and nobody else does.
_ALIASES = {"zt": "zh-Hant", "pb": "pt-BR"}


class LanguagePair(NamedTuple):
    """Languages that a run translates between, by their codes (BCP 47: ``en``, ``zh-Hans``)."""

    source: str
    target: str


def language_pair(recipe: Recipe) -> LanguagePair | None:
    """The languages that ``recipe`` tells: by its data's kind, by suffixes of files, or names of columns.

    None where it tells nothing, or two things.
    """
    if not isinstance(recipe, TranslationRecipe):
        return None
    match recipe.data:
        case CldrSpec(source=source, target=target):
            return LanguagePair(source, target)
        case FilesSpec(train=train):
            return _of_pairs(train)
        case _:
            return None


def stated_pair(text: str) -> LanguagePair:
    """The languages that a user states as ``en-de``, or ``en-zh_Hans`` with script or region.

    Raises:
        WhyformerError: it is something else.
    """
    codes = [_known(part) for part in text.split("-")]
    match codes:
        case [str(source), str(target)] if source != target:
            return LanguagePair(source, target)
        case _:
            raise WhyformerError(
                f"{text}: are no two languages; write them as in en-de, or en-zh_Hans with script or region."
            )


def language_name(code: str) -> str:
    """The English name of the language ``code``; the code itself if it has none.

    >>> language_name("zh-Hans"), language_name("de"), language_name("mine")
    ('Simplified Chinese', 'German', 'mine')
    """
    from babel import Locale

    names = Locale("en").languages
    base, _, rest = code.partition("-")
    whole = names.get(code.replace("-", "_"))
    return str(whole or (f"{names[base]} ({rest})" if rest and base in names else names.get(base, code)))


@lru_cache(maxsize=1024)
def same_language(one: str, other: str) -> bool:
    """Whether two codes mean one language, in one script: what a code leaves out is as usual.

    >>> same_language("zh", "zh-CN"), same_language("zh", "zt"), same_language("en_US", "EN")
    (True, False, True)
    """
    both = _written(one), _written(other)
    return one == other if None in both else both[0] == both[1]


def _written(code: str) -> tuple[str, str | None] | None:
    """The language of ``code`` and its script; None if it is no code."""
    from babel.core import get_global, parse_locale

    try:
        language, territory, script = parse_locale(_ALIASES.get(code, code).replace("_", "-"), "-")[:3]
    except ValueError:
        return None
    if script is None:
        likely = get_global("likely_subtags")
        found = likely.get(f"{language}_{territory}") or likely.get(language)
        script = parse_locale(found)[2] if found else None
    return language, script


def _of_pairs(pairs: AnyPairs) -> LanguagePair | None:
    match pairs:
        case TextPairs(source=source, target=target):
            names = _suffix(source), _suffix(target)
        case TsvPairs() | CsvPairs():
            names = str(pairs.source_column), str(pairs.target_column)
        case JsonlPairs():
            names = pairs.source_key.rpartition(".")[2], pairs.target_key.rpartition(".")[2]
        case JoinedPairs(parts=parts):
            return _agreed(_of_pairs(part) for part in parts)
    match [_known(name) for name in names]:
        case [str(source), str(target)] if source != target:
            return LanguagePair(source, target)
        case _:
            return None


def _agreed(pairs: Iterable[LanguagePair | None]) -> LanguagePair | None:
    found = set(pairs)
    return found.pop() if len(found) == 1 else None


def _suffix(location: Location) -> str:
    """The last suffix of a file's name that says more than how it is packed."""
    path = urlsplit(location.url).path if isinstance(location, Download) else location.as_posix()
    suffixes = [each for each in PurePosixPath(unquote(path)).suffixes if each not in _COMPRESSED]
    return suffixes[-1].removeprefix(".") if suffixes else ""


def _known(name: str) -> str | None:
    """The code that ``name`` is, as it is usually written; None unless it begins with a language."""
    from babel import Locale
    from babel.core import parse_locale

    try:
        language, territory, script = parse_locale(name.replace("-", "_"))[:3]
    except ValueError:
        return None
    if language not in Locale("en").languages:
        return None
    return "-".join(part for part in (language, script, territory) if part)
