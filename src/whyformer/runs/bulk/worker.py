"""Worker of a bulk translation: a file in, a file out, whole or not at all."""

import gzip
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from whyformer.data.corpora.lines import opened, scan_lines
from whyformer.errors import DataError, DecodingError, WhyformerError, without_notes
from whyformer.files import write_atomically
from whyformer.machine import keep_freed_memory
from whyformer.runs.bulk.job import BulkJob, BulkShard, sha256_of
from whyformer.runs.bulk.manifest import BulkRecord, count_attempt, finished_record, keep_record
from whyformer.runs.load import load_as
from whyformer.tasks.bad_lines import BadLines, blanked
from whyformer.tasks.translation.lines import LineTranslator
from whyformer.tasks.translation.translator import Translator

DEATHS = 4
"""Processes that may be killed over one file; Ray would start another for ever."""
_TOLD = 5
"""Sentences on lines that a record has."""


def killed_too_often(job: BulkJob) -> WhyformerError:
    """The error of a job whose processes are killed again and again."""
    return WhyformerError(
        f"{job.folder}: processes that translate were killed {DEATHS} times before one had finished a file, "
        "perhaps for lack of memory; run the same command again, with fewer --processes: it goes on where it "
        "stopped."
    )


class ShardFault(NamedTuple):
    """A file that cannot be translated, while others can."""

    sentence: str


class ShardTranslator:
    """A run that translates files by a job; one a process."""

    def __init__(self, job: BulkJob) -> None:
        keep_freed_memory()
        translator = load_as(Translator, job.run, job.execution, job.weights)
        self._job = job
        self._lines = LineTranslator(translator, job.settings, job.form, job.batch)

    def attempt(self, shard: BulkShard) -> BulkRecord | ShardFault:
        """Do as ``translate`` does; what is wrong with the file keeps no other from its turn.

        Raises:
            WhyformerError: see ``translate``; of a file only where the choice is to stop.
        """
        try:
            return self.translate(shard)
        except DataError as error:
            if self._job.on_error == "stop":
                raise
            return ShardFault(str(error))

    def translate(self, shard: BulkShard) -> BulkRecord:
        """Write the translation of a shard, unless a process that was killed right behind it has done so.

        It is what ``whyformer translate --file`` writes, and packed if the input is.

        Raises:
            DataError: the file cannot be read or changes meanwhile, or a line is no text and the choice is to
                stop.
            DecodingError: a line cannot be translated, and the choice is to stop.
            WhyformerError: the disk is full, the folder cannot be written to, or each process that has tried
                was killed.
        """
        if (done := finished_record(self._job.folder, shard)) is not None:
            return done
        if count_attempt(self._job.folder, shard.name) > DEATHS:
            raise WhyformerError(
                f"{shard.source}: {DEATHS} processes were killed while they translated this file, perhaps "
                "for lack of memory; run the same command again, with fewer --processes or a smaller "
                "--batch: it goes on where it stopped."
            )
        records: list[BulkRecord] = []

        def write(temporary: Path) -> None:
            record = self._translated(shard, temporary)
            # Before the translation gets its name: see the manifest.
            keep_record(self._job.folder, shard, record)
            records.append(record)

        with without_notes():
            write_atomically(self._job.folder / shard.name, write)
        return records[0]

    def _translated(self, shard: BulkShard, temporary: Path) -> BulkRecord:
        source = shard.source
        before, digest = source.stat(), sha256_of(source)
        bad = BadLines(self._job.on_error)
        texts = _Counted(_texts(source, bad))
        try:
            with _output(temporary, is_packed=_is_packed(source)) as file:
                file.writelines(f"{line}\n".encode() for line in self._lines.lines(texts, bad))
        except DecodingError as error:
            raise DecodingError(f"{source}: {error}") from error
        after = source.stat()
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise DataError(
                f"{source}: has changed while it was translated; run the command again when it is whole."
            )
        told = {**bad.cut, **bad.left_out}
        reasons = [told[number] for number in sorted(told)[:_TOLD]]
        return BulkRecord(
            str(source),
            after.st_size,
            digest,
            sha256_of(temporary),
            texts.count,
            len(bad.left_out),
            len(bad.cut),
            reasons,
        )


class _Counted:
    """Texts that are counted as they pass."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = texts
        self.count = 0

    def __iter__(self) -> Iterator[str]:
        for text in self._texts:
            self.count += 1
            yield text


def _texts(path: Path, bad: BadLines) -> Iterator[str]:
    """The lines of a file, blanks in place of those that are no text; an empty one has none."""
    with opened(path) as file:
        is_empty = not file.read(1)
    return iter(()) if is_empty else blanked(scan_lines(path), bad)


def _is_packed(path: Path) -> bool:
    with opened(path) as file:
        return isinstance(file, gzip.GzipFile)


@contextmanager
def _output(path: Path, *, is_packed: bool) -> Generator[BinaryIO | gzip.GzipFile]:
    """A file to write, packed or not; the same content gives the same bytes."""
    with path.open("wb") as file:
        if not is_packed:
            yield file
            return
        # Neither name nor time of the file goes into it.
        with gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
            yield packed
