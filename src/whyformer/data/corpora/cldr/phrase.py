"""Phrase that a topic hands over: one thing to be said, and how each of the languages says it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from babel import Locale

CorpusLanguage = Literal["en", "zh", "de", "fr"]
"""English (as written in the United States), Chinese (simplified), German, French."""

Topic = Literal["dates", "intervals", "times", "relative", "numbers", "lists", "units", "money"]


@dataclass(frozen=True)
class Phrase:
    """One content in one form; both sides of a pair are the same phrase said in two languages."""

    content: str
    """Content, no more and no less: ``1998-11-08``, ``-12 day``, ``DE+FR``. Phrases that say the
    same thing in other forms have the same content, and so stay in one split."""
    say: Callable[["Locale"], str]
    """Writes the content in the language of a locale."""
    introduces_name: bool = False
    """True for a name that cannot be guessed (a country, a unit): it must be seen in training."""
