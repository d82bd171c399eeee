"""Manifest of a folder of translations: what lies there, of which files, by which weights and settings.

A shard's record is written when its translation is whole and before that gets its name. So where both are
there, the work is done; a kill at any moment leaves records without translations, never the other way round.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import repeat
from pathlib import Path
from shlex import quote
from typing import Any

from whyformer.errors import DataError
from whyformer.files import explained, write_text
from whyformer.machine import usable_cores
from whyformer.progress import counted
from whyformer.runs.bulk.job import MANIFEST, BulkShard, sha256_of

_RECORDS = ".shards"
_FORM = 1
_ANEW = "choose another folder, or remove this one to have everything translated anew"


@dataclass(frozen=True)
class BulkRecord:
    """A shard that is translated."""

    input: str
    input_bytes: int
    """Size of the file as it is, which may be packed."""
    input_sha256: str
    output_sha256: str
    lines: int
    """Lines of the input."""
    left_out: int
    """Lines with a blank in their place."""
    cut: int
    """Lines of which only the beginning was translated."""
    reasons: Sequence[str]
    """Sentences on the first of both."""


@dataclass(frozen=True)
class BulkManifest:
    """The job that decides all translations of a folder, and the record of each, by its name."""

    job: Mapping[str, object]
    shards: Mapping[str, BulkRecord]

    def save(self, folder: Path) -> None:
        """Write it, whole or not at all; records by themselves are not needed any more.

        Raises:
            WhyformerError: the disk is full, or the folder cannot be written to.
        """
        shards = {name: asdict(self.shards[name]) for name in sorted(self.shards)}
        text = json.dumps({"form": _FORM, "job": self.job, "shards": shards}, ensure_ascii=False, indent=1)
        write_text(folder / MANIFEST, text + "\n")
        try:
            if (folder / _RECORDS).exists():
                shutil.rmtree(folder / _RECORDS)
        except OSError as error:
            raise explained(error, folder / _RECORDS) from error

    @staticmethod
    def begun(folder: Path, job: Mapping[str, object], shards: Sequence[BulkShard]) -> "BulkManifest":
        """The manifest of ``folder``, with those shards that are done by this ``job``.

        Raises:
            DataError: other weights or settings have written there, an input or a translation has changed
                since, or there are files of these names, but no manifest.
        """
        present = _read(folder)
        if present is None:
            taken = next((shard.name for shard in shards if (folder / shard.name).exists()), None)
            if taken is not None:
                raise DataError(
                    f"{folder}: holds {taken} but no {MANIFEST}, so it is not known what that is; choose "
                    "another folder."
                )
            return BulkManifest(job, {})
        other = sorted(key for key in {*job, *present.job} if job.get(key) != present.job.get(key))
        if other:
            raise DataError(
                f"{folder}: holds translations by other choices ({', '.join(other)}); {_ANEW}, or "
                "repeat the command that it was begun with."
            )
        listed = [present.shards.get(shard.name) for shard in shards]
        with ThreadPoolExecutor(usable_cores()) as pool:
            found = pool.map(_kept, repeat(folder), shards, listed)
            kept = {
                shard.name: record
                for shard, record in counted(
                    zip(shards, found, strict=True), "checking", len(shards), "shards"
                )
                if record is not None
            }
        asked = {shard.name for shard in shards}
        others = {name: record for name, record in present.shards.items() if name not in asked}
        return BulkManifest(job, {**others, **kept})


def _kept(folder: Path, shard: BulkShard, listed: BulkRecord | None) -> BulkRecord | None:
    """The record of a shard that is done, and of which nothing has changed."""
    record = finished_record(folder, shard) or listed
    output = folder / shard.name
    if record is None or not output.is_file():
        return None
    if sha256_of(output) != record.output_sha256:
        raise DataError(
            f"{output}: is not what was written there; move it away, and the same command translates it anew."
        )
    size = shard.source.stat().st_size
    if size != record.input_bytes or sha256_of(shard.source) != record.input_sha256:
        if record.input != str(shard.source):
            raise DataError(
                f"{output}: is the translation of {record.input}, so there is no place for that of "
                f"{shard.source}; choose another folder."
            )
        raise DataError(
            f"{shard.source}: has changed since it was translated; remove the old translation by `rm "
            f"{quote(str(output))}`, and the same command translates it anew."
        )
    return record


def finished_record(folder: Path, shard: BulkShard) -> BulkRecord | None:
    """The record of a shard whose translation has been finished since the manifest was written."""
    try:
        record = BulkRecord(**json.loads(_record_file(folder, shard.name).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return record if (folder / shard.name).is_file() else None


def keep_record(folder: Path, shard: BulkShard, record: BulkRecord) -> None:
    """Write the record of a shard, whole or not at all.

    Raises:
        WhyformerError: the disk is full, or the folder cannot be written to.
    """
    write_text(_record_file(folder, shard.name), json.dumps(asdict(record), ensure_ascii=False) + "\n")


def count_attempt(folder: Path, name: str) -> int:
    """Number of this attempt, from 1 on, since the manifest was written; at a shard of this name, say.

    Raises:
        WhyformerError: the disk is full, or the folder cannot be written to.
    """
    file = _attempts_file(folder, name)
    count = 1 + (int(file.read_text(encoding="utf-8")) if file.exists() else 0)
    write_text(file, str(count))
    return count


def forget_attempts(folder: Path, name: str) -> None:
    """Begin to count anew, as an attempt has succeeded."""
    _attempts_file(folder, name).unlink(missing_ok=True)


def _attempts_file(folder: Path, name: str) -> Path:
    return folder / _RECORDS / f"{name}.attempts"


def _record_file(folder: Path, name: str) -> Path:
    return folder / _RECORDS / f"{name}.record"


def _read(folder: Path) -> BulkManifest | None:
    path = folder / MANIFEST
    try:
        told: Any = json.loads(path.read_text(encoding="utf-8"))
        if told["form"] != _FORM:
            raise DataError(f"{path}: is of another version; {_ANEW}.")
        shards = {name: BulkRecord(**record) for name, record in told["shards"].items()}
        return BulkManifest(dict(told["job"]), shards)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: is no manifest of translations, or damaged; {_ANEW}.") from error
