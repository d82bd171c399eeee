"""A group of ranks: what its processes tell each other, each time within a time limit.

R ranks
"""

import json
import os
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime, timedelta
from typing import TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed import PrefixStore, TCPStore  # pyright: ignore[reportPrivateImportUsage]
from torch.distributed.rendezvous import rendezvous

from whyformer.data.batches.ranks import Ranks
from whyformer.errors import RecipeError, TrainingError, WhyformerError
from whyformer.training.ranks.signs import Signs
from whyformer.training.ranks.store import TimedStore

Result = TypeVar("Result")

TIMEOUT = 600.0
"""Seconds that ranks wait for one another if nobody says otherwise."""
_POLL = 0.02
"""Seconds between two looks at what rank 0 may have told."""


class RankGroup:
    """This process and those that train with it; alone unless it was joined to others.

    Whatever it does among several is done by all of them in the same order: what they exchange is matched by
    order alone.
    """

    def __init__(
        self,
        ranks: Ranks = Ranks(),  # noqa: B008 (it is frozen)
        store: TimedStore | None = None,
        signs: Signs | None = None,
        *,
        timeout: float = TIMEOUT,
        is_restarted: bool = False,
    ) -> None:
        self.ranks = ranks
        self.timeout = timeout
        self.is_restarted = is_restarted
        """Whether the launcher has started this process anew, after one of the group had died."""
        self._store = store
        self._signs = signs
        self._told = 0

    @property
    def is_alone(self) -> bool:
        """Whether this process trains by itself."""
        return self._store is None

    def check_enough(self, batches: int) -> None:
        """Refuse a step of so few ``batches`` that ranks would have nothing to do.

        Raises:
            RecipeError: there are more ranks.
        """
        if (ranks := self.ranks.count) > batches:
            raise RecipeError(
                f"training.batching.accumulate is {batches}, and {ranks} ranks cannot share out so few "
                f"batches of a step; ask for training.batching.accumulate={ranks}, or start {batches} ranks."
            )

    def come_to(self, step: int) -> None:
        """Let the others know that this rank has come to ``step``."""
        if self._signs is not None:
            self._signs.come_to(step)

    def told(self, work: Callable[[], Result]) -> Result:
        """Result of ``work``, which rank 0 alone does, as JSON has it; others wait while rank 0 lives.

        Raises:
            TrainingError: rank 0 has failed, or has given no sign of life for longer than the time limit.
        """
        if self._store is None:
            return work()
        self._told += 1
        key = f"told/{self._told}"
        if not self.ranks.writes:
            return cast(Result, self._heard(key))
        try:
            result = work()
        except BaseException as error:
            if isinstance(error, WhyformerError):
                self.speaks()
            with suppress(RuntimeError):
                self._store.set(key, "failed")
            raise
        with self.waiting():
            self._store.set(key, json.dumps([result]))
        return result

    def first(self, work: Callable[[], Result]) -> Result | None:
        """Do ``work`` at rank 0 alone, while the others wait; they get None. See ``told``."""
        done: list[Result] = []
        self.told(lambda: done.append(work()))
        return done[0] if done else None

    def agreed(self, seconds: float, stop: bool) -> tuple[float, bool]:
        """The ``seconds`` of rank 0's clock, and whether any rank is asked to ``stop``."""
        if self._store is None:
            return seconds, stop
        asked = torch.tensor([seconds if self.ranks.writes else 0.0, float(stop)], dtype=torch.float64)
        with self.waiting():
            dist.all_reduce(asked, op=dist.ReduceOp.MAX)
        agreed_seconds, stopped = asked.tolist()
        return agreed_seconds, bool(stopped)

    def gathered(self, part: Tensor) -> list[Tensor]:
        """``part`` of every rank, all of one shape, by rank."""
        if self.is_alone:
            return [part]
        parts = [torch.empty_like(part) for _ in range(self.ranks.count)]
        with self.waiting():
            dist.all_gather(parts, part)
        return parts

    def waiting(self) -> AbstractContextManager[None]:
        """Make a sentence of what fails where ranks wait for one another.

        Raises:
            TrainingError: a rank has not come within the time limit, or has ended.
        """
        return self._explaining(lambda _: True)

    def computing(self) -> AbstractContextManager[None]:
        """Make a sentence of what fails between ranks while they compute; other faults stay what they are.

        Raises:
            TrainingError: a rank has not come within the time limit, or has ended.
        """
        return self._explaining(lambda error: isinstance(error, dist.DistError) or "gloo" in str(error))

    @contextmanager
    def _explaining(self, is_silence: Callable[[RuntimeError], bool]) -> Generator[None]:
        """Make a sentence of an error within that ``is_silence`` of other ranks."""
        began, since = time.monotonic(), datetime.now()
        try:
            yield
        except RuntimeError as error:
            if is_silence(error):
                raise self._silence(since, time.monotonic() - began) from error
            raise

    def meet(self) -> None:
        """Wait until all ranks have come here."""
        if not self.is_alone:
            with self.waiting():
                dist.barrier()

    def speaks(self) -> bool:
        """Whether this rank is the one to say why the training ends."""
        return self._signs is None or self._signs.speaks()

    def _heard(self, key: str) -> object:
        """The value under ``key``, which rank 0 sets."""
        assert self._store is not None, "others were joined"
        assert self._signs is not None, "others were joined"
        since, changed, sign = datetime.now(), time.monotonic(), None
        try:
            while not self._store.check(key):
                time.sleep(_POLL)
                if (now := self._signs.last(0)) != sign:
                    sign, changed = now, time.monotonic()
                elif time.monotonic() - changed > self.timeout:
                    raise self._silence(since, time.monotonic() - changed)
            told = self._store.get(key)
        except RuntimeError as error:
            raise self._silence(since, time.monotonic() - changed) from error
        if told == b"failed":
            raise TrainingError("rank 0 has failed, and the other ranks end with it.")
        return json.loads(told)[0]

    def _silence(self, since: datetime, seconds: float) -> TrainingError:
        """The sentence on ranks for which this one has waited ``since`` then."""
        assert self._signs is not None, "only those who are joined wait"
        missing = self._signs.missing()
        return TrainingError(
            f"rank {self.ranks.rank} of {self.ranks.count} has waited at step {self._signs.step} since "
            f"{since:%H:%M:%S} ({seconds:.0f} seconds), and ranks do not answer: {missing}; start the same "
            "command again, and it goes on from the last saved state."
        )


