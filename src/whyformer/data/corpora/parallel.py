"""Sources of sentence pairs: files, or the corpora that Whyformer writes itself."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from whyformer.data.corpora.cldr import CldrSpec
from whyformer.data.corpora.cldr.splits import CldrPair
from whyformer.data.corpora.cleaning import Cleaning
from whyformer.data.corpora.held_out import VALID, refuse_reserved_name, refuse_unknown_sets
from whyformer.data.corpora.lines import SentencePair, read_lines
from whyformer.data.corpora.pair_files import PairsSpec, Referenced
from whyformer.data.corpora.reverse import ReverseSpec
from whyformer.errors import DataError
from whyformer.spec import Spec


@dataclass(frozen=True)
class Corpus:
    """Sentence pairs to train on, and held-out ones with all their right translations."""

    train: list[tuple[str, str]]
    valid: list[Referenced]
    test: dict[str, list[Referenced]]
    """Test sets by name."""
    summary: str
    """One sentence on what was read and dropped."""


class FilesSpec(Spec):
    """Sentence pairs in files."""

    kind: Literal["files"] = "files"
    train: PairsSpec = Field(json_schema_extra={"decides": ["valid", "test"]})
    """Pairs to train on; they are cleaned."""
    valid: PairsSpec
    """Validation pairs; every line is kept."""
    test: dict[str, PairsSpec] = Field(default={})
    """Test sets by name; every line is kept."""
    cleaning: Cleaning = Cleaning()
    """Rules by which training pairs are dropped."""

    @model_validator(mode="after")
    def _names_differ(self) -> "FilesSpec":
        refuse_reserved_name(self.test, "pairs")
        return self


AnyData = FilesSpec | CldrSpec | ReverseSpec
DataSpec = Annotated[AnyData, Field(discriminator="kind")]


def load_corpus(spec: AnyData) -> Corpus:
    """All pairs that ``spec`` describes.

    Raises:
        DataError: a file is missing, empty or damaged, or two files do not match.
    """
    if isinstance(spec, FilesSpec):
        kept, report = spec.train.training(spec.cleaning)
        pairs = [(pair.source, pair.target) for pair in kept]
        test = {name: files.references() for name, files in spec.test.items()}
        return Corpus(pairs, spec.valid.references(), test, report.summary())
    splits = spec.build()
    pairs = [(pair.source, pair.target) for pair in splits.train]
    valid, test = _referenced(splits.valid), _referenced(splits.test)
    author = "CLDR" if isinstance(spec, CldrSpec) else "chance"
    summary = (
        f"{len(pairs):,} training, {len(valid):,} validation, {len(test):,} test pairs written by {author}"
    )
    return Corpus(pairs, valid, {"test": test}, summary)


def load_held_out(spec: AnyData, names: Sequence[str] = ()) -> dict[str, list[Referenced]]:
    """The test sets called ``names`` (all of them if none is named) by name; ``valid`` is a name, too.

    Only what is asked for is read.

    Raises:
        DataError: there is no such set; or it cannot be read, as for ``load_corpus``.
    """
    present = [VALID, *(spec.test if isinstance(spec, FilesSpec) else ["test"])]
    refuse_unknown_sets(names, present)
    wanted = names or present[1:]
    if not wanted:
        raise DataError(f"the recipe names no test set; name {VALID}, or give files of your own.")
    if isinstance(spec, FilesSpec):
        return {name: (spec.valid if name == VALID else spec.test[name]).references() for name in wanted}
    splits = spec.build()
    return {name: _referenced(splits.valid if name == VALID else splits.test) for name in wanted}


def read_test_set(source: Path, references: Sequence[Path]) -> list[Referenced]:
    """A test set from files side by side: a line of each of ``references`` translates that of ``source``.

    Where there are several references, an empty line in one of them is no translation at all.

    Raises:
        DataError: a file cannot be read, or has more or fewer lines than the source.
    """
    sources = read_lines(source)
    columns = [read_lines(path) for path in references]
    for path, column in zip(references, columns, strict=True):
        if len(column) != len(sources):
            raise DataError(
                f"{source} has {len(sources):,} lines but {path} has {len(column):,}; line i of one must be "
                "the translation of line i of the other."
            )
    rows = zip(sources, *columns, strict=True)
    return [Referenced(text, list(filter(None, group)) or group[:1]) for text, *group in rows]


def _referenced(pairs: Iterable[CldrPair | SentencePair]) -> list[Referenced]:
    return [Referenced(pair.source, [pair.target]) for pair in pairs]
