"""Parts of the operation by themselves: metrics of queues, hosts, names of runs, the dialect of a request."""

import asyncio
import time
from collections import Counter
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

pytest.importorskip("prometheus_client", reason="needs the extra `serve`")

from prometheus_client.parser import text_string_to_metric_families

from whyformer.decoding.beam import BeamSpec
from whyformer.decoding.sampling import SamplingSpec
from whyformer.decoding.search import SearchSpec
from whyformer.errors import DataError
from whyformer.serve.asking import Asking, Entering
from whyformer.serve.batching.figures import Observer
from whyformer.serve.gate.dialect import Dialects
from whyformer.serve.gate.doorway import Doorway
from whyformer.serve.gate.shedding import LoadShedder
from whyformer.serve.hosting import named_runs
from whyformer.serve.operation.hosts import Hosts, host_of, is_loopback
from whyformer.serve.operation.lifecycle import Lifecycle
from whyformer.serve.operation.limits import Limits
from whyformer.serve.operation.metrics import ServiceMetrics
from whyformer.serve.operation.settings import Settings
from whyformer.serve.refusals import DrainingError, OverloadedError, RefusalError, RequestTooLargeError
from whyformer.serve.service import HostedRun, Service
from whyformer.tasks.task import Runner


class QueueingService(Service):
    """A service whose queues can be watched."""

    observer: Observer

    def observe(self, observer: Observer) -> None:
        self.observer = observer

    def depths(self) -> dict[str, int]:
        return {"a": 3, "b": 0}


def test_queues_are_measured_where_they_can_be_watched():
    run = HostedRun('odd "name"\n', "translation", cast(Runner, object()), "00", 0)
    service = QueueingService([run])
    metrics = ServiceMetrics(service, Lifecycle())
    service.observer.waited("a", 0.02)
    service.observer.batched("a", 7)
    families = text_string_to_metric_families(metrics.text().decode())
    measured = [each for family in families for each in family.samples]
    samples = {(each.name, *sorted(each.labels.items())): each.value for each in measured}
    assert samples["whyformer_queue_depth", ("run", "a")] == 3
    assert samples["whyformer_queue_wait_seconds_sum", ("run", "a")] == pytest.approx(0.02)
    assert samples["whyformer_batch_texts_bucket", ("le", "8.0"), ("run", "a")] == 1
    assert samples["whyformer_batch_texts_bucket", ("le", "4.0"), ("run", "a")] == 0
    assert samples["whyformer_run", ("run", run.name), ("task", "translation"), ("weights", "00")] == 1


def test_whoever_is_on_the_way_to_a_queue_counts_until_settled():
    counts = list[Entering]()
    lifecycle, settings = Lifecycle(), Settings(Hosts("127.0.0.1", (), ()))
    metrics = ServiceMetrics(Service([]), lifecycle)
    shedder = LoadShedder(
        Dialects([]), settings, lifecycle, metrics, lambda _, entering: counts.append(entering)
    )
    one, two, settled = (Asking(name, size=size) for name, size in (("one", 10), ("two", 30), ("settled", 7)))
    settled.settle()
    for asking in (one, two, settled):
        shedder.enter(asking)
    for leaving in (one, one, two):
        assert shedder.refusal(two) is None
        leaving.settle()
    assert shedder.refusal(two) is None
    assert counts == [(2, 40), (1, 30), (1, 30), (0, 0)]


def test_few_enter_in_each_turn_of_the_loop_and_in_their_order():
    entered = list[tuple[int, int]]()
    turns = 0

    async def all_at_once() -> float:
        nonlocal turns
        loop, doorway = asyncio.get_running_loop(), Doorway(width=3)

        async def enter(number: int) -> None:
            await doorway.enter()
            entered.append((number, turns))

        def count() -> None:
            nonlocal turns
            turns += 1
            if len(entered) < 10:
                loop.call_soon(count)

        tasks = [asyncio.create_task(enter(number)) for number in range(11)]
        loop.call_soon(count)
        await asyncio.sleep(0)
        tasks[4].cancel()  # who leaves holds up nobody
        waiting = doorway.seconds
        await asyncio.wait(tasks)
        await enter(11)
        return waiting

    assert asyncio.run(all_at_once()) == 0  # nothing is known yet
    assert [number for number, _ in entered] == [0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11]
    assert max(Counter(turn for _, turn in entered).values()) == 3


def test_a_long_way_to_the_queue_is_refused_at_the_head():
    lifecycle = Lifecycle()
    left = list[float]()

    def refusal(asking: Asking, _: Entering) -> None:
        assert asking.deadline is not None
        left.append(asking.deadline - asking.began)

    metrics = ServiceMetrics(Service([]), lifecycle)
    shedder = LoadShedder(Dialects([]), Settings(Hosts("127.0.0.1", (), ())), lifecycle, metrics, refusal)
    asking = Asking("one")
    asking.deadline = asking.began + 2

    async def crowd() -> tuple[object, object]:
        others = [Asking(str(number)) for number in range(400)]
        for each in others:
            shedder.enter(each)

        async def slow(each: Asking) -> None:
            await shedder.pass_doorway(each)
            time.sleep(0.002)  # what the loop does with a request

        tasks = [asyncio.create_task(slow(each)) for each in others]
        for _ in range(4):
            await asyncio.sleep(0)
        early = shedder.refusal(asking)
        await asyncio.wait(tasks)
        return early, shedder.refusal(asking)

    early, late = asyncio.run(crowd())
    assert isinstance(early, OverloadedError)
    assert early.retry_after == 1
    assert late is None
    assert left == [pytest.approx(2)]


