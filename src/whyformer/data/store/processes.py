"""Blocks of text to shards, in several processes or in this one; both give the same files."""

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar, TypeVarTuple, Unpack

import numpy as np
from numpy.typing import NDArray

from whyformer.data.store.manifest import Shard
from whyformer.data.store.shards import ShardMaker
from whyformer.data.store.text.inputs import TextBlock
from whyformer.errors import WhyformerError

GivenT = TypeVarTuple("GivenT")
ResultT = TypeVar("ResultT")
Made = tuple[Shard, NDArray[np.int64]]
_AHEAD = 2
"""Blocks of each process that are held in memory, so that none waits."""

_maker: ShardMaker | None = None


def made_shards(maker: ShardMaker, blocks: Iterable[TextBlock], processes: int) -> Iterator[Made]:
    """The shard of each block, in order, and how often each token is in it.

    Raises:
        DataError: see ``TextInputs.blocks``.
        WhyformerError: the disk is full; or a process was killed, as for lack of memory.
    """
    if processes == 1:
        yield from (maker.make(number, block) for number, block in enumerate(blocks))
        return
    # A fork would copy locks that other threads hold.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, context, initializer=_begin, initargs=(maker,))
    waiting: deque[Future[Made]] = deque()
    try:
        for number, block in enumerate(blocks):
            waiting.append(submitted(pool, _make, number, block))
            if len(waiting) > _AHEAD * processes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise WhyformerError(
            f"{maker.store}: a process that cuts text into tokens was killed, perhaps for lack of memory; "
            "run the same command again, with fewer --processes: it goes on where it stopped."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def submitted(
    pool: ProcessPoolExecutor, call: Callable[[Unpack[GivenT]], ResultT], *given: *GivenT
) -> Future[ResultT]:
    """The result of ``call`` in a process of ``pool``, some day.

    Raises:
        BrokenProcessPool: one of its processes was killed; also while it was starting another, for which it
            finds its pipes closed and has an error of another kind.
    """
    try:
        return pool.submit(call, *given)
    except OSError as error:
        # Those of the system, such as too many open files, have a number.
        if error.errno is not None:
            raise
        raise BrokenProcessPool(str(error)) from error


def _begin(maker: ShardMaker) -> None:
    global _maker
    _maker = maker
    # One thread each: there are as many processes as there shall be.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    threading.Thread(target=end_with_parent, daemon=True).start()


def end_with_parent() -> None:
    """End this process where the one that began it was killed; by itself it would wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _make(number: int, block: TextBlock) -> Made:
    assert _maker is not None, "the process has begun"
    return _maker.make(number, block)
