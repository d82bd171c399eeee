"""The embedded corpus: real sentence pairs with a known truth, written on the spot by Unicode CLDR."""

from typing import Literal, Self, get_args

from pydantic import Field, model_validator

from whyformer.data.corpora.cldr.normalise import normalise
from whyformer.data.corpora.cldr.phrase import CorpusLanguage, Topic
from whyformer.data.corpora.cldr.splits import CldrPair, Splits, divide
from whyformer.spec import Spec

_TOPICS: tuple[Topic, ...] = get_args(Topic)


class CldrSpec(Spec):
    """Pairs that say the same content in two languages; each source has exactly one target."""

    kind: Literal["cldr"] = "cldr"

    source: CorpusLanguage = "en"
    """Language to translate from: en, zh (simplified), de or fr."""

    target: CorpusLanguage = "zh"
    """Language to translate into; not the same as ``source``."""

    topics: tuple[Topic, ...] = Field(default=_TOPICS, min_length=1)
    """Topics of the sentences; their order does not matter."""

    pairs: int | None = Field(default=None, ge=1)
    """Maximum number of pairs, over train, valid and test together; null keeps all (50,000 to 60,000)."""

    seed: int = 1
    """Seed of the draw of dates, numbers and names. Which of them are held out does not depend on it."""

    @model_validator(mode="after")
    def _two_languages(self) -> Self:
        if self.source == self.target:
            raise ValueError(f"source and target are both {self.source}; choose two different languages")
        return self

    def build(self) -> Splits:
        """Write all pairs (a few seconds; the same spec gives the same bytes) and divide them.

        Raises:
            DataError: ``pairs`` is so small that nothing would be held out.
        """
        # Babel and the number words take a while to import; a spec alone must not cost that.
        from whyformer.data.corpora.cldr.locales import locale_of
        from whyformer.data.corpora.cldr.topics import phrases

        source, target = locale_of(self.source), locale_of(self.target)
        by_source: dict[str, CldrPair] = {}
        names: set[str] = set()
        for topic in _TOPICS:
            if topic not in self.topics:
                continue
            for phrase in phrases(topic, self.seed):
                said, meant = normalise(phrase.say(source)), normalise(phrase.say(target))
                pair = CldrPair(said, meant, topic, phrase.content)
                if _says_something(pair):
                    # A content is written in its most explicit form first: that one stays.
                    by_source.setdefault(pair.source, pair)
                if phrase.introduces_name:
                    names.add(phrase.content)
        return divide(list(by_source.values()), names, self.pairs)


def _says_something(pair: CldrPair) -> bool:
    """False for figures alone that are written alike, as 14:30 in German and French."""
    return pair.source != pair.target or any(character.isalpha() for character in pair.source)
