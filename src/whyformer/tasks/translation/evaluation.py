"""Evaluation of a translator: a test set translated and scored."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from typing_extensions import override

from whyformer.data.corpora.pair_files import Referenced
from whyformer.decoding.search import SearchSpec
from whyformer.errors import DataError, without_notes
from whyformer.language import padded, translated
from whyformer.tasks.output import TextOutput
from whyformer.tasks.task import Metrics
from whyformer.tasks.translation.scores.metrics import (
    Metric,
    ScoringSpec,
    Tokenize,
    is_right,
    score,
    words_of_zero,
)
from whyformer.tasks.translation.translator import Translator

_SHOWN = 5
"""Sentences left out that are named."""


@dataclass(frozen=True)
class Translated:
    """A sentence of a test set, its references and its translation."""

    source: str
    references: list[str]
    translation: str
    right: bool
    """Whether the translation equals a reference."""


@dataclass(frozen=True)
class Evaluation(Metrics):
    """Scores of a translator on one test set, and its translations."""

    sentences: list[Translated]
    scores: list[Metric]
    tokens: int
    """Number of target tokens written, EOS left out."""
    seconds: float
    """Time for translating, without loading and scoring."""
    search: SearchSpec
    """Way in which it searched."""
    overlong: tuple[int, ...] = ()
    """Places, from 1, of the sentences that are longer than the model takes, and were left out."""

    @property
    @override
    def figures(self) -> dict[str, float]:
        return {each.name: each.value for each in reversed(self.scores)}

    @property
    @override
    def settings(self) -> dict[str, object]:
        return {"search": self.search.model_dump(mode="json")}

    def examples(self, right: bool, count: int) -> list[Translated]:
        """Up to ``count`` sentences that came out right (or wrong), from all over the set."""
        found = [sentence for sentence in self.sentences if sentence.right == right]
        return found[:: max(1, len(found) // count)][:count] if count else []

    @override
    def lines(self, name: str, examples: int = 0) -> Iterator[str]:
        seconds, count = self.seconds, len(self.sentences)
        rates = f"{count / seconds:,.1f} sentences/s, {self.tokens / seconds:,.0f} tokens/s"
        yield f"{name}: {count:,} sentences in {seconds:.1f} s ({rates})"
        if self.overlong:
            shown = ", ".join(map(str, self.overlong[:_SHOWN]))
            others = len(self.overlong) - _SHOWN
            yield (
                f"  left out, as longer than the model takes: {len(self.overlong):,} of "
                f"{count + len(self.overlong):,} sentences (number {shown}"
                f"{f' and {others:,} more' if others > 0 else ''})"
            )
        for each in self.scores:
            yield f"  {each.name:<6} {each.value:6.2f}  {each.signature}"
        if said := words_of_zero(self.scores, (sentence.references[0] for sentence in self.sentences)):
            yield f"  {said}"
        for right, word in ((True, translated("right")), (False, translated("wrong"))):
            for sentence in self.examples(right, examples):
                yield f"  {word}"
                yield f"    {padded(translated('source'), 12)} {sentence.source}"
                yield f"    {padded(translated('translation'), 12)} {sentence.translation}"
                if not right:
                    name = padded(translated("reference"), 12)
                    yield from (f"    {name} {reference}" for reference in sentence.references)

    @override
    def record(self, examples: int = 0) -> dict[str, object]:
        shown: dict[str, object] = {
            "sentences": len(self.sentences),
            **({"left_out": list(self.overlong)} if self.overlong else {}),
            "scores": [vars(each) for each in self.scores],
            "seconds": self.seconds,
            "sentences_per_second": len(self.sentences) / self.seconds,
            "tokens_per_second": self.tokens / self.seconds,
        }
        if examples:
            for right, word in ((True, "right"), (False, "wrong")):
                shown[word] = [vars(sentence) for sentence in self.examples(right, examples)]
        return shown

    @override
    def outputs(self) -> Iterator[dict[str, object]]:
        yield from map(vars, self.sentences)


def evaluate_translator(
    translator: Translator,
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

    Sentences that are longer than the model takes are left out, and named.

    Raises:
        DataError: the set is empty, or has only sentences that are left out.
    """
    settings = translator.settings if settings is None else settings
    fits = translator.fits([pair.source for pair in pairs])
    overlong = tuple(number for number, fit in enumerate(fits, start=1) if not fit)
    if overlong and not any(fits):
        raise DataError(
            f"all {len(pairs):,} sentences are longer than the {translator.model.longest - 1:,} tokens that "
            "the model takes; split them."
        )
    pairs = [pair for pair, fit in zip(pairs, fits, strict=True) if fit]
    began = time.perf_counter()
    sources = [pair.source for pair in pairs]
    translator.tokenizers.source.note_unseen(sources)
    with without_notes():
        found = translator.translate(sources, settings, batch=batch, advance=advance, scores=False)
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
    tokens = sum(len(candidate.ids) for candidate in best)
    return Evaluation(sentences, scores, tokens, seconds, settings, overlong)
