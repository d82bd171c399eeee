"""The first pass over the text: how much there is, its hash, and samples of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from whyformer.data.corpora.detection.encoding import guess_encoding
from whyformer.data.corpora.detection.report import EncodingReport
from whyformer.data.corpora.lines import Reason
from whyformer.data.store.text.digest import TextDigest
from whyformer.data.store.text.fitness import decoded, unfit_reason
from whyformer.data.store.text.inputs import ExampleInputs
from whyformer.data.store.text.sampling import StreamSample
from whyformer.errors import DataError

_SAMPLE_BYTES = 1 << 27
_HELD_OUT_BYTES = 1 << 24
_HELD_OUT_SEED = 1
"""Added to the seed, so that what is held out is not what tokenizers are trained on first."""
_TRIES = 2
"""Examples drawn for one that is held out: some are unfit."""
_OF_EACH = 20
"""One of so many examples is held out at most."""


@dataclass(frozen=True)
class TextSurvey:
    """Facts about a text that was read once."""

    examples: int
    digest: str
    """Hash of all examples, in order, whatever their line ends."""
    sample: list[tuple[str, ...]]
    """Examples to train tokenizers on."""
    held_out: list[tuple[str, ...]]
    """Examples that are not trained on, in the order of the text."""


def survey(
    inputs: ExampleInputs,
    rows: int,
    *,
    sample: int,
    held_out: int,
    seed: int,
    advance: Callable[[int], None],
) -> TextSurvey:
    """Read everything once.

    Args:
        inputs: the files.
        rows: examples of a block.
        sample: maximum number of examples to train tokenizers on.
        held_out: maximum number of examples to hold out; never more than a twentieth of all,
            so none of fewer than twenty.
        seed: of both draws.
        advance: told how many MB were read.

    Raises:
        DataError: see ``TextInputs.blocks``; or more than a few lines are not UTF-8.
    """
    digest, count, size, told = TextDigest(), 0, 0, 0
    drawn = StreamSample(seed, sample, _SAMPLE_BYTES)
    apart = StreamSample(seed + _HELD_OUT_SEED, _TRIES * held_out, _HELD_OUT_BYTES)
    encodings = _Encodings(inputs)
    for block in inputs.blocks(rows):
        digest.add(block.columns)
        encodings.look(block.name, block.columns)
        drawn.add(block.columns)
        apart.add(block.columns)
        count += len(block.columns[0])
        size += sum(len(text) + 1 for column in block.columns for text in column)
        advance((size >> 20) - told)
        told = size >> 20
    encodings.check()
    found = apart.smallest(len(apart.numbers))
    fit = {number: _fit(item) for number, item in found.items()}
    chosen = [number for number, example in fit.items() if example][: min(held_out, count // _OF_EACH)]
    return TextSurvey(
        count,
        digest.value,
        [example for item in drawn.items if (example := _fit(item))],
        [fit[number] for number in sorted(chosen)],
    )


def _fit(item: tuple[bytes, ...]) -> tuple[str, ...]:
    """The texts of an example, none where it is not fit to train on."""
    texts = tuple(text for text in map(decoded, item) if not isinstance(text, Reason))
    return texts if len(texts) == len(item) and unfit_reason(texts) is None else ()


class _Encodings:
    """Counts lines that are not UTF-8, by side and file."""

    def __init__(self, inputs: ExampleInputs) -> None:
        self._inputs = inputs
        self._lines: dict[Path, int] = {}
        self._bad: dict[Path, list[int]] = {}
        self._some: dict[Path, list[bytes]] = {}

    def look(self, name: str, columns: tuple[list[bytes], ...]) -> None:
        """Count the lines of the next block of the file ``name`` and of those beside it."""
        place = [str(path) for path in self._inputs.sides[0]].index(name)
        for side, column in zip(self._inputs.sides, columns, strict=True):
            path = side[place]
            before = self._lines.get(path, 0)
            self._lines[path] = before + len(column)
            try:
                b"\n".join(column).decode("utf-8")
            except UnicodeDecodeError:
                self._note(path, before, column)

    def _note(self, path: Path, before: int, column: list[bytes]) -> None:
        bad, some = self._bad.setdefault(path, []), self._some.setdefault(path, [])
        for number, line in enumerate(column, start=before + 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                bad.append(number)
                some += [line] if len(some) < 1000 else []
        if len(bad) > 1_000_000:
            self.check()

    def check(self) -> None:
        """Refuse a file of which more than a few lines are not UTF-8.

        Raises:
            DataError: there is one.
        """
        for path, bad in self._bad.items():
            report = EncodingReport(
                path, self._lines[path], tuple(bad), guess=guess_encoding(self._some[path])
            )
            if not report.is_utf8:
                raise DataError(report.fault)
