"""Sentence pairs in files: two text files side by side, or columns of one table.

Each can be read in two ways. ``training(cleaning)`` drops what is unfit and says so; ``held_out()`` and
``references()`` keep every line, and a line that cannot be read is an error.
"""

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, model_validator

from whyformer.data.corpora.cleaning import Cleaning, CleaningReport
from whyformer.data.corpora.download import Download
from whyformer.data.corpora.lines import BadLine, Reason, SentencePair, scan_lines
from whyformer.errors import DataError
from whyformer.spec import Spec

Location = Path | Download
"""A file here, or one to be fetched."""

Column = Annotated[int, Field(ge=1)] | str
"""A column's number, counted from 1 as ``cut -f`` does, or its name in the header."""


class Referenced(NamedTuple):
    """A sentence and all the translations that count as right."""

    source: str
    references: list[str]


class _Pairs(Spec):
    """Base of both kinds of pair files."""

    @abstractmethod
    def scan(self) -> Iterator[SentencePair | BadLine]:
        """Yield every pair in order, or in its place the line that cannot be read.

        Raises:
            DataError: a file is missing, empty or damaged, or does not match its partner.
        """

    def training(self, cleaning: Cleaning) -> tuple[list[SentencePair], CleaningReport]:
        """Return the pairs that are fit to train on, and the summary of the others.

        Raises:
            DataError: as :meth:`scan`, and where no pair is left.
        """
        pairs, report = cleaning.apply(self.scan())
        if not pairs:
            raise DataError(f"{self._files()}: nothing is left to train on: {report.summary()}.")
        return pairs, report

    def held_out(self) -> list[SentencePair]:
        """Return every pair, empty sides included.

        Raises:
            DataError: as :meth:`scan`, and for the first line that cannot be read.
        """
        pairs: list[SentencePair] = []
        for pair in self.scan():
            if isinstance(pair, BadLine):
                raise pair.error()
            pairs.append(pair)
        return pairs

    def references(self) -> list[Referenced]:
        """Return what translations are scored against: each line by itself, or grouped where asked for.

        Raises:
            DataError: as :meth:`held_out`.
        """
        return [Referenced(source, [target]) for source, target in self.held_out()]

    @abstractmethod
    def _files(self) -> str:
        """The files as the user named them, for messages."""


class TextPairs(_Pairs):
    """Two text files: line i of one is the translation of line i of the other."""

    kind: Literal["text"] = "text"
    source: Location
    """The file of source sentences, plain or gzip-compressed."""
    target: Location
    """The file of their translations."""

    def scan(self) -> Iterator[SentencePair | BadLine]:
        """Yield the lines side by side.

        Raises:
            DataError: as in the base; two files of different length are an error at their end.
        """
        source_path, target_path = locate(self.source), locate(self.target)
        sources = targets = 0
        for source, target in zip_longest(scan_lines(source_path), scan_lines(target_path)):
            sources += source is not None
            targets += target is not None
            if isinstance(source, BadLine):
                yield source
            elif isinstance(target, BadLine):
                yield target
            elif source is not None and target is not None:
                yield SentencePair(source, target)
        if sources != targets:
            raise DataError(
                f"{source_path} has {sources:,} lines but {target_path} has {targets:,}; line i of one must "
                "be the translation of line i of the other."
            )

    def _files(self) -> str:
        return f"{_named(self.source)} and {_named(self.target)}"


class TsvPairs(_Pairs):
    """One table: a pair on each line, columns separated by tabs, no quoting."""

    kind: Literal["tsv"] = "tsv"
    path: Location
    """The file, plain or gzip-compressed."""
    source_column: Column = 1
    """The source sentences: the column's number from 1, or its name in the header."""
    target_column: Column = 2
    """Their translations, likewise."""
    header: bool = False
    """The first line names the columns."""
    several_references: bool = False
    """Score a source that stands on several lines once, against all its translations."""

    @model_validator(mode="after")
    def _names_need_a_header(self) -> "TsvPairs":
        for column in (self.source_column, self.target_column):
            if isinstance(column, str) and not self.header:
                raise ValueError(f"column {column!r} is a name, so `header` must be true")
        return self

    def scan(self) -> Iterator[SentencePair | BadLine]:
        """Yield the two columns of each line; a line that lacks one comes as bad.

        Raises:
            DataError: as in the base, and where the header lacks a column.
        """
        path = locate(self.path)
        lines = enumerate(scan_lines(path), start=1)
        names = _columns(next(lines)[1]) if self.header else []
        source, target = (_index(column, names, path) for column in (self.source_column, self.target_column))
        number = 0
        for number, line in lines:
            if isinstance(line, BadLine):
                yield line
                continue
            cells = line.split("\t")
            if len(cells) <= max(source, target):
                yield BadLine(path, number, Reason.TOO_FEW_COLUMNS)
            else:
                yield SentencePair(cells[source], cells[target])
        if number == 0:
            raise DataError(f"{path}: nothing follows the header.")

    def references(self) -> list[Referenced]:
        """Return each line by itself, or one entry for each source with ``several_references``."""
        return group_references(self.held_out()) if self.several_references else super().references()

    def _files(self) -> str:
        return _named(self.path)


PairsSpec = Annotated[TextPairs | TsvPairs, Field(discriminator="kind")]


def locate(location: Location) -> Path:
    """Return the local file, fetching it first if need be.

    Raises:
        DataError: it has to be fetched and cannot be.
    """
    return location.fetch() if isinstance(location, Download) else location


def group_references(pairs: Iterable[SentencePair]) -> list[Referenced]:
    """Collect the different translations of each source, in the order of first appearance."""
    groups: dict[str, dict[str, None]] = {}
    for source, target in pairs:
        groups.setdefault(source, {})[target] = None
    return [Referenced(source, list(targets)) for source, targets in groups.items()]


def _named(location: Location) -> str:
    return location.url if isinstance(location, Download) else str(location)


def _columns(line: str | BadLine) -> list[str]:
    if isinstance(line, BadLine):
        raise line.error()
    return line.split("\t")


def _index(column: Column, names: list[str], path: Path) -> int:
    if isinstance(column, int):
        return column - 1
    if column not in names:
        raise DataError(f"{path}: has no column {column!r}; its header names {', '.join(map(repr, names))}.")
    return names.index(column)
