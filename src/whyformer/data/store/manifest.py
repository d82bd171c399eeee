"""A store's table of contents: what is in it, by which tokenizers, and the hash of every file."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from whyformer.data.store.text.inputs import ExampleKind
from whyformer.errors import DataError
from whyformer.files import file_sha256, write_text

MANIFEST = "manifest.json"
HELD_OUT_FILE = "held_out.json"
"""The examples that are not trained on, as text."""
COUNTS = "counts.npy"
"""How often each token stands on each side, (sides, largest vocabulary)."""
FORM = 1
"""Version of what lies in the files."""


@dataclass(frozen=True)
class Shard:
    """Examples that follow one another: a file of their token ids, and one of their lengths."""

    name: str
    examples: int
    tokens: int
    """Of all sides together, special tokens left out."""
    dropped: Mapping[str, int]
    """Examples that were left out, by the reason."""
    sha256: Mapping[str, str]
    """Hash of each of its two files, by name."""


@dataclass(frozen=True)
class StoreManifest:
    """Table of contents, written last: a folder without it is no store yet."""

    kind: ExampleKind
    key: str
    """Hash of what decides, with the tokenizers, what is in the store: texts and settings."""
    tokenizers: list[str]
    """Fingerprints: one of all sides, or one each."""
    shards: list[Shard]
    sha256: Mapping[str, str]
    """Hash of each other file, by name."""

    @property
    def examples(self) -> int:
        """Number of examples to train on."""
        return sum(shard.examples for shard in self.shards)

    @property
    def dropped(self) -> dict[str, int]:
        """Examples that were left out, by the reason, the most frequent first."""
        return all_dropped(self.shards)

    @property
    def digest(self) -> str:
        """Hash of the whole table, and so of all files."""
        return digest_of(asdict(self))

    def save(self, store: Path) -> None:
        """Write it, whole or not at all."""
        write_text(store / MANIFEST, json.dumps({"form": FORM, **asdict(self)}, indent=1) + "\n")

    @staticmethod
    def load(store: Path) -> "StoreManifest":
        """Read what ``save`` wrote.

        Raises:
            DataError: it is missing, damaged, or of another version.
        """
        path = store / MANIFEST
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise DataError(
                f"{store}: this is no store, or one whose building was interrupted (it has no {MANIFEST}); "
                "run `whyformer data build` with the same files and options, which goes on where it stopped."
            ) from None
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: cannot be read ({error}); build the store again.") from error
        if not isinstance(record, dict) or record.get("form") != FORM:
            raise DataError(f"{path}: not of a store that this version reads; build it again.")
        try:
            return _read(record)
        except (KeyError, TypeError) as error:
            raise DataError(f"{path}: damaged ({error}); build the store again.") from error


def _read(record: dict[str, Any]) -> StoreManifest:
    shards = [Shard(**shard) for shard in record["shards"]]
    return StoreManifest(record["kind"], record["key"], record["tokenizers"], shards, record["sha256"])


def all_dropped(shards: Iterable[Shard]) -> dict[str, int]:
    """Examples that ``shards`` have left out, by the reason, the most frequent first."""
    total = Counter[str]()
    for shard in shards:
        total.update(shard.dropped)
    return dict(total.most_common())


def digest_of(value: object) -> str:
    """Hash of what JSON can say, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def file_digest(path: Path) -> str:
    """Hash of a file.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return file_sha256(path)
    except FileNotFoundError:
        raise DataError(f"{path}: is missing; {REPAIR}") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); {REPAIR}") from error


REPAIR = (
    "run `whyformer data build` with the same files and options, which makes anew what is missing or damaged."
)
"""The end of a sentence on a file of a store that is not what it was."""


def check_files(store: Path, expected: Iterable[tuple[str, str]]) -> None:
    """Compare files of a ``store`` with their hashes.

    Raises:
        DataError: one is missing or is not what was written.
    """
    for name, digest in expected:
        if file_digest(store / name) != digest:
            raise DataError(f"{store / name}: is damaged, or a file of another store; {REPAIR}")
