"""Making the shortlist of a run, and measuring how much of what its model writes is listed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from whyformer.data.corpora.parallel import Corpus
from whyformer.data.store.pair_data import pair_corpus
from whyformer.data.tokenizers.pair import TokenizerPair
from whyformer.data.tokenizers.specials import BYTES
from whyformer.decoding.greedy import GreedySpec
from whyformer.engines.shortlist.table import ShortlistData
from whyformer.errors import without_notes
from whyformer.runs.execution import Execution
from whyformer.runs.load import load_as, open_run
from whyformer.runs.shortlist_file import Coverage, coverage, save_shortlist
from whyformer.tasks.bad_lines import BadLines
from whyformer.tasks.recipe import require_data
from whyformer.tasks.translation.task import TranslationRecipe
from whyformer.tasks.translation.translator import Translator
from whyformer.training.storage.lock import RunLock

COVERED = 0.999
"""Share of the written pieces that the lists should have."""


@dataclass(frozen=True)
class ListSize:
    """Size of the lists of a shortlist."""

    frequent: int = 50
    """Number of frequent target pieces in every list."""
    each: int = 50
    """Number of target pieces for each source piece."""
    rare: int = 5
    """Times that a source piece must have been trained on, lest its sentence take the whole vocabulary."""


@dataclass(frozen=True)
class MadeShortlist:
    """A shortlist that was written, and what it has of the translations of the validation set."""

    path: Path
    vocabulary: int
    """Number of target pieces."""
    tried: list[tuple[ListSize, Coverage]]
    """The size that was asked for, and larger ones until the lists have enough."""


def make_shortlist(
    run: Path,
    size: ListSize,
    *,
    execution: Execution | None = None,
    weights: Path | None = None,
    batch: int = 64,
    own: bool = False,
) -> MadeShortlist:
    """Write the shortlist of ``run`` from its training data, and measure it on its validation set.

    Args:
        run: the folder of a run that translates.
        size: of the lists.
        execution: device, threads, precision and engine that translate the validation set.
        weights: other weights of the run, that translate it.
        batch: sentences side by side; it changes the speed, not the result.
        own: learn also from what the model itself writes for the training sentences, greedily.

    Raises:
        CheckpointError: the run does not translate, or another process writes into it.
        RecipeError: it is an imported model, whose training data are elsewhere.
        DataError: its data cannot be read any more.
    """
    translator = load_as(Translator, run, execution, weights)
    folder, recipe, _, _ = open_run(run)
    assert isinstance(recipe, TranslationRecipe), "others have no translator"
    with without_notes():
        corpus = pair_corpus(require_data(recipe.data))
    written = _written(translator, corpus, batch) if own else []
    data = shortlist_data(corpus, translator.tokenizers, written)
    table = data.table(size.frequent, size.each, size.rare)
    with RunLock(run):
        path = save_shortlist(folder, table)
    texts = [pair.source for pair in corpus.valid]
    texts = [text for text, fits in zip(texts, translator.fits(texts), strict=True) if fits]
    sources = translator.tokenizers.source.encode_all(texts)
    with without_notes():
        written = [best[0].ids for best in translator.translate(texts, batch=batch, scores=False)]
    tried = [(size, coverage(table, sources, written))]
    while tried[-1][1].pieces < COVERED and size.each < len(data.order):
        size = replace(size, each=2 * size.each)
        table = data.table(size.frequent, size.each, size.rare)
        tried.append((size, coverage(table, sources, written)))
    return MadeShortlist(path, len(data.order), tried)


def shortlist_data(
    corpus: Corpus, tokenizers: TokenizerPair, written: Sequence[Sequence[int]] = ()
) -> ShortlistData:
    """Facts of the training side of ``corpus``, and of what was ``written`` for its sources, ids each."""
    source, target = tokenizers.source, tokenizers.target
    return ShortlistData.of(
        source.encode_all([text for text, _ in corpus.train]),
        target.encode_all([text for _, text in corpus.train]),
        (source.size, target.size),
        written=written,
        joint=tokenizers.joint,
        unreliable=[id for id, piece in enumerate(source.pieces) if piece in BYTES],
    )


def _written(translator: Translator, corpus: Corpus, batch: int) -> list[tuple[int, ...]]:
    """The ids that greedy search writes for each training sentence; none for those that are too long."""
    texts = [text for text, _ in corpus.train]
    with without_notes():
        found = translator.translate(texts, GreedySpec(), batch=batch, scores=False, bad=BadLines("skip"))
    return [best[0].ids for best in found]
