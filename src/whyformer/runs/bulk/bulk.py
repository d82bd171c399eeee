"""Driver of a bulk translation: what is there stays, the rest is shared out, and the manifest comes last."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple

from filelock import FileLock, Timeout

from whyformer.errors import DataError
from whyformer.files import check_writable
from whyformer.machine import usable_cores
from whyformer.progress import progress
from whyformer.runs.bulk.job import BulkJob, BulkShard
from whyformer.runs.bulk.manifest import BulkManifest, BulkRecord
from whyformer.runs.bulk.processes import Finished, by_processes
from whyformer.runs.bulk.ray_pool import by_ray
from whyformer.runs.bulk.worker import ShardFault

Distributor = Literal["processes", "ray"]
"""Whatever shares files out: processes of this machine, or a Ray cluster."""

_LOCK = ".lock"
_TOLD = 5
"""Faulty files that are named."""


class BulkResult(NamedTuple):
    """Records of all shards in the order of their names, and how many of them are new."""

    records: list[BulkRecord]
    new_shards: int
    new_lines: int


def translate_shards(
    job: BulkJob, shards: Sequence[BulkShard], by: Distributor, processes: int | None = None
) -> BulkResult:
    """Translate all ``shards``, each exactly once, however often this is called or killed.

    Raises:
        DataError: something else lies in the folder, by other weights or settings too; a file has changed
            since it was translated or cannot be read, which is told when all others are translated; or
            another process writes there.
        WhyformerError: the disk is full; or see ``by_processes`` and ``by_ray``.
    """
    check_writable(job.folder)
    job.folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(job.folder / _LOCK, timeout=0):
            return _translated(job, shards, by, processes)
    except Timeout:
        raise DataError(f"{job.folder}: another process translates into this folder; wait for it.") from None


def _translated(
    job: BulkJob, shards: Sequence[BulkShard], by: Distributor, processes: int | None
) -> BulkResult:
    manifest = BulkManifest.begun(job.folder, job.record(), shards)
    _remove_unfinished(job.folder)
    manifest.save(job.folder)
    rest = [shard for shard in shards if shard.name not in manifest.shards]
    records, faults = dict(manifest.shards), list[str]()
    with progress("translating", len(rest), "files") as advance:
        for shard, result in _finished(job, rest, by, processes):
            if isinstance(result, ShardFault):
                faults.append(result.sentence)
            else:
                records[shard.name] = result
            advance(1)
    BulkManifest(manifest.job, records).save(job.folder)
    _remove_unfinished(job.folder)
    if faults:
        raise _faulty(faults, len(shards))
    return BulkResult(
        [records[shard.name] for shard in shards], len(rest), sum(records[shard.name].lines for shard in rest)
    )


def _faulty(faults: Sequence[str], shards: int) -> DataError:
    """The error of a job of so many ``shards`` that ends with ``faults`` of some."""
    told = "; ".join(fault.removesuffix(".") for fault in sorted(faults)[:_TOLD])
    more = f"; and {len(faults) - _TOLD:,} more" if len(faults) > _TOLD else ""
    return DataError(
        f"{len(faults):,} of {shards:,} files could not be translated, and all others are: {told}{more}. "
        "Mend or remove them, and the same command does the rest."
    )


def _remove_unfinished(folder: Path) -> None:
    """Remove what killed processes have left half written."""
    for path in folder.rglob(".*.tmp"):
        path.unlink(missing_ok=True)


def _finished(
    job: BulkJob, shards: Sequence[BulkShard], by: Distributor, processes: int | None
) -> Iterator[Finished]:
    """Each shard with its record, by as many processes as there are cores; on a GPU, by one."""
    if not shards:
        return
    on_cpu = job.execution.torch_device().type == "cpu"
    if by == "ray":
        yield from by_ray(_of_one_thread(job) if on_cpu else job, shards, processes)
        return
    count = min(processes or (usable_cores() if on_cpu else 1), len(shards))
    yield from by_processes(job if count == 1 else _of_one_thread(job), shards, count)


def _of_one_thread(job: BulkJob) -> BulkJob:
    """The job with a thread for each process, unless it says otherwise: all of them fill the cores."""
    if job.execution.threads is not None:
        return job
    return replace(job, execution=replace(job.execution, threads=1))
