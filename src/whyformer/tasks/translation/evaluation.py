"""Translates a test set and scores what comes out."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from whyformer.data.corpora.pair_files import Referenced
from whyformer.decoding.search import SearchSpec
from whyformer.tasks.output import TextOutput
from whyformer.tasks.translation.metrics import Metric, ScoringSpec, Tokenize, is_right, score
from whyformer.tasks.translation.translator import Translator


@dataclass(frozen=True)
class Translated:
    """A sentence of a test set, what it should become, and what it became."""

    source: str
    references: list[str]
    translation: str
    right: bool
    """Whether the translation equals a reference."""


@dataclass(frozen=True)
class Evaluation:
    """How a translator did on one test set."""

    name: str
    sentences: list[Translated]
    scores: list[Metric]
    tokens: int
    """Target tokens written, end marks left out."""
    seconds: float
    """Time for translating, without loading and scoring."""

    def examples(self, right: bool, count: int) -> list[Translated]:
        """Up to ``count`` sentences that came out right (or wrong), from all over the set."""
        found = [sentence for sentence in self.sentences if sentence.right == right]
        return found[:: max(1, len(found) // count)][:count] if count else []

    def summary(self) -> dict[str, object]:
        """The figures, ready for JSON."""
        return {
            "name": self.name,
            "sentences": len(self.sentences),
            "scores": [vars(each) for each in self.scores],
            "seconds": self.seconds,
            "sentences_per_second": len(self.sentences) / self.seconds,
            "tokens_per_second": self.tokens / self.seconds,
        }


def evaluate_translator(
    translator: Translator,
    name: str,
    pairs: Sequence[Referenced],
    scoring: ScoringSpec,
    *,
    settings: SearchSpec | None = None,
    tokenize: Sequence[Tokenize] = (),
    batch: int = 64,
    advance: Callable[[int], None] | None = None,
) -> Evaluation:
    """Translate the sources of ``pairs`` and compare the best translation of each with its references.

    See ``Translator.translate`` for ``settings``, ``batch`` and ``advance``, and ``score`` for the rest.

    Raises:
        DecodingError: a sentence is longer than the model takes.
        DataError: the set is empty.
    """
    began = time.perf_counter()
    found = translator.translate([pair.source for pair in pairs], settings, batch=batch, advance=advance)
    seconds = time.perf_counter() - began
    best: list[TextOutput] = [candidates[0] for candidates in found]
    sentences = [
        Translated(
            pair.source,
            pair.references,
            candidate.text,
            is_right(candidate.text, pair.references, lowercase=scoring.lowercase),
        )
        for pair, candidate in zip(pairs, best, strict=True)
    ]
    texts, references = [candidate.text for candidate in best], [pair.references for pair in pairs]
    scores = score(texts, references, scoring, tokenize)
    return Evaluation(name, sentences, scores, sum(len(candidate.ids) for candidate in best), seconds)
