"""Sources of sentence pairs: files, or the corpora that Whyformer writes itself."""

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, cast

from pydantic import Field, model_validator

from whyformer.data.corpora.cldr import CldrSpec
from whyformer.data.corpora.cldr.splits import CldrPair
from whyformer.data.corpora.formats.naming import named_pairs_at, pairs_at
from whyformer.data.corpora.formats.tables import columns_note
from whyformer.data.corpora.held_out import VALID, refuse_reserved_name, refuse_share, refuse_unknown_sets
from whyformer.data.corpora.lines import SentencePair, read_lines
from whyformer.data.corpora.pair_files import PairsSpec, Referenced
from whyformer.data.corpora.pairs.cleaning import Cleaning, CleaningReport
from whyformer.data.corpora.pairs.copies import HeldOutTexts, common, split_off, without_common
from whyformer.data.corpora.pairs.notes import corpus_notes
from whyformer.data.corpora.pairs.reverse import ReverseSpec
from whyformer.errors import DataError, WhyformerNote
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
    """Pairs to train on, which are cleaned: a file by its path, a list of them, or more closely."""
    valid: PairsSpec | Annotated[float, Field(gt=0.0, lt=1.0)] = 0.05
    """Validation pairs, of which every line is kept; or the share of training pairs that is held out.

    Pairs that have a side in common stay together, and a hash of their text decides.
    """
    test: dict[str, PairsSpec] = Field(default={})
    """Test sets by name; every line is kept."""
    cleaning: Cleaning = Cleaning()
    """Rules by which training pairs are dropped."""

    @model_validator(mode="before")
    @classmethod
    def _named_by_path(cls, data: object) -> object:
        if not isinstance(data, Mapping):
            return data
        given = dict(cast(Mapping[str, object], data))
        train = given["train"] = pairs_at(given.get("train"))
        if "valid" in given and not isinstance(given["valid"], int | float):
            given["valid"] = pairs_at(given["valid"], train)
        refuse_share(given.get("test"))
        if "test" in given:
            given["test"] = named_pairs_at(given["test"], train)
        return given

    @model_validator(mode="after")
    def _names_differ(self) -> "FilesSpec":
        refuse_reserved_name(self.test, "pairs")
        return self


AnyData = FilesSpec | CldrSpec | ReverseSpec


def load_corpus(spec: AnyData) -> Corpus:
    """All pairs that ``spec`` describes; what is likely wrong with them is said as a note.

    Raises:
        DataError: a file is missing, empty or damaged, or two files do not match.
    """
    if isinstance(spec, FilesSpec):
        return _load_files(spec)
    splits = spec.build()
    pairs = [(pair.source, pair.target) for pair in splits.train]
    valid, test = _referenced(splits.valid), _referenced(splits.test)
    author = "CLDR" if isinstance(spec, CldrSpec) else "chance"
    summary = (
        f"{len(pairs):,} training, {len(valid):,} validation, {len(test):,} test pairs written by {author}"
    )
    return Corpus(pairs, valid, {"test": test}, summary)


def _load_files(spec: FilesSpec) -> Corpus:
    kept, valid, report = _train_and_valid(spec)
    test = {name: files.references() for name, files in spec.test.items()}
    held_out = {VALID: valid, **test}
    texts = {name: HeldOutTexts(pairs) for name, pairs in held_out.items()}
    train = without_common(kept, texts, spec.cleaning.overlap)
    if not train:
        raise DataError(
            f"{spec.train.name}: every pair stands in a held-out set, too, and data.cleaning.overlap is "
            f"{spec.cleaning.overlap}; name other files."
        )
    parts = [report.summary()]
    if isinstance(spec.valid, int | float):
        parts.append(f"{report.kept - len(kept):,} of them held out as {VALID}")
    if len(train) < len(kept):
        parts.append(f"{len(kept) - len(train):,} left out as they stand in a held-out set, too")
    repeated = len(train) - len(set(train))
    if repeated:
        parts.append(f"{repeated:,} are copies of others")
    shared = {name: common(train, each) for name, each in texts.items()}
    parts += [each.summary(name) for name, each in shared.items() if any(each)]
    for note in [*file_notes(spec), *corpus_notes(train, held_out)]:
        warnings.warn(note, WhyformerNote, stacklevel=1)  # said once, whoever reads
    return Corpus([(pair.source, pair.target) for pair in train], valid, test, "; ".join(parts))


def _train_and_valid(spec: FilesSpec) -> tuple[list[SentencePair], list[Referenced], CleaningReport]:
    """The training pairs after cleaning, the validation pairs apart, and the report of the cleaning.

    Raises:
        DataError: see ``load_corpus``, or nothing is left for one of the sides.
    """
    kept, report = spec.train.training(spec.cleaning)
    if not isinstance(spec.valid, int | float):
        return kept, spec.valid.references(), report
    train, held = split_off(kept, spec.valid)
    if not train or not held:
        raise DataError(
            f"data.valid: {spec.valid:g} of the {len(kept):,} pairs in {spec.train.name} cannot be held out: "
            "those that share a side stay together, and none would be left; change the share, or name files."
        )
    return train, spec.train.referenced(held), report


def file_notes(spec: FilesSpec) -> Iterator[str]:
    """Sentences on what is likely wrong with the way the files of ``spec`` are read."""
    yield from spec.train.notes("data.train")
    if not isinstance(spec.valid, int | float):
        yield from spec.valid.notes("data.valid")
    for name, files in spec.test.items():
        yield from files.notes(f"data.test.{name}")


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
        raise DataError(
            f"the recipe names no test set; score its validation set by --on {VALID}, or files of your "
            "own by --source FILE --reference FILE."
        )
    if isinstance(spec, FilesSpec):
        return {name: _set_of(spec, name) for name in wanted}
    splits = spec.build()
    return {name: _referenced(splits.valid if name == VALID else splits.test) for name in wanted}


def _set_of(spec: FilesSpec, name: str) -> list[Referenced]:
    return _train_and_valid(spec)[1] if name == VALID else spec.test[name].references()


def read_test_set(source: Path, references: Sequence[Path]) -> list[Referenced]:
    """A test set from files side by side: a line of each of ``references`` translates that of ``source``.

    Where there are several references, an empty line in one of them is no translation at all.

    Raises:
        DataError: a file cannot be read, or has more or fewer lines than the source.
    """
    sources = read_lines(source)
    columns = [read_lines(path) for path in references]
    for path, lines in zip((source, *references), (sources, *columns), strict=True):
        if note := columns_note(path, lines):
            warnings.warn(note, WhyformerNote, stacklevel=2)
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
