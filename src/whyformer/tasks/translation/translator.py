"""The translator: text in, text out."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import chain
from operator import call

import torch

from whyformer.data.batches.batch import Batch
from whyformer.data.batches.planning import length_batches
from whyformer.data.corpora.detection.blank import is_blank
from whyformer.data.tokenizers.pair import TokenizerPair
from whyformer.data.tokenizers.text.sentences import join_sentences, split_line
from whyformer.decoding.hypothesis import Hypothesis
from whyformer.decoding.search import SearchSpec, search
from whyformer.decoding.stopping import Wanted, still_wanted
from whyformer.engines.cores import cores_for
from whyformer.engines.engine import Engine
from whyformer.engines.parallel import side_by_side
from whyformer.engines.rescoring import rescored
from whyformer.models.encoder_decoder import AnyEncoderDecoder
from whyformer.progress import progress
from whyformer.special_tokens import EOS
from whyformer.tasks.bad_lines import BadLines, unreadable
from whyformer.tasks.opening import openings
from whyformer.tasks.output import TextOutput

MANY = 8
"""Number of batches from which on it pays to measure whether they go faster side by side."""


@dataclass(frozen=True)
class SourceSentence:
    """A sentence in tokens, ready to be searched for its translation."""

    tokens: list[int] | None
    """Token ids, EOS left out; None where there is nothing to translate."""
    number: int
    """Number of its line in the caller's data: errors name it, and draws depend on it."""
    begins: bool = True
    """Whether it begins its line."""


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
        return [candidates[0].text for candidates in self.translate(texts, batch=batch, scores=False)]

    def translate(
        self,
        texts: Sequence[str] | Sequence[SourceSentence],
        settings: SearchSpec | None = None,
        *,
        batch: int = 64,
        first: int = 1,
        advance: Callable[[int], None] | None = None,
        scores: bool = True,
        split: bool = False,
        bad: BadLines | None = None,
        wanted: Wanted | None = None,
    ) -> list[list[TextOutput]]:
        """The translations of each line, best first.

        Lines of like length are searched side by side, and come back in their own order. A blank line has
        one translation, which is empty.

        Args:
            texts: lines, of one sentence each unless ``split``; or what ``encode`` has made of lines of
                several callers, each with its own number.
            settings: how to search; the recipe's way if left out. A prefix begins a line, not each sentence.
            batch: sentences side by side; it changes the speed, not the result.
            first: the number of the first line in the caller's data, from 1. Errors name lines, and
                what is drawn for a sentence depends on its line, so data may be translated in parts.
            advance: told after each batch how many sentences it had; else whoever hears of progress is.
            scores: whether scores are looked at. Those of an engine that counts otherwise cost a pass more.
            split: translate each sentence of a line by itself; a line has one translation then, the best
                ones joined, and its score is their sum.
            bad: what to do about lines that cannot be translated; they get an empty translation, too. An
                error is raised if left out.
            wanted: whether each sentence still is; one that is not leaves, with whatever it has by then.

        Raises:
            DecodingError: a line is longer than the model takes or no text, or the settings do not suit the
                model.
        """
        bad = BadLines("stop") if bad is None else bad
        lines = [self._sentences(text) if split else [text] for text in texts if isinstance(text, str)]
        sentences = [text for text in texts if not isinstance(text, str)] or self._encoded(lines, first, bad)
        if lines and not split:
            sound = {number: line for number, (line,) in enumerate(lines, start=first)}
            self.tokenizers.source.note_longer({n: t for n, t in sound.items() if n not in bad.left_out})
        settings = self.settings if settings is None else settings
        results = [[TextOutput("", 0.0, (), [], finished=True)] for _ in sentences]
        filled = [index for index, sentence in enumerate(sentences) if sentence.tokens is not None]
        begins = [sentences[index].begins for index in filled]
        shown = progress("translating", len(filled), "sentences") if advance is None else nullcontext(advance)
        with shown as done, cores_for(self._device).turn() as turn:
            for way, taken in _ways(settings, begins):
                places = [filled[place] for place in taken]
                sought = [sentences[place] for place in places]
                for order, rows, found in self._searches(sought, way, batch, still_wanted(wanted, places)):
                    for place, best in zip(order, self._outputs(rows, found, way, scores), strict=True):
                        results[places[place]] = best
                    done(len(order))
                    turn.pass_on()
        rest = iter(results)
        return [[_joined([next(rest)[0] for _ in line])] for line in lines] if split and lines else results

    def encode(self, texts: Sequence[str], *, first: int = 1) -> list[SourceSentence]:
        """Lines ready for ``translate``, of one sentence each; see there for ``first``.

        Raises:
            DecodingError: a line is longer than the model takes or no text.
        """
        return self._encoded([[text] for text in texts], first, BadLines("stop"))

    def fits(self, texts: Sequence[str]) -> list[bool]:
        """Whether each sentence is short enough for the model."""
        return [len(source) <= self._most for source in self.tokenizers.source.encode_all(texts)]

    def openings(self, text: str) -> tuple[tuple[int, ...], ...]:
        """The sequences of tokens, with one of which every translation that begins with ``text`` does.

        For the settings of a search. ``text`` may end anywhere, inside a word or a piece too; white space
        at its end counts.

        Raises:
            DecodingError: the target tokenizer has no piece for a character of ``text``.
        """
        return openings(self.tokenizers.target, text)

    @property
    def _most(self) -> int:
        """Maximum number of tokens of a sentence."""
        return self.model.longest - 1  # EOS is the last

    def _sentences(self, line: str) -> list[str]:
        """The sentences of ``line``; itself where there is but one, or none."""
        return split_line(self.tokenizers.source.normalized(line)) if unreadable(line, 0) is None else [line]

    def _encoded(self, lines: Sequence[Sequence[str]], first: int, bad: BadLines) -> list[SourceSentence]:
        """The sentences of all ``lines``; those of lines that are left out have no tokens."""
        numbers = [number for number, line in enumerate(lines, start=first) for _ in line]
        sentences = [*chain.from_iterable(lines)]
        for number, sentence in zip(numbers, sentences, strict=True):
            if (why := unreadable(sentence, number)) is not None:
                bad.leave_out(number, why)
        readable = [
            "" if number in bad.left_out else sentence
            for number, sentence in zip(numbers, sentences, strict=True)
        ]
        self.tokenizers.source.note_unseen(readable)
        most = self._most
        sources = self.tokenizers.source.encode_all(readable)
        for number, source in zip(numbers, sources, strict=True):
            if len(source) > most:
                bad.cut_short(
                    number,
                    f"line {number} has {len(source):,} tokens, but the model takes {most:,} at most; "
                    "split the sentence.",
                )
        before = [first - 1, *numbers]
        return [
            SourceSentence(
                None if is_blank(sentence) or number in bad.left_out else source[:most],
                number,
                begins=number != last,
            )
            for number, last, sentence, source in zip(numbers, before, sentences, sources, strict=False)
        ]

    def _searches(
        self, sentences: Sequence[SourceSentence], settings: SearchSpec, batch: int, wanted: Wanted | None
    ) -> Iterator[tuple[list[int], Batch, list[list[Hypothesis]]]]:
        """Batch by batch the places of those of ``sentences`` in it, their tokens, and what is found."""
        sources = [sentence.tokens or [] for sentence in sentences]
        orders = length_batches([len(source) for source in sources], batch)
        batches = [Batch.of([[*sources[place], EOS] for place in order], self._device) for order in orders]
        jobs = [
            self._job(
                rows, [sentences[place].number for place in order], settings, still_wanted(wanted, order)
            )
            for rows, order in zip(batches, orders, strict=True)
        ]
        few = len(jobs) < MANY or self._device.type != "cpu"
        # A few come one after another, by functions that leave no frame between here and the search.
        found = map(call, jobs) if few and self.parallel is None else side_by_side(jobs, self.parallel)
        return zip(orders, batches, found, strict=True)

    def _outputs(
        self, rows: Batch, found: list[list[Hypothesis]], settings: SearchSpec, scores: bool
    ) -> list[list[TextOutput]]:
        """The translations of the sentences of a batch, best first, from what was ``found``."""
        hypotheses = self._scored(rows, found, settings) if scores else found
        target = self.tokenizers.target
        # One call of the library: a batch of small searches is as fast as many calls.
        texts = iter(target.decode_all([each.tokens for best in hypotheses for each in best]))
        return [
            [
                TextOutput(next(texts), each.score, each.tokens, target.tokens(each.tokens), each.finished)
                for each in best
            ]
            for best in hypotheses
        ]

    def _scored(
        self, rows: Batch, found: list[list[Hypothesis]], settings: SearchSpec
    ) -> list[list[Hypothesis]]:
        """The hypotheses with scores as we define them, where the engine has others."""
        if all(each.token_log_probabilities for best in found for each in best):
            return found
        return rescored(self.model, rows.tokens, rows.layout, found, settings)

    @property
    def _device(self) -> torch.device:
        return self.model.output_weight.device

    def _job(
        self, rows: Batch, numbers: list[int], settings: SearchSpec, wanted: Wanted | None
    ) -> Callable[[], list[list[Hypothesis]]]:
        """The search of one batch, ready to be called."""
        limit = self.model.longest - 1
        told = partial(self.engine, rows.tokens, rows.layout, settings, model_limit=limit, numbers=numbers)
        return told if wanted is None else partial(told, wanted=wanted)


def _ways(settings: SearchSpec, begins: Sequence[bool]) -> Iterator[tuple[SearchSpec, list[int]]]:
    """Ways to search, and the places of the sentences to search so: a prefix ``begins`` a line, not each."""
    if all(begins) or not (settings.prefix or settings.openings):
        yield settings, [*range(len(begins))]
        return
    yield settings, [place for place, first in enumerate(begins) if first]
    free = settings.model_copy(update={"prefix": (), "openings": ()})
    yield free, [place for place, first in enumerate(begins) if not first]


def _joined(parts: Sequence[TextOutput]) -> TextOutput:
    """The translations of a line's sentences as one."""
    return TextOutput(
        join_sentences([part.text for part in parts]),
        sum(part.score for part in parts),
        tuple(chain.from_iterable(part.ids for part in parts)),
        list(chain.from_iterable(part.tokens for part in parts)),
        all(part.finished for part in parts),
    )
