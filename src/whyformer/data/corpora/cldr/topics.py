"""Writers of the topics."""

from collections.abc import Iterator
from random import Random
from typing import assert_never

from whyformer.data.corpora.cldr.dates import dates
from whyformer.data.corpora.cldr.intervals import intervals
from whyformer.data.corpora.cldr.lists import lists
from whyformer.data.corpora.cldr.money import money
from whyformer.data.corpora.cldr.numbers import numbers
from whyformer.data.corpora.cldr.phrase import Phrase, Topic
from whyformer.data.corpora.cldr.relative import relative
from whyformer.data.corpora.cldr.times import times
from whyformer.data.corpora.cldr.units import units


def phrases(topic: Topic, seed: int) -> Iterator[Phrase]:
    """Phrases about ``topic``; the topics are drawn independently of each other."""
    random = Random(f"{seed} {topic}")
    match topic:
        case "dates":
            return dates(random)
        case "intervals":
            return intervals(random)
        case "times":
            return times(random)
        case "relative":
            return relative(random)
        case "numbers":
            return numbers(random)
        case "lists":
            return lists(random)
        case "units":
            return units(random)
        case "money":
            return money(random)
        case _:
            assert_never(topic)
