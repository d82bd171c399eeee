"""Texts with labels in tables, from which a classifier learns and by which it is judged."""

import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, model_validator

from whyformer.data.corpora.detection.labels import label_notes, trimmed_label
from whyformer.data.corpora.documents import Files
from whyformer.data.corpora.formats.naming import listed
from whyformer.data.corpora.formats.tables import (
    Column,
    TableFormat,
    TableRow,
    delimiter_of,
    format_of,
    read_columns,
    read_rows,
    table_notes,
)
from whyformer.data.corpora.held_out import (
    VALID,
    held_out_share,
    readable_sets,
    refuse_reserved_name,
    refuse_unknown_sets,
)
from whyformer.data.corpora.lines import BadLine, Reason
from whyformer.data.corpora.pair_files import locate
from whyformer.data.corpora.pairs.copies import folded
from whyformer.errors import DataError, WhyformerNote
from whyformer.spec import Spec

_FEW_LABELS = 20  # that may be had by hardly more than an example each


class Labelled(NamedTuple):
    """A text, or two that are read together, and its label."""

    label: str
    texts: tuple[str, ...]
    place: str
    """File and line."""


@dataclass(frozen=True)
class LabelledTexts:
    """Labelled texts for training and for validation."""

    train: list[Labelled]
    valid: list[Labelled]
    summary: str
    """One sentence on what was read and dropped."""


