"""Texts with labels in tables, from which a classifier learns and by which it is judged."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, model_validator

from whyformer.data.corpora.documents import Files
from whyformer.data.corpora.held_out import (
    VALID,
    held_out_share,
    refuse_reserved_name,
    refuse_unknown_sets,
)
from whyformer.data.corpora.lines import BadLine, scan_lines
from whyformer.data.corpora.pair_files import locate
from whyformer.errors import DataError
from whyformer.spec import Spec


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

    train: Files = Field(json_schema_extra={"decides": ["valid", "test"]})
    """Files to train on."""
    valid: Files | Annotated[float, Field(gt=0.0, lt=1.0)] = 0.1
    """Validation files; or the share of training examples that is held out, by a hash of their texts."""
    test: dict[str, Files] = Field(default={})
    """Test sets by name."""
    texts: Literal[1, 2] = 1
    """Texts of an example: one, or two in columns of their own."""
    header: bool = False
    """The first line of each file names the columns, and is skipped."""
    labels: tuple[str, ...] | None = Field(default=None, min_length=2)
    """All labels; left out, they are those of the training files, sorted, and are written here."""

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
            DataError: as ``load``, or there is only one.
        """
        found = sorted({example.label for example in self._read(self.train)})
        if len(found) < 2:
            raise DataError(f"data.train: every label is {found[0]}; a classifier needs two or more.")
        return tuple(found)

    def load(self) -> LabelledTexts:
        """Read what training needs. Texts that are held out are not trained on.

        Raises:
            DataError: a file or line cannot be read, a label is unknown, or nothing is left for one side.
        """
        everything, valid = self._read(self.train), self.held_out(VALID)
        apart = {example.texts for example in valid}
        train = [example for example in everything if example.texts not in apart]
        if not train:
            raise DataError("data.train: every example is held out; name other files, or more of them.")
        held = len(everything) - len(train)
        summary = f"{len(everything):,} examples read, {held:,} held out, {len(valid):,} to choose by"
        return LabelledTexts(train, valid, summary)

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
        everything = self._read(self.train)
        held = held_out_share(everything, self.valid, lambda example: "\t".join(example.texts))
        if not held:
            raise DataError(
                f"data.valid: {self.valid:g} of {len(everything):,} examples is not one; raise the share, "
                "or name files."
            )
        return held

    def _read(self, files: Files) -> list[Labelled]:
        return [example for file in files for example in self._examples(scan_lines(locate(file)), str(file))]

    def _examples(self, lines: Iterable[str | BadLine], file: str) -> Iterator[Labelled]:
        form = " tab ".join(["label", "text", "second text"][: 1 + self.texts])
        empty = True
        for number, line in enumerate(lines, start=1):
            if isinstance(line, BadLine):
                raise line.error()
            if number == 1 and self.header:
                continue
            where, cells = f"{file}:{number}", line.split("\t")
            if len(cells) != 1 + self.texts or not all(cell.strip() for cell in cells):
                raise DataError(f"{where}: a line should be {form}, none of them empty; correct this line.")
            if self.labels is not None and cells[0] not in self.labels:
                known = ", ".join(self.labels[:9]) + (" …" if len(self.labels) > 9 else "")
                raise DataError(f"{where}: the label {cells[0]} is none of those to learn: {known}.")
            empty = False
            yield Labelled(cells[0], tuple(cells[1:]), where)
        if empty:
            raise DataError(f"{file}: nothing follows the header.")