@contextmanager
def join_ranks(device: str, timeout: float) -> Generator[RankGroup]:
    """The group of processes that torchrun has started; this process alone where it was started by itself.

    Of an error one rank tells, and the others end with it, without a word and with code 2.

    Args:
        device: auto, cpu, cuda or mps, by which the ranks compute.
        timeout: seconds that ranks wait for one another.

    Raises:
        TrainingError: the group cannot be formed, or there are more ranks here than GPUs.
    """
    ranks = Ranks(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))
    restarts = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))
    if ranks.count == 1:
        yield RankGroup(timeout=timeout, is_restarted=restarts > 0)
        return
    store, signs = _met(ranks, restarts, timeout)
    timed = TimedStore(store, timeout)
    group = RankGroup(ranks, timed, signs, timeout=timeout, is_restarted=restarts > 0)
    try:
        with group.waiting():
            dist.init_process_group(
                _backend(device),
                store=PrefixStore("group", store),
                rank=ranks.rank,
                world_size=ranks.count,
                timeout=timedelta(seconds=timeout),
            )
        yield group
        with group.waiting():
            # Nobody leaves before all have heard what was told.
            dist.barrier()
    except WhyformerError:
        if group.speaks():
            raise
        raise SystemExit(2) from None
    finally:
        signs.end()
    dist.destroy_process_group()


def _met(ranks: Ranks, restarts: int, timeout: float) -> tuple[PrefixStore, Signs]:
    """The store that all ranks reach, and signs of life in it.

    A launcher keeps one store for all restarts of a job, in which the addresses of the dead still stand:
    hence names of its own for each.
    """
    try:
        store, _, _ = next(rendezvous("env://", timeout=timedelta(seconds=timeout)))
        assert isinstance(store, TCPStore), "what env:// gives"
        prefix = f"whyformer/{restarts}/{ranks.count}"
        # A client of its own: one that waits would hold up the signs.
        other = store.clone()  # pyright: ignore[reportAttributeAccessIssue]
        signs = Signs(TimedStore(PrefixStore(prefix, other), timeout), ranks)
    except (RuntimeError, ValueError) as error:
        raise TrainingError(
            f"rank {ranks.rank} of {ranks.count} cannot reach the others ({str(error).splitlines()[0]}); "
            "start them all by torchrun."
        ) from error
    signs.begin()
    return PrefixStore(prefix, store), signs


def _backend(device: str) -> str:
    """How ranks exchange tensors: gloo on a CPU, and NCCL on GPUs, of which each rank takes its own."""
    if device not in ("auto", "cuda") or not torch.cuda.is_available():
        return "gloo"
    place, count = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if place >= count:
        raise TrainingError(
            f"rank {place} of this machine has no GPU, as there are {count}; start {count} ranks on it, or "
            "use --device cpu."
        )
    torch.cuda.set_device(place)
    return "cpu:gloo,cuda:nccl"
