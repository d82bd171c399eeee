"""Facts about a run's texts that its recipe tells: their languages, and sentences to try."""

from typing import NamedTuple

from whyformer.browser.examples import short_sources
from whyformer.data.corpora.parallel import FilesSpec
from whyformer.data.store.pair_data import StoredPairsSpec
from whyformer.serve.languages import LanguagePair, language_pair
from whyformer.tasks.recipe import Recipe
from whyformer.tasks.translation.task import TranslationRecipe


class TextFacts(NamedTuple):
    """Facts that clients are told of a run's texts."""

    languages: LanguagePair | None = None
    """Languages it translates between, where its recipe says so."""
    examples: tuple[str, ...] = ()
    """Sources that it has never trained on, for a reader to try; never any of somebody's files."""


def text_facts(recipe: Recipe) -> TextFacts:
    """The facts that ``recipe`` tells.

    Examples are only had of data that this package writes itself: what stands in files may be private, and
    whoever serves a run has not said that its texts may be shown.
    """
    data = recipe.data if isinstance(recipe, TranslationRecipe) else None
    written = None if isinstance(data, FilesSpec | StoredPairsSpec) else data
    return TextFacts(language_pair(recipe), tuple(short_sources(written)))
