"""Jobs side by side on the cores of a CPU, or one after another on all of them."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

from whyformer.engines.threads import set_own_threads

Result = TypeVar("Result")
Job = Callable[[], Result]


def side_by_side(jobs: Sequence[Job[Result]], parallel: int | None = None) -> Iterator[Result]:
    """The results of ``jobs``, in their order.

    ``parallel`` of them run at a time, each on its share of torch's threads. If left out, the first jobs are
    the measurement: some on all threads, as many again with a thread each; the rest goes the faster way.
    Small products gain little from a second thread, so that often is the latter (docs/log.md).
    """
    threads = torch.get_num_threads()
    if parallel is not None or threads == 1:
        yield from _run(jobs, parallel or 1)
        return
    took: list[float] = []
    for start, width in ((0, 1), (threads, threads)):
        began = time.perf_counter()
        yield from _run(jobs[start : start + threads], width)
        took.append(time.perf_counter() - began)
    yield from _run(jobs[2 * threads :], threads if took[1] < took[0] else 1)


def _run(jobs: Sequence[Job[Result]], parallel: int) -> Iterator[Result]:
    if parallel == 1:
        yield from (job() for job in jobs)
        return
    threads = torch.get_num_threads()
    share = max(1, threads // parallel)
    # Eager operations let go of Python's lock, so that threads do run side by side.
    pool = ThreadPoolExecutor(parallel, initializer=set_own_threads, initargs=(share, threads))
    try:
        for future in [pool.submit(job) for job in jobs]:
            yield future.result()
    finally:
        # One that fails ends all of them.
        pool.shutdown(cancel_futures=True)
