"""Files to the actors of a Ray cluster, this machine alone or more; extra ``ray``.

A row is the place of a file in a list, never a text: Ray Data's own reader ends lines at other characters and
drops blank ones, and its default batches turn a missing value into a number that is none (docs/libraries.md).
"""

import importlib.util
import json
import logging
import os
import re
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from traceback import walk_tb
from typing import Any

from whyformer.errors import WhyformerError
from whyformer.machine import usable_cores
from whyformer.runs.bulk.job import BulkJob, BulkShard
from whyformer.runs.bulk.manifest import BulkRecord, count_attempt, forget_attempts
from whyformer.runs.bulk.processes import Finished
from whyformer.runs.bulk.worker import DEATHS, ShardFault, ShardTranslator, killed_too_often

_FAULT, _OF_FILE = "fault", "file_fault"
"""Of these the first ends the job."""
_STARTS = 4
"""Attempts to start a cluster."""
_TIMEOUT = re.compile("timed out")
"""Words of Ray, among others, on a server of its own that is not up in time."""


def by_ray(job: BulkJob, shards: Sequence[BulkShard], processes: int | None) -> Iterator[Finished]:
    """Each shard with its record, as soon as its translation is written; killed actors are replaced.

    ``processes`` is the number of actors, each with one core; as many as the cluster has if left out.

    Raises:
        WhyformerError: Ray is not installed or cannot be started; or see ``ShardTranslator.attempt``.
    """
    _prepare()
    from ray.data import ActorPoolStrategy, from_arrow
    from ray.exceptions import RayError

    with _cluster(processes) as nodes:
        import pyarrow

        # A row for each block, as an actor that is killed repeats the whole of its block.
        blocks = [pyarrow.table({"place": [place]}) for place in range(len(shards))]
        count, share = pool_size(nodes, processes)
        told = from_arrow(blocks).map_batches(
            ShardActor,
            fn_constructor_args=(job, [*shards]),
            compute=ActorPoolStrategy(size=min(count, len(shards))),
            num_cpus=share,
            num_gpus=1 if job.execution.torch_device().type == "cuda" else None,
            batch_size=1,
            batch_format="pyarrow",
        )
        tables: Iterable[Any] = told.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0)
        try:
            for table in tables:
                for row in table.to_pylist():
                    record = json.loads(row["told"])
                    if _FAULT in record:
                        raise WhyformerError(record[_FAULT])
                    result = ShardFault(record[_OF_FILE]) if _OF_FILE in record else BulkRecord(**record)
                    yield shards[row["place"]], result
        except RayError as error:
            raise WhyformerError(
                f"{job.folder}: Ray has given up ({_first_line(error)}); run the same command again: it goes "
                "on where it stopped."
            ) from error


def pool_size(nodes: Sequence[dict[str, float]], processes: int | None) -> tuple[int, float]:
    """Number of actors for a cluster of such ``nodes``, and the share of a core that each asks for.

    All actors together ask for less than the cluster has: a pool that takes all waits for ever. It is no
    bound on what they compute with.

    Raises:
        WhyformerError: the cluster has no cores.
    """
    cores = [cpus for node in nodes if (cpus := node.get("CPU", 0.0)) >= 1]
    if not cores:
        raise WhyformerError("this Ray cluster has no CPUs; start it with --num-cpus.")
    total, smallest = int(sum(cores)), min(cores)
    count = processes or total
    free = (smallest - 1) / smallest if smallest > 1 else 0.5
    # Ray counts in ten-thousandths.
    return count, int(10_000 * free * min(1.0, total / count)) / 10_000


@contextmanager
def _cluster(processes: int | None) -> Generator[list[dict[str, float]]]:
    """Resources of each machine of the cluster that RAY_ADDRESS names, else of one that is this machine."""
    import ray
    from ray.data import DataContext

    start_cluster(os.environ.get("RAY_ADDRESS"), max(usable_cores(), processes or 1))
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    try:
        yield [node["Resources"] for node in ray.nodes() if node["Alive"]]
    finally:
        ray.shutdown()


def start_cluster(address: str | None, cores: int) -> None:
    """Join the cluster at ``address``, else start one of so many ``cores``; on a busy machine try again.

    Raises:
        WhyformerError: there is none, or it does not start.
    """
    import ray

    for attempt in range(1, _STARTS + 1):
        try:
            with _silent_stderr():
                ray.init(
                    # Without an address it would join whatever cluster this machine has.
                    address=address or "local",
                    num_cpus=None if address else cores,
                    include_dashboard=None if address else False,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                )
            return
        except Exception as error:
            # It waits half a minute for its own server, which is not long where others compute.
            if _TIMEOUT.search(str(error)) and attempt < _STARTS:
                _end_servers(error)
                continue
            raise WhyformerError(
                f"Ray cannot be started ({_first_line(error)}); try again, or leave out --by ray and "
                "--engine ray."
            ) from error


def _end_servers(error: Exception) -> None:
    """End what a start that failed with ``error`` has left: Ray keeps it until this program ends."""
    for frame, _ in walk_tb(error.__traceback__):
        node: Any = frame.f_locals.get("self")
        if hasattr(node, "kill_all_processes"):
            node.kill_all_processes(check_alive=False)


@contextmanager
def _silent_stderr() -> Generator[None]:
    """Let nobody write to standard error, programs in C++ included; what fails is raised all the same."""
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


def _prepare() -> None:
    """Refuse where Ray or the library of its tables is not installed; else have it keep to itself."""
    if any(importlib.util.find_spec(name) is None for name in ("ray", "pyarrow", "pandas")):
        raise WhyformerError(
            "Ray Data is not installed; run `pip install 'whyformer[ray]'`, or leave out --by ray and "
            "--engine ray."
        )
    # It reports its use over the network otherwise, and starts all workers anew by uv where that runs this.
    # Read when it is imported.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    # Its workers would wait for whatever else this machine computes.
    os.environ.setdefault("RAY_worker_niceness", "0")
    # It warns of each actor otherwise.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


class ShardActor:
    """One process of the pool."""

    def __init__(self, job: BulkJob, shards: Sequence[BulkShard]) -> None:
        import ray

        self._shards = shards
        self._translator: ShardTranslator | None = None
        # An actor that is started again keeps its name.
        name = f"actor-{ray.get_runtime_context().get_actor_id()}"
        if count_attempt(job.folder, name) <= DEATHS:
            self._translator = ShardTranslator(job)
            forget_attempts(job.folder, name)
        self._fault = json.dumps({_FAULT: str(killed_too_often(job))})

    def __call__(self, table: Any) -> Any:
        """A table of places of files, with what became of each."""
        places: list[int] = table["place"].to_pylist()
        return table.append_column("told", [[self._told(self._shards[place]) for place in places]])

    def _told(self, shard: BulkShard) -> str:
        if self._translator is None:
            return self._fault
        try:
            result = self._translator.attempt(shard)
        except WhyformerError as error:
            return json.dumps({_FAULT: str(error)})
        return json.dumps({_OF_FILE: result.sentence} if isinstance(result, ShardFault) else asdict(result))
