"""Documents in plain text files, to train on and to hold out."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from whyformer.data.corpora.detection.ends import cut_end
from whyformer.data.corpora.formats.naming import FileByPath, listed
from whyformer.data.corpora.formats.tables import Column, TableFormat, format_of, read_columns
from whyformer.data.corpora.held_out import (
    VALID,
    held_out_share,
    readable_sets,
    refuse_reserved_name,
    refuse_unknown_sets,
)
from whyformer.data.corpora.lines import BadLine, read_lines
from whyformer.data.corpora.pair_files import Location, locate
from whyformer.data.corpora.pairs.copies import folded
from whyformer.errors import DataError
from whyformer.spec import Spec

Files = Annotated[tuple[Location, ...], Field(min_length=1), FileByPath()]


@dataclass(frozen=True)
class Documents:
    """Documents for training and for validation."""

    train: list[str]
    valid: list[str]
    summary: str
    """One sentence on what was read and dropped."""


class DocumentsSpec(Spec):
    """Documents in text files, plain or gzip-compressed, in UTF-8."""

    kind: Literal["files"] = "files"
    train: Files = Field(json_schema_extra={"decides": ["valid", "test"]})
    """Files to train on."""
    valid: Files | Annotated[float, Field(gt=0.0, lt=1.0)] = 0.05
    """Validation files; or the share of training documents that is held out, by a hash of their text; of very
    few documents, the end of the text."""
    test: dict[str, Files] = Field(default={})
    """Test sets by name."""
    split: Literal["blank_lines", "file"] = "blank_lines"
    """Ends of documents in plain text: at blank lines, or at the end of a file."""
    format: Literal["text", "tsv", "csv", "jsonl"] | None = None
    """Plain text, or tables with a document on each row; left out, by the ending of each file's name."""
    column: Column = "text"
    """The documents of a table: the column's name in the header, or its number; in JSON lines, the key."""
    repeated: bool = False
    """Keep training documents that occur more than once; otherwise only the first of them."""
    overlap: Literal["keep", "drop"] = "keep"
    """Training documents that stand in a test set, too; those in the validation set are always dropped."""

    @model_validator(mode="before")
    @classmethod
    def _one_file_is_a_list(cls, data: object) -> object:
        return listed(data)

    @model_validator(mode="after")
    def _names_differ(self) -> "DocumentsSpec":
        refuse_reserved_name(self.test, "documents")
        return self

    def load(self) -> Documents:
        """Read what training needs. Documents that are held out are not trained on.

        Raises:
            DataError: a file is missing, empty or damaged, or nothing is left for one of the sides.
        """
        everything = self._read(self.train)
        count, is_cut = len(everything), False
        if isinstance(self.valid, tuple):
            valid = self._read(self.valid)
        else:
            everything, valid, is_cut = self._parted(everything, self.valid)
        apart, seen = set(valid), set[str]()
        tests = readable_sets(
            self.test, lambda files: {*map(folded, self._read(files))}, needed=self.overlap == "drop"
        )
        dropped: Counter[str] = Counter()
        train: list[str] = []
        for document in everything:
            if document in apart:
                dropped[VALID] += 1
            elif document in seen and not self.repeated:
                dropped["copies"] += 1
            elif self.overlap == "drop" and any(folded(document) in test for test in tests.values()):
                dropped["test"] += 1
            else:
                train.append(document)
                seen.add(document)
        if not train:
            raise DataError("data.train: every document is held out; name other files, or more of them.")
        parts = [f"{len(train):,} to train on"]
        if isinstance(self.valid, tuple):
            parts.append(
                f"{dropped[VALID]:,} left out as they stand in {VALID}, too" if dropped[VALID] else ""
            )
        elif is_cut:
            parts.append(f"the end of the text held out as {VALID}, as these are too few for a share of them")
            dropped["copies"] += dropped[VALID]
        else:
            parts.append(f"{len(valid):,} held out as {VALID}")
            dropped["copies"] += dropped[VALID] - len(valid)
        parts.append(f"{dropped['copies']:,} left out as copies" if dropped["copies"] else "")
        parts.append(f"{dropped['test']:,} left out as they stand in a test set" if dropped["test"] else "")
        for name, test in tests.items():
            count = sum(folded(document) in test for document in train)
            parts.append(f"{count:,} of them stand in {name}, too" if count else "")
        summary = f"{count:,} documents read: {', '.join(filter(None, parts))}"
        if isinstance(self.valid, tuple):
            summary += f"; {len(valid):,} in {VALID}"
        return Documents(train, valid, summary)

    def held_out(self, name: str) -> list[str]:
        """The documents of the test set ``name``, or of the validation set if it is ``valid``.

        Raises:
            DataError: there is no such set; a file is missing, empty or damaged; or the text is too short for
                a share of it to be held out.
        """
        if name != VALID:
            refuse_unknown_sets([name], [VALID, *self.test])
            return self._read(self.test[name])
        if isinstance(self.valid, tuple):
            return self._read(self.valid)
        return self._parted(self._read(self.train), self.valid)[1]

    def _parted(self, everything: list[str], share: float) -> tuple[list[str], list[str], bool]:
        """Everything to be trained on or, by documents, held out; what is; whether a document is cut for it.

        A share of very few documents may be none of them or all: then it is the end of the text.
        """
        documents = dict.fromkeys(everything)
        held = held_out_share(documents, share, str)
        if held and len(held) < len(documents):
            return everything, held, False
        if sides := cut_end(everything, share):
            return *sides, True
        raise DataError(
            f"data.valid: {share:g} of {len(documents):,} different documents is not one, and the text is "
            "too short to be cut; name files, or more text."
        )

    def _read(self, files: Iterable[Location]) -> list[str]:
        return [document for file in files for document in self._documents(file)]

    def _documents(self, file: Location) -> Iterator[str]:
        path = locate(file)
        form = self.format or format_of(path.name)
        if form is not None and form != "text":
            yield from self._rows(path, form)
            return
        lines = read_lines(path)
        blocks = groupby(lines, key=lambda line: self.split == "file" or bool(line.strip()))
        texts = ["\n".join(block) for real, block in blocks if real]
        if not any(text.strip() for text in texts):
            raise DataError(f"{path}: holds nothing but white space.")
        yield from texts

    def _rows(self, path: Path, form: TableFormat) -> Iterator[str]:
        """The documents of a table."""
        texts = list[str]()
        for row in read_columns(
            path, form, [self.column], header=isinstance(self.column, str), quotes=False, line_end="\n"
        ):
            if isinstance(row, BadLine):
                raise row.error()
            texts += [text for text in row.cells if text.strip()]
        if not texts:
            raise DataError(f"{path}: holds nothing but white space.")
        yield from texts
