"""The translator: text in, text out."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from operator import call

from whyformer.data.batches.batch import Batch
from whyformer.data.batches.planning import length_batches
from whyformer.data.tokenizers.pair import TokenizerPair
from whyformer.decoding.hypothesis import Hypothesis
from whyformer.decoding.search import SearchSpec, search
from whyformer.engines.engine import Engine
from whyformer.engines.parallel import side_by_side
from whyformer.errors import DecodingError
from whyformer.models.encoder_decoder import AnyEncoderDecoder
from whyformer.progress import progress
from whyformer.special_tokens import EOS, UNK
from whyformer.tasks.output import TextOutput

MANY = 8
"""Number of batches from which on it pays to measure whether they go faster side by side."""


class Translator:
    """A trained model with its tokenizers and its way of searching.

    >>> translator = whyformer.load("runs/demo")  # doctest: +SKIP
    >>> translator("Sunday, November 8, 1998")  # doctest: +SKIP
    '1998年11月8日星期日'
    """

    def __init__(
        self,
        model: AnyEncoderDecoder,
        tokenizers: TokenizerPair,
        settings: SearchSpec,
        *,
        engine: Engine | None = None,
        parallel: int | None = None,
    ) -> None:
        self.model = model.eval()
        self.tokenizers = tokenizers
        self.settings = settings
        """Way to search where a call does not say otherwise."""
        self.engine: Engine = partial(search, self.model) if engine is None else engine
        """Engine that searches: our own loop unless given."""
        self.parallel = parallel
        """Batches searched side by side; None to measure what is faster: one, or one for each core."""

    def use(self, engine: Engine, parallel: int | None) -> None:
        """Search by ``engine`` from now on, ``parallel`` batches at a time; None measures what is faster."""
        self.engine = engine
        self.parallel = parallel

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
    ) -> list[list[TextOutput]]:
        """The translations of each sentence, best first.

        Sentences of like length are searched side by side, and come back in their own order. A blank
        sentence, such as an empty line, has one translation, which is empty.

        Args:
            texts: sentences.
            settings: how to search; the recipe's way if left out.
            batch: sentences side by side; it changes the speed, not the result.
            first: the line of the first sentence in the caller's data, from 1. Errors name lines, and
                what is drawn for a sentence depends on its line, so data may be translated in parts.
            advance: told after each batch how many sentences it had; else whoever hears of progress is.

        Raises:
            DecodingError: a sentence is longer than the model takes, or the settings do not suit the model.
        """
        sources = self._encoded(texts, first)
        results = [[TextOutput("", 0.0, (), [], finished=True)] for _ in texts]
        filled = [index for index, text in enumerate(texts) if text.strip()]
        settings = self.settings if settings is None else settings
        orders = length_batches([len(sources[index]) for index in filled], batch)
        batches = [[filled[place] for place in order] for order in orders]
        jobs = [self._job([sources[index] for index in each], each, first, settings) for each in batches]
        few = len(jobs) < MANY or self.model.output_weight.device.type != "cpu"
        # A few come one after another, by functions that leave no frame between here and the search.
        found = map(call, jobs) if few and self.parallel is None else side_by_side(jobs, self.parallel)
        shown = progress("translating", len(texts), "sentences") if advance is None else nullcontext(advance)
        with shown as done:
            for indices, hypotheses in zip(batches, found, strict=True):
                for index, best in zip(indices, hypotheses, strict=True):
                    results[index] = [self._candidate(hypothesis) for hypothesis in best]
                done(len(indices))
        return results

    def prefix(self, text: str) -> tuple[int, ...]:
        """The tokens that a translation starts with if it starts with ``text``, for a search to begin with.

        White space at the end is dropped: it belongs to the word that follows. A word that is cut off is
        completed only if the tokenizer would have cut it there.

        Raises:
            DecodingError: the target tokenizer has no piece for a character of ``text``.
        """
        ids = tuple(self.tokenizers.target.encode(text.rstrip()))
        if UNK in ids:
            written = self.tokenizers.target.decode(ids)
            raise DecodingError(
                f"the target tokenizer can write the prefix {text!r} only as {written!r}; "
                "leave out what is unknown."
            )
        return ids

    def _encoded(self, texts: Sequence[str], first: int) -> list[list[int]]:
        sources = self.tokenizers.source.encode_all(texts)
        most = self.model.longest - 1  # EOS is the last
        for line, source in enumerate(sources, start=first):
            if len(source) > most:
                raise DecodingError(
                    f"line {line} has {len(source):,} tokens, but the model takes {most:,} at most; "
                    "split the sentence."
                )
        return sources

    def _job(
        self, sources: list[list[int]], indices: Sequence[int], first: int, settings: SearchSpec
    ) -> Callable[[], list[list[Hypothesis]]]:
        """The search of one batch, ready to be called."""
        rows = Batch.of([[*source, EOS] for source in sources], self.model.output_weight.device)
        limit, numbers = self.model.longest - 1, [first + index for index in indices]
        return partial(self.engine, rows.tokens, rows.layout, settings, model_limit=limit, numbers=numbers)

    def _candidate(self, hypothesis: Hypothesis) -> TextOutput:
        target, tokens = self.tokenizers.target, hypothesis.tokens
        text, readable = target.decode(tokens), target.tokens(tokens)
        return TextOutput(text, hypothesis.score, tokens, readable, hypothesis.finished)
