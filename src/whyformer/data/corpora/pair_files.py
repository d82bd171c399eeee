"""Sentence pairs in files: two text files side by side, or columns of one table.

Each can be read in two ways. ``training(cleaning)`` drops what is unfit and says so; ``held_out()`` and
``references()`` keep every line, and a line that cannot be read is an error.
"""

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import Field, model_validator
from typing_extensions import override

from whyformer.data.corpora.detection.tables import find_delimiter, has_header
from whyformer.data.corpora.download import Download
from whyformer.data.corpora.formats.naming import PairsByPath
from whyformer.data.corpora.formats.tables import (
    Column,
    TableRow,
    column_index,
    delimiter_of,
    head_of,
    read_json_lines,
    read_rows,
    table_notes,
)
from whyformer.data.corpora.lines import BadLine, Placed, Reason, SentencePair, scan_lines
from whyformer.data.corpora.pairs.cleaning import Cleaning, CleaningReport
from whyformer.errors import DataError
from whyformer.spec import Spec

Location = Path | Download
"""A file here, or one to be fetched."""


class Referenced(NamedTuple):
    """A sentence and all the translations that count as right."""

    source: str
    references: list[str]


class _Pairs(Spec):
    """Base of both kinds of pair files."""

    @abstractmethod
    def scan(self) -> Iterator[Placed | BadLine]:
        """Yield every pair in order and where it stands, or the line that cannot be read.

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
            raise DataError(f"{self.name}: nothing is left to train on: {report.summary()}.")
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
            pairs.append(pair.pair)
        return pairs

    def notes(self, key: str) -> Iterator[str]:
        """Sentences on what is likely wrong with the way the files are read; ``key`` is the recipe's."""
        yield from ()

    def references(self) -> list[Referenced]:
        """Return what translations are scored against: each line by itself, or grouped where asked for.

        Raises:
            DataError: as :meth:`held_out`.
        """
        return self.referenced(self.held_out())

    def referenced(self, pairs: Iterable[SentencePair]) -> list[Referenced]:
        """Return ``pairs`` that were read here as ``references`` does."""
        return [Referenced(source, [target]) for source, target in pairs]

    @property
    @abstractmethod
    def name(self) -> str:
        """The files as the user named them, for messages."""


class TextPairs(_Pairs):
    """Two text files: line i of one is the translation of line i of the other."""

    kind: Literal["text"] = "text"
    source: Location
    """The file of source sentences, plain or gzip-compressed."""
    target: Location
    """The file of their translations."""

    def scan(self) -> Iterator[Placed | BadLine]:
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
                yield Placed(SentencePair(source, target), source_path, sources)
        if sources != targets:
            raise DataError(
                f"{source_path} has {sources:,} lines but {target_path} has {targets:,}; line i of one must "
                "be the translation of line i of the other."
            )

    @override
    def notes(self, key: str) -> Iterator[str]:
        paths = locate(self.source), locate(self.target)
        rows = [list(row) for row in zip(*map(head_of, paths), strict=False)]
        if has_header(rows):
            yield (
                f"{paths[0]} and {paths[1]}: their first lines ({', '.join(rows[0])}) are unlike the others "
                "and may be titles; take them out of both files if they are."
            )

    @property
    @override
    def name(self) -> str:
        return f"{_named(self.source)} and {_named(self.target)}"


class _Table(_Pairs):
    """Base of the kinds that have a pair on each line of one file."""

    path: Location
    """The file, plain or gzip-compressed."""
    several_references: bool = False
    """Score a source that stands on several lines once, against all its translations."""

    @abstractmethod
    def rows(self, path: Path) -> Iterator[TableRow | BadLine]:
        """Yield source and target of each row, or the line that cannot be read."""

    def scan(self) -> Iterator[Placed | BadLine]:
        """Yield the two texts of each line; a line that lacks one comes as bad.

        Raises:
            DataError: as in the base, and where the header lacks a column.
        """
        path = locate(self.path)
        for row in self.rows(path):
            if isinstance(row, BadLine):
                yield row
            else:
                source, target = row.cells
                yield Placed(SentencePair(source, target), path, row.number)

    @override
    def referenced(self, pairs: Iterable[SentencePair]) -> list[Referenced]:
        """Return each pair by itself, or one entry for each source with ``several_references``."""
        return group_references(pairs) if self.several_references else super().referenced(pairs)

    @property
    @override
    def name(self) -> str:
        return _named(self.path)


