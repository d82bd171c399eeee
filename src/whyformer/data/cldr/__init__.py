"""The embedded corpus: dates, numbers, measures, money and lists in four languages, from Unicode CLDR."""

from whyformer.data.cldr.corpus import CldrSpec
from whyformer.data.cldr.normalise import normalise
from whyformer.data.cldr.phrase import Language, Topic
from whyformer.data.cldr.splits import Pair, Splits, write

__all__ = ["CldrSpec", "Language", "Pair", "Splits", "Topic", "normalise", "write"]
