"""The embedded corpus: dates, numbers, measures, money and lists in four languages, from Unicode CLDR."""

from whyformer.data.corpora.cldr.corpus import CldrSpec
from whyformer.data.corpora.cldr.normalise import normalise
from whyformer.data.corpora.cldr.phrase import Language, Topic
from whyformer.data.corpora.cldr.splits import Pair, Splits, write

__all__ = ["CldrSpec", "Language", "Pair", "Splits", "Topic", "normalise", "write"]
