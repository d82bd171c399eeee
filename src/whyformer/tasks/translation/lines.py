"""Lines of text to lines of translations, however many there are, part by part."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import islice

from whyformer.decoding.search import SearchSpec
from whyformer.progress import Advance
from whyformer.tasks.bad_lines import BadLines
from whyformer.tasks.output import TextOutput, as_json_line
from whyformer.tasks.translation.translator import Translator

PART = 16_384
"""Lines that are sorted by length together; what is done of a long text is written part by part."""


def _unseen(_count: int) -> AbstractContextManager[Advance]:
    return nullcontext(lambda _done: None)


@dataclass(frozen=True)
class LineForm:
    """Choices of how lines are translated and what is written of each, besides the search."""

    scores: bool = False
    """Whether SCORE (in nats) and TEXT stand in columns."""
    as_json: bool = False
    """Whether a JSON object is written for each line."""
    split: bool = False
    """Whether each sentence of a line is translated by itself."""


class LineTranslator:
    """A translator that takes lines and gives lines."""

    def __init__(self, translator: Translator, settings: SearchSpec, form: LineForm, batch: int) -> None:
        self._translator = translator
        self._settings = settings
        self._form = form
        self._batch = batch
        strategy = settings.build()
        self._numbered = strategy.n_best * strategy.samples > 1

    def lines(
        self,
        texts: Iterable[str],
        bad: BadLines,
        shown: Callable[[int], AbstractContextManager[Advance]] = _unseen,
    ) -> Iterator[str]:
        """The output for all ``texts``, in their order; no more of them than a part is held in memory.

        Args:
            texts: one a line.
            bad: what to do about those that cannot be translated.
            shown: shows how much of a part of so many lines is done.

        Raises:
            DecodingError: a line cannot be translated, and the choice is to stop.
        """
        rest, first = iter(texts), 1
        while part := [*islice(rest, PART)]:
            with shown(len(part)) as advance:
                found = self._translated(part, first, bad, advance)
            for line, (source, candidates) in enumerate(zip(part, found, strict=True), start=first):
                yield from self._written(line, source, candidates, bad.left_out.get(line))
            first += len(part)

    def line(self, text: str, number: int) -> list[str]:
        """The output for one line, by its ``number``.

        Raises:
            DecodingError: it cannot be translated.
        """
        return [*self._written(number, text, self._translated([text], number, None, None)[0], None)]

    def _translated(
        self, texts: list[str], first: int, bad: BadLines | None, advance: Advance | None
    ) -> list[list[TextOutput]]:
        form = self._form
        return self._translator.translate(
            texts,
            self._settings,
            batch=self._batch,
            first=first,
            advance=advance,
            scores=form.scores or form.as_json or self._numbered,
            split=form.split,
            bad=bad,
        )

    def _written(
        self, line: int, source: str, candidates: Sequence[TextOutput], error: str | None
    ) -> Iterator[str]:
        if self._form.as_json:
            told = {"source": source, "translations": [] if error else [c.record() for c in candidates]}
            yield as_json_line(told if error is None else {**told, "error": error})
            return
        for candidate in candidates if self._numbered else candidates[:1]:
            # A model that spells bytes can write a line end, but one line in is one line out.
            text = candidate.text.replace("\n", " ")
            columns = [str(line)] if self._numbered else []
            if self._numbered or self._form.scores:
                columns.append("" if error else f"{candidate.score:.4f}")
            yield "\t".join([*columns, text])
