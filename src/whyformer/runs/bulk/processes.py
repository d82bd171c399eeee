"""Files to processes of this machine."""

import multiprocessing
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool

from whyformer.data.store.processes import end_with_parent, submitted
from whyformer.runs.bulk.job import BulkJob, BulkShard
from whyformer.runs.bulk.manifest import BulkRecord
from whyformer.runs.bulk.worker import DEATHS, ShardFault, ShardTranslator, killed_too_often

Finished = tuple[BulkShard, BulkRecord | ShardFault]

_translator: ShardTranslator | None = None


def by_processes(job: BulkJob, shards: Sequence[BulkShard], processes: int) -> Iterator[Finished]:
    """Each shard with its record, as soon as its translation is written; killed processes are replaced.

    Raises:
        WhyformerError: see ``ShardTranslator.attempt``; or processes are killed again and again.
    """
    if processes == 1:
        translator = ShardTranslator(job)
        yield from ((shard, translator.attempt(shard)) for shard in shards)
        return
    rest, deaths = dict.fromkeys(shards), 0
    while rest:
        try:
            for shard, result in _round(job, [*rest], processes):
                del rest[shard]
                deaths = 0
                yield shard, result
        except BrokenProcessPool as error:
            deaths += 1
            if deaths == DEATHS:
                raise killed_too_often(job) from error


def _round(job: BulkJob, shards: Sequence[BulkShard], processes: int) -> Iterator[Finished]:
    """Each shard with its record, until one of the processes is killed."""
    # A fork would copy locks that torch's threads hold.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, initializer=_begin, initargs=(job,)) as pool:
        try:
            waiting = {submitted(pool, _translate, shard): shard for shard in shards}
            for future in as_completed(waiting):
                yield waiting[future], future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _begin(job: BulkJob) -> None:
    global _translator
    # Ctrl-C reaches all processes of a terminal, and says one sentence.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=end_with_parent, daemon=True).start()
    _translator = ShardTranslator(job)


def _translate(shard: BulkShard) -> BulkRecord | ShardFault:
    assert _translator is not None, "the process has begun"
    return _translator.attempt(shard)