def test_two_services_in_one_process_count_for_themselves():
    one, two = (ServiceMetrics(Service([]), Lifecycle()) for _ in range(2))
    one.refused("tiny", "size")
    assert b'reason="size"' in one.text()
    assert b'reason="size"' not in two.text()


@pytest.mark.parametrize(
    ("bound", "names", "asked", "passes"),
    [
        ("127.0.0.1", (), "127.0.0.1:80", True),
        ("127.0.0.1", (), "127.8.8.8", True),
        ("127.0.0.1", (), "evil.example", False),
        ("127.0.0.1", (), "10.0.0.1", False),
        ("127.0.0.1", (), "127.0.0.1@evil.example", False),
        ("127.0.0.1", ("Mine.Example",), "mine.example:8000", True),
        ("localhost", (), "[::1]:8000", True),
        ("::1", (), "evil.example", False),
        ("0.0.0.0", (), "anything.example", True),
        ("0.0.0.0", ("mine.example",), "anything.example", False),
        ("0.0.0.0", ("mine.example",), "localhost", True),
    ],
)
def test_names_that_a_service_answers_to(bound: str, names: tuple[str, ...], asked: str, passes: bool):
    hosts = Hosts(bound, names, ())
    if passes:
        hosts.check(Headers({"host": asked}))
    else:
        with pytest.raises(RefusalError):
            hosts.check(Headers({"host": asked}))


@given(header=st.text(max_size=30))
def test_no_name_breaks_the_check(header: str):
    assert isinstance(is_loopback(host_of(header)), bool)


@pytest.mark.parametrize(
    ("origin", "allowed", "passes"),
    [
        (None, (), True),
        ("http://localhost:8000", (), True),
        ("https://evil.example", (), False),
        ("http://localhost:9000", (), False),
        ("null", (), False),
        ("https://mine.example", ("https://mine.example",), True),
        ("https://any.example", ("*",), True),
    ],
)
def test_pages_that_may_open_a_websocket(origin: str | None, allowed: tuple[str, ...], passes: bool):
    headers = {"host": "localhost:8000"} | ({} if origin is None else {"origin": origin})
    hosts = Hosts("127.0.0.1", (), allowed)
    if passes:
        hosts.check_origin(Headers(headers))
    else:
        with pytest.raises(RefusalError):
            hosts.check_origin(Headers(headers))


@pytest.mark.parametrize(
    ("settings", "passes"),
    [
        (None, True),
        (BeamSpec(size=16), True),
        (BeamSpec(size=17), False),
        (BeamSpec(size=12, n_best=10), True),
        (BeamSpec(size=12, n_best=11), False),
        (SamplingSpec(samples=11), False),
        (SamplingSpec(longest_extra=2_049), False),
    ],
)
def test_searches_that_cost_too_much_are_refused(settings: SearchSpec | None, passes: bool):
    if passes:
        Limits().check_search(settings)
    else:
        with pytest.raises(RequestTooLargeError):
            Limits().check_search(settings)


def test_runs_are_named_by_their_folders_or_by_the_operator(tmp_path: Path):
    odd = tmp_path / "a=b"
    odd.mkdir()
    assert named_runs([str(tmp_path / "demo"), f"other={tmp_path}/demo"]) == {
        "demo": tmp_path / "demo",
        "other": tmp_path / "demo",
    }
    assert named_runs([str(odd)]) == {"a=b": odd}
    for clashing in (["runs/demo", "x/demo"], ["one=a", "one=b"]):
        with pytest.raises(DataError, match="NAME=RUN"):
            named_runs(clashing)
    with pytest.raises(DataError, match="no name"):
        named_runs(["=runs/demo"])


def test_a_lifecycle_waits_for_what_runs_and_cancels_what_stays():
    async def scenario() -> tuple[bool, list[str]]:
        lifecycle, ended = Lifecycle(), list[str]()

        async def work(name: str, seconds: float) -> None:
            with lifecycle.busy():
                try:
                    await asyncio.sleep(seconds)
                    ended.append(name)
                except asyncio.CancelledError:
                    ended.append(f"{name} cut")

        tasks = [asyncio.create_task(work("short", 0.01)), asyncio.create_task(work("long", 60))]
        await asyncio.sleep(0)
        assert lifecycle.running == 2
        whole = await lifecycle.drain(0.2)
        with pytest.raises(DrainingError):
            lifecycle.check_ready()
        await asyncio.gather(*tasks)
        assert lifecycle.running == 0
        return whole, ended

    assert asyncio.run(scenario()) == (False, ["short", "long cut"])
