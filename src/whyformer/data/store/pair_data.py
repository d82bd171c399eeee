"""Sentence pairs of a recipe: in files, in a store, or written by the corpora that Whyformer brings along."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, cast

from pydantic import BeforeValidator, Field, model_validator

from whyformer.config.paths import FolderPath
from whyformer.data.corpora.formats.naming import named_pairs_at, pairs_at
from whyformer.data.corpora.held_out import VALID, refuse_reserved_name, refuse_share, refuse_unknown_sets
from whyformer.data.corpora.pair_files import PairsSpec, Referenced
from whyformer.data.corpora.parallel import AnyData, Corpus, FilesSpec, load_corpus, load_held_out
from whyformer.data.store.reader import TokenStore, stored_texts
from whyformer.errors import DataError
from whyformer.spec import Spec


class StoredPairsSpec(Spec):
    """Sentence pairs as token ids in a store, which may be larger than memory."""

    kind: Literal["store"] = "store"
    path: FolderPath
    """The folder that ``whyformer data build FILES --target FILES --to STORE`` has written."""
    valid: PairsSpec | None = None
    """Validation pairs in files; null for those that were held out when the store was built."""
    test: dict[str, PairsSpec] = Field(default={})
    """Test sets by name; every line is kept."""

    @model_validator(mode="before")
    @classmethod
    def _named_by_path(cls, data: object) -> object:
        if not isinstance(data, Mapping):
            return data
        given = dict(cast(Mapping[str, object], data))
        if given.get("valid") is not None:
            given["valid"] = pairs_at(given["valid"])
        refuse_share(given.get("test"))
        if "test" in given:
            given["test"] = named_pairs_at(given["test"])
        return given

    @model_validator(mode="after")
    def _names_differ(self) -> "StoredPairsSpec":
        refuse_reserved_name(self.test, "pairs")
        return self

    def open(self) -> TokenStore:
        """The store, every file of it compared with its hash.

        Raises:
            DataError: a file is missing, damaged or foreign, or it holds no pairs.
        """
        store = TokenStore(self.path)
        store.require(2)
        return store

    def held_out(self, name: str) -> list[Referenced]:
        """The pairs of one held-out set, ``valid`` or a test set.

        Raises:
            DataError: it cannot be read, or nothing was held out.
        """
        files = self.valid if name == VALID else self.test[name]
        if files is not None:
            return files.references()
        return [Referenced(source, [target]) for source, target in stored_texts(self.path)]


AnyPairData = AnyData | StoredPairsSpec


def files_by_default(value: object) -> object:
    """``value`` with the kind that data have where they name something to train on."""
    if isinstance(value, Mapping) and "kind" not in value and "train" in value:
        return {"kind": "files", **cast(Mapping[str, object], value)}
    return value


PairDataSpec = Annotated[AnyPairData, Field(discriminator="kind"), BeforeValidator(files_by_default)]


def pair_corpus(spec: AnyPairData) -> Corpus:
    """All pairs that ``spec`` describes, as text; see ``load_corpus``.

    Raises:
        DataError: they cannot be read; or they are in a store, which keeps no text to train on.
    """
    if isinstance(spec, StoredPairsSpec):
        raise DataError(
            f"{spec.path}: a store keeps token ids and no text, which is wanted here; name the files that it "
            "was built from, as data.kind=files data.train=FILE."
        )
    return load_corpus(spec)


def held_out_pairs(spec: AnyPairData, names: Sequence[str] = ()) -> dict[str, list[Referenced]]:
    """The held-out sets called ``names``, all test sets without any; see ``load_held_out``.

    Raises:
        DataError: there is no such set, or it cannot be read.
    """
    if not isinstance(spec, StoredPairsSpec):
        return load_held_out(spec, names)
    refuse_unknown_sets(names, [VALID, *spec.test])
    wanted = names or [*spec.test]
    if not wanted:
        raise DataError(
            f"the recipe names no test set; score its validation set by --on {VALID}, or files of your "
            "own by --source FILE --reference FILE."
        )
    return {name: spec.held_out(name) for name in wanted}


def set_names(spec: AnyPairData) -> list[str]:
    """Names of the test sets of ``spec``."""
    return [*spec.test] if isinstance(spec, FilesSpec | StoredPairsSpec) else ["test"]
