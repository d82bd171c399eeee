"""The translator: text in, text out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from whyformer.data.batch import Batch
from whyformer.data.text.tokenizer_pair import TokenizerPair
from whyformer.decoding.hypothesis import Hypothesis
from whyformer.decoding.order import length_batches
from whyformer.decoding.search import SearchSpec, search
from whyformer.errors import DecodingError
from whyformer.marks import END, UNKNOWN
from whyformer.models.pair import AnyPairModel


@dataclass(frozen=True)
class Candidate:
    """One translation of a sentence."""

    text: str
    score: float
    """What the search ranks by: log-probability in nats, length penalty and coverage penalty applied."""
    ids: tuple[int, ...]
    """The tokens it was written in, without marks."""
    tokens: list[str]
    """The same, readable."""
    finished: bool
    """False where the length limit came before the end mark."""


class Translator:
    """A trained model with its tokenizers and its way of searching.

    >>> translator = whyformer.load("runs/demo")  # doctest: +SKIP
    >>> translator("Sunday, November 8, 1998")  # doctest: +SKIP
    '1998年11月8日星期日'
    """

    def __init__(self, model: AnyPairModel, tokenizers: TokenizerPair, settings: SearchSpec) -> None:
        self.model = model.eval()
        self.tokenizers = tokenizers
        self.settings = settings
        """How to search where a call does not say otherwise."""

    def __call__(self, text: str) -> str:
        """The best translation of one sentence."""
        return self.best([text])[0]

    def best(self, texts: Sequence[str], *, batch: int = 64) -> list[str]:
        """The best translation of each sentence; see ``translate`` for errors."""
        return [candidates[0].text for candidates in self.translate(texts, batch=batch)]

    def translate(
        self,
        texts: Sequence[str],
        settings: SearchSpec | None = None,
        *,
        batch: int = 64,
        first: int = 1,
        advance: Callable[[int], None] | None = None,
    ) -> list[list[Candidate]]:
        """The translations of each sentence, best first.

        Sentences of like length are searched side by side, and come back in their own order. A blank
        sentence, such as an empty line, has one translation, which is empty.

        Args:
            texts: sentences.
            settings: how to search; the recipe's way if left out.
            batch: sentences side by side; it changes the speed, not the result.
            first: the line of the first sentence in the caller's data, from 1. Errors name lines, and
                what is drawn for a sentence depends on its line, so data may be translated in parts.
            advance: told after each batch how many sentences it had.

        Raises:
            DecodingError: a sentence is longer than the model takes, or the settings do not suit the model.
        """
        sources = self._encoded(texts, first)
        results = [[Candidate("", 0.0, (), [], finished=True)] for _ in texts]
        filled = [index for index, text in enumerate(texts) if text.strip()]
        device = self.model.output_weight.device
        for order in length_batches([len(sources[index]) for index in filled], batch):
            indices = [filled[place] for place in order]
            rows = Batch.of([[*sources[index], END] for index in indices], device)
            found = search(
                self.model,
                rows.tokens,
                rows.valid,
                self.settings if settings is None else settings,
                model_limit=self.model.longest - 1,
                numbers=[first + index for index in indices],
            )
            for index, hypotheses in zip(indices, found, strict=True):
                results[index] = [self._candidate(hypothesis) for hypothesis in hypotheses]
            if advance is not None:
                advance(len(indices))
        return results

    def prefix(self, text: str) -> tuple[int, ...]:
        """The tokens that a translation starts with if it starts with ``text``, for a search to begin with.

        White space at the end is dropped: it belongs to the word that follows. A word that is cut off is
        completed only if the tokenizer would have cut it there.

        Raises:
            DecodingError: the target tokenizer has no piece for a character of ``text``.
        """
        ids = tuple(self.tokenizers.target.encode(text.rstrip()))
        if UNKNOWN in ids:
            written = self.tokenizers.target.decode(ids)
            raise DecodingError(
                f"the target tokenizer can write the prefix {text!r} only as {written!r}; "
                "leave out what is unknown."
            )
        return ids

    def _encoded(self, texts: Sequence[str], first: int) -> list[list[int]]:
        sources = self.tokenizers.source.encode_all(texts)
        most = self.model.longest - 1  # the end mark is the last
        for line, source in enumerate(sources, start=first):
            if len(source) > most:
                raise DecodingError(
                    f"line {line} has {len(source):,} tokens, but the model takes {most:,} at most; "
                    "split the sentence."
                )
        return sources

    def _candidate(self, hypothesis: Hypothesis) -> Candidate:
        target, tokens = self.tokenizers.target, hypothesis.tokens
        text, readable = target.decode(tokens), target.tokens(tokens)
        return Candidate(text, hypothesis.score, tokens, readable, hypothesis.finished)
