"""The embedded corpus: dates, numbers, measures, money and lists in four languages, from Unicode CLDR."""

from whyformer.data.corpora.cldr.corpus import CldrSpec
from whyformer.data.corpora.cldr.normalise import normalise
from whyformer.data.corpora.cldr.phrase import CorpusLanguage, Topic
from whyformer.data.corpora.cldr.splits import CldrPair, Splits, write

__all__ = ["CldrPair", "CldrSpec", "CorpusLanguage", "Splits", "Topic", "normalise", "write"]