class LabelledSpec(Spec):
    """Tables in UTF-8, plain or gzip-compressed: label, tab, text on each line, or label and two texts."""

    train: Files | None = Field(json_schema_extra={"decides": ["valid", "test"]})
    """Files to train on; null for an imported classifier, which has its labels and no data."""
    valid: Files | Annotated[float, Field(gt=0.0, lt=1.0)] = 0.1
    """Validation files; or the share of training examples that is held out, by a hash of their texts."""
    test: dict[str, Files] = Field(default={})
    """Test sets by name."""
    texts: Literal[1, 2] = 1
    """Texts of an example: one, or two in columns of their own."""
    header: bool = False
    """The first line of each file names the columns, and is skipped."""
    quotes: bool = False
    """Fields that begin with a double quote end at the next single one, as spreadsheets write tables."""
    format: TableFormat | None = None
    """Format of the tables; left out, by the ending of each file's name, and else columns parted by tabs."""
    columns: tuple[Column, ...] | None = Field(default=None, min_length=2)
    """Columns of the label and of the texts: numbers from 1, or names in the header; in JSON lines, the keys.

    Left out, they are all columns in this order; in JSON lines ``label`` and ``text`` (``text1``, ``text2``).
    """
    overlap: Literal["keep", "drop"] = "keep"
    """Training examples whose texts stand in a test set; those in the validation set are always dropped."""
    labels: tuple[str, ...] | None = Field(default=None, min_length=2)
    """All labels; left out, they are those of the training files, sorted, and are written here."""

    @model_validator(mode="before")
    @classmethod
    def _one_file_is_a_list(cls, data: object) -> object:
        return listed(data)

    @model_validator(mode="after")
    def _columns_fit(self) -> "LabelledSpec":
        if self.columns is not None and len(self.columns) != 1 + self.texts:
            raise ValueError(
                f"columns names {len(self.columns)} but texts is {self.texts}: label, then texts"
            )
        if self.columns is not None and self.format != "jsonl" and not self.header:
            names = [column for column in self.columns if isinstance(column, str)]
            if names and not all(format_of(str(file)) == "jsonl" for file in self.train or ()):
                raise ValueError(f"column {names[0]!r} is a name, so `header` must be true")
        return self

    @model_validator(mode="after")
    def _names_differ(self) -> "LabelledSpec":
        refuse_reserved_name(self.test, "examples")
        if self.labels is not None and len(set(self.labels)) < len(self.labels):
            raise ValueError("labels names one of them twice; remove it")
        return self

    @property
    def known(self) -> tuple[str, ...]:
        """The labels, which must be known by now."""
        assert self.labels is not None, "a recipe that was read by load_any has its labels"
        return self.labels

    def find_labels(self) -> tuple[str, ...]:
        """The labels of the training files, sorted.

        Raises:
            DataError: as ``load``, or there is only one, or hardly an example has that of another.
        """
        examples = self._training()
        found = sorted({example.label for example in examples})
        if len(found) > max(_FEW_LABELS, len(examples) / 2):
            raise DataError(
                f"data.train: {len(found):,} different labels in {len(examples):,} examples; where these are "
                "the texts, name the columns of label and text by data.columns, such as [2, 1]."
            )
        if len(found) == 1:
            raise DataError(f"data.train: every label is {found[0]}; a classifier needs two or more.")
        return tuple(found)

    def load(self) -> LabelledTexts:
        """Read what training needs. Texts that are held out are not trained on.

        Raises:
            DataError: a file or line cannot be read, a label is unknown, or nothing is left for one side.
        """
        everything, valid = self._training(), self.held_out(VALID)
        apart = {example.texts for example in valid}
        left = [example for example in everything if example.texts not in apart]
        tests = readable_sets(
            self.test, lambda files: {*map(_folded, self._read(files))}, needed=self.overlap == "drop"
        )
        drops = self.overlap == "drop"
        train = [each for each in left if not (drops and any(_folded(each) in t for t in tests.values()))]
        if not train:
            raise DataError("data.train: every example is held out; name other files, or more of them.")
        parts = [f"{len(train):,} to train on"]
        held = f"{len(everything) - len(left):,}"
        if isinstance(self.valid, tuple):
            parts.append(
                f"{held} left out as their texts stand in {VALID}, too" if len(left) < len(everything) else ""
            )
        else:
            parts.append(f"{held} held out as {VALID}")
        parts.append(
            f"{len(left) - len(train):,} left out as they stand in a test set" if train != left else ""
        )
        copies = len(train) - len({_folded(example) for example in train})
        parts.append(f"{copies:,} of them copies of others" if copies else "")
        for name, test in tests.items():
            count = sum(_folded(example) in test for example in train)
            parts.append(f"{count:,} of them stand in {name}, too" if count else "")
        summary = f"{len(everything):,} examples read: {', '.join(filter(None, parts))}"
        if isinstance(self.valid, tuple):
            summary += f"; {len(valid):,} in {VALID}"
        for note in self._notes(everything, train):
            warnings.warn(note, WhyformerNote, stacklevel=1)  # said once, whoever reads
        return LabelledTexts(train, valid, summary)

    def _notes(self, everything: Sequence[Labelled], train: Sequence[Labelled]) -> Iterator[str]:
        """Sentences on what is likely wrong with the files and their labels."""
        for file in self.train or ():
            path = locate(file)
            form = self._form(path)
            if form != "jsonl":
                delimiter, quotes = delimiter_of(path, form), self.quotes or form == "csv"
                yield from table_notes(path, delimiter, header=self.header, quotes=quotes, key="data")
        counts = Counter(example.label for example in everything)
        yield from label_notes(counts)
        if gone := sorted(set(counts) - {example.label for example in train}):
            yield f"data.train: every example of {', '.join(gone)} is held out, so it cannot be learned."
        labels: dict[tuple[str, ...], set[str]] = {}
        for example in train:
            labels.setdefault(_folded(example), set()).add(example.label)
        if torn := [texts for texts, found in labels.items() if len(found) > 1]:
            yield (
                f"data.train: {len(torn):,} texts stand there with different labels, such as "
                f"{torn[0][0][:60]!r} with {' and '.join(sorted(labels[torn[0]]))}."
            )

    def held_out(self, name: str) -> list[Labelled]:
        """The test set ``name``, or the validation set if it is ``valid``.

        Raises:
            DataError: there is no such set, it cannot be read, or the share to hold out is not one example.
        """
        if name != VALID:
            refuse_unknown_sets([name], [VALID, *self.test])
            return self._read(self.test[name])
        if isinstance(self.valid, tuple):
            return self._read(self.valid)
        everything = self._training()
        held = held_out_share(everything, self.valid, lambda example: "\t".join(example.texts))
        if not held:
            raise DataError(
                f"data.valid: {self.valid:g} of {len(everything):,} examples is not one; raise the share, "
                "or name files."
            )
        return held

    def _training(self) -> list[Labelled]:
        if self.train is None:
            raise DataError("the recipe has no data (data.train: null), as the model was imported.")
        return self._read(self.train)

    def _read(self, files: Files) -> list[Labelled]:
        return [example for file in files for example in self._examples(locate(file), str(file))]

    def _form(self, path: Path) -> TableFormat:
        return self.format or format_of(path.name) or "tsv"

    def _rows(self, path: Path) -> Iterator[TableRow | BadLine]:
        form, columns = self._form(path), self.columns
        if columns is None and form == "jsonl":
            columns = ("label", "text") if self.texts == 1 else ("label", "text1", "text2")
        if columns is not None:
            return read_columns(path, form, columns, header=self.header, quotes=self.quotes)
        rows = read_rows(path, delimiter_of(path, form), quotes=self.quotes or form == "csv")
        return (row for row in rows if not (self.header and isinstance(row, TableRow) and row.number == 1))

    def _examples(self, path: Path, file: str) -> Iterator[Labelled]:
        form = " tab ".join(["label", "text", "second text"][: 1 + self.texts])
        # Runs of old may have labels with white space around them.
        known = {trimmed_label(label): label for label in reversed(self.labels or ())}
        empty = True
        for row in self._rows(path):
            where = f"{file}:{row.number}"
            if isinstance(row, BadLine):
                if row.reason == Reason.TOO_FEW_COLUMNS:
                    raise DataError(f"{where}: this line lacks a column; correct it.")
                raise row.error()
            if len(row.cells) > 1 + self.texts:
                width = f"{where}: this line has {len(row.cells)} columns where {form} is due"
                raise DataError(f"{width}; name those to read by data.columns, or set data.texts=2.")
            if len(row.cells) != 1 + self.texts or not all(cell.strip() for cell in row.cells):
                raise DataError(f"{where}: a line should be {form}, none of them empty; correct this line.")
            label = trimmed_label(row.cells[0])
            if self.labels is not None and label not in known:
                shown = ", ".join(self.labels[:9]) + (" …" if len(self.labels) > 9 else "")
                raise DataError(f"{where}: the label {label} is none of those to learn: {shown}.")
            empty = False
            yield Labelled(known.get(label, label), tuple(row.cells[1:]), where)
        if empty:
            raise DataError(f"{file}: nothing follows the header.")


def _folded(example: Labelled) -> tuple[str, ...]:
    return tuple(map(folded, example.texts))
