"""The CLDR locale that stands for each language."""

from functools import cache

from babel import Locale

from whyformer.data.corpora.cldr.phrase import CorpusLanguage


@cache
def locale_of(language: CorpusLanguage) -> Locale:
    """English, German and French without a country (CLDR's default), Chinese in simplified script."""
    return Locale("zh", script="Hans") if language == "zh" else Locale(language)
