"""Documents of a recipe: in files, or in a store."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from whyformer.config.paths import FolderPath
from whyformer.data.corpora.documents import DocumentsSpec
from whyformer.data.corpora.formats.naming import FileByPath, listed
from whyformer.data.corpora.held_out import VALID, refuse_reserved_name, refuse_unknown_sets
from whyformer.data.corpora.lines import BadLine, Reason
from whyformer.data.store.manifest import StoreManifest
from whyformer.data.store.pair_data import files_by_default
from whyformer.data.store.reader import TokenStore, stored_texts
from whyformer.data.store.text.fitness import decoded
from whyformer.data.store.text.inputs import TextInputs
from whyformer.spec import Spec

_AT_ONCE = 10_000
TextFiles = Annotated[tuple[Path, ...], Field(min_length=1), FileByPath()]


class StoredDocumentsSpec(Spec):
    """Documents as token ids in a store, which may be larger than memory."""

    kind: Literal["store"] = "store"
    path: FolderPath
    """The folder that ``whyformer data build FILES --to STORE`` has written."""
    valid: TextFiles | None = None
    """Validation files, cut into documents as those of the store; null for the documents that were held out
    when it was built."""
    test: dict[str, TextFiles] = Field(default={})
    """Test sets by name."""

    @model_validator(mode="before")
    @classmethod
    def _one_file_is_a_list(cls, data: object) -> object:
        return listed(data)

    @model_validator(mode="after")
    def _names_differ(self) -> "StoredDocumentsSpec":
        refuse_reserved_name(self.test, "documents")
        return self

    def open(self) -> TokenStore:
        """The store, every file of it compared with its hash.

        Raises:
            DataError: a file is missing, damaged or foreign, or it holds pairs.
        """
        store = TokenStore(self.path)
        store.require(1)
        return store

    def held_out(self, name: str) -> list[str]:
        """The documents of the test set ``name``, or of the validation set if it is ``valid``.

        Raises:
            DataError: there is no such set, or it cannot be read.
        """
        refuse_unknown_sets([name], [VALID, *self.test])
        files = self.valid if name == VALID else self.test[name]
        return [text for text, *_ in stored_texts(self.path)] if files is None else [*self._read(files)]

    def _read(self, files: tuple[Path, ...]) -> Iterator[str]:
        kind = StoreManifest.load(self.path).kind
        for block in TextInputs(kind, (files,)).blocks(_AT_ONCE):
            for number, text in enumerate(map(decoded, block.columns[0]), start=block.first):
                if isinstance(text, Reason):
                    raise BadLine(Path(block.name), number, text).error()
                if text.strip():
                    yield text


DocumentDataSpec = Annotated[
    DocumentsSpec | StoredDocumentsSpec, Field(discriminator="kind"), BeforeValidator(files_by_default)
]