class _Columns(_Table):
    """Base of the kinds whose file has columns."""

    source_column: Column = 1
    """The source sentences: the column's number from 1, or its name in the header."""
    target_column: Column = 2
    """Their translations, likewise."""
    header: bool = False
    """The first line names the columns."""

    @property
    @abstractmethod
    def form(self) -> tuple[str, bool]:
        """The character that parts the columns, and whether quotes are read."""

    @model_validator(mode="after")
    def _names_need_a_header(self) -> Self:
        for column in (self.source_column, self.target_column):
            if isinstance(column, str) and not self.header:
                raise ValueError(f"column {column!r} is a name, so `header` must be true")
        return self

    @override
    def rows(self, path: Path) -> Iterator[TableRow | BadLine]:
        delimiter, quotes = self.form
        rows = read_rows(path, delimiter, quotes=quotes)
        names = _header(next(rows), path) if self.header else []
        source, target = (
            column_index(each, names, path) for each in (self.source_column, self.target_column)
        )
        last, widest, empty = max(source, target), 0, True
        for row in rows:
            empty = False
            if isinstance(row, BadLine):
                yield row
                continue
            widest = max(widest, len(row.cells))
            if len(row.cells) <= last:
                yield BadLine(path, row.number, Reason.TOO_FEW_COLUMNS)
            else:
                yield TableRow(row.number, (row.cells[source], row.cells[target]))
        if empty:
            raise DataError(f"{path}: nothing follows the header.")
        if 0 < widest <= last:
            if not any(line.strip() for line in head_of(path)):
                raise DataError(f"{path}: its first lines are blank; a pair on each line is due.")
            found = find_delimiter(head_of(path))
            if found not in (None, delimiter):
                raise DataError(
                    f"{path}: no line has more than {widest} columns parted by {delimiter!r}, but {found!r} "
                    "parts them evenly; say kind: tsv for tabs, or kind: csv and delimiter for the others."
                )
            raise DataError(
                f"{path}: column {last + 1} is asked for, but no line has more than {widest}; name the "
                "columns by source_column and target_column."
            )

    @override
    def notes(self, key: str) -> Iterator[str]:
        delimiter, quotes = self.form
        yield from table_notes(locate(self.path), delimiter, header=self.header, quotes=quotes, key=key)


class TsvPairs(_Columns):
    """One table: a pair on each line, columns separated by tabs, no quoting unless asked for."""

    kind: Literal["tsv"] = "tsv"
    quotes: bool = False
    """Fields that begin with a double quote end at the next single one, as spreadsheets write tables."""

    @property
    @override
    def form(self) -> tuple[str, bool]:
        return "\t", self.quotes


class CsvPairs(_Columns):
    """One table as spreadsheets write it: a pair on each line, columns separated by commas, fields quoted."""

    kind: Literal["csv"] = "csv"
    delimiter: Literal[",", ";", "|"] | None = None
    """The character between columns; left out, the one that parts the first lines evenly."""

    @property
    @override
    def form(self) -> tuple[str, bool]:
        return self.delimiter or delimiter_of(locate(self.path), "csv"), True

    @override
    def notes(self, key: str) -> Iterator[str]:
        path = locate(self.path)
        found = find_delimiter(head_of(path))
        if found not in (None, self.form[0]):
            yield (
                f"{path}: its columns seem to be parted by {found!r}; set {key}.delimiter, or kind: tsv for "
                "tabs."
            )
        yield from super().notes(key)


class JsonlPairs(_Table):
    """JSON lines: an object on each line that has both sentences under keys."""

    kind: Literal["jsonl"] = "jsonl"
    source_key: str = "source"
    """The key of the source sentence; a dot leads into an inner object (``translation.en``)."""
    target_key: str = "target"
    """The key of its translation, likewise."""

    @override
    def rows(self, path: Path) -> Iterator[TableRow | BadLine]:
        return read_json_lines(path, (self.source_key, self.target_key))


_OneOfThem = TextPairs | TsvPairs | CsvPairs | JsonlPairs


class JoinedPairs(_Pairs):
    """Several files or pairs of files, one after the other; a list in a recipe means the same."""

    kind: Literal["joined"] = "joined"
    parts: tuple[Annotated[_OneOfThem, Field(discriminator="kind")], ...] = Field(min_length=1)
    """The files, each of a kind of its own."""

    @override
    def scan(self) -> Iterator[Placed | BadLine]:
        """Yield the pairs of all parts."""
        for part in self.parts:
            yield from part.scan()

    @override
    def notes(self, key: str) -> Iterator[str]:
        for index, part in enumerate(self.parts):
            yield from part.notes(f"{key}.parts.{index}")

    @override
    def referenced(self, pairs: Iterable[SentencePair]) -> list[Referenced]:
        """Return ``pairs`` as the first part does."""
        return self.parts[0].referenced(pairs)

    @property
    @override
    def name(self) -> str:
        names = [part.name for part in self.parts]
        return ", ".join(names)


AnyPairs = _OneOfThem | JoinedPairs


PairsSpec = Annotated[AnyPairs, Field(discriminator="kind"), PairsByPath()]


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


def _header(row: TableRow | BadLine, path: Path) -> list[str]:
    if isinstance(row, BadLine):
        raise row.error()
    if not any(cell.strip() for cell in row.cells):
        raise DataError(f"{path}: its first line is empty and should be the header.")
    return list(row.cells)
