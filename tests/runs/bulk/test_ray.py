"""Ray Data as it is, which is why rows are never texts, and the pool of actors."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from killing import ENVIRONMENT
from whyformer.errors import WhyformerError
from whyformer.runs.bulk.job import BulkShard
from whyformer.runs.bulk.ray_pool import ShardActor, pool_size, start_cluster
from whyformer.runs.bulk.worker import DEATHS

BEHAVIOUR = """\
import json, sys
import ray, ray.data
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
ray.data.DataContext.get_current().enable_progress_bars = False
texts = [row["text"] for row in ray.data.read_text(sys.argv[1]).take_all()]
# Two blocks of two rows: in the first a missing text has a neighbour.
rows = [{"text": text} for text in ("a", None, None, None)]
kinds = {}
for form in ("default", "pyarrow"):
    seen = ray.data.from_items(rows, override_num_blocks=2).map_batches(
        lambda batch: {"kind": [type(getattr(x, "as_py", lambda: x)()).__name__ for x in batch["text"]]},
        batch_format=form,
    )
    kinds[form] = sorted(row["kind"] for row in seen.take_all())
print(json.dumps({"texts": texts, "kinds": kinds}))
"""


@given(nodes=st.lists(st.integers(1, 64), min_size=1, max_size=6), processes=st.none() | st.integers(1, 100))
def test_all_actors_find_room_and_some_is_left(nodes: list[int], processes: int | None):
    count, share = pool_size([{"CPU": float(cores)} for cores in nodes], processes)
    assert count == (processes or sum(nodes))
    assert share > 0
    assert sum(int(cores / share + 1e-9) for cores in nodes) >= count
    assert count * share < sum(nodes)


def test_a_cluster_without_cores_is_refused():
    with pytest.raises(WhyformerError, match="has no CPUs"):
        pool_size([{"memory": 1e9}, {"CPU": 0.0}], None)


@pytest.mark.parametrize(("timeouts", "attempts"), [(0, 1), (2, 3), (99, 4)])
def test_a_server_that_is_slow_to_come_up_is_started_again(
    monkeypatch: pytest.MonkeyPatch, timeouts: int, attempts: int
):
    calls, ended = list[dict[str, object]](), list[bool]()

    class Node:
        """What holds the processes of a server."""

        def __init__(self) -> None:
            raise RuntimeError(
                "The node timed out during startup." if len(calls) <= timeouts else "full disk"
            )

        def kill_all_processes(self, *, check_alive: bool) -> None:
            ended.append(check_alive)

    def init(**arguments: object) -> None:
        calls.append(arguments)
        Node()

    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(init=init))
    with pytest.raises(WhyformerError, match="Ray cannot be started"):
        start_cluster(None, 3)
    assert len(calls) == attempts
    assert ended == [False] * (attempts - 1)
    assert {(call["address"], call["num_cpus"]) for call in calls} == {("local", 3)}


def test_an_actor_that_is_killed_while_it_loads_the_model_gives_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    pyarrow = pytest.importorskip("pyarrow")

    class Killed(BaseException):
        """The end of a process."""

    def load(_: object) -> None:
        raise Killed

    context = SimpleNamespace(get_actor_id=lambda: "5eed")
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(get_runtime_context=lambda: context))
    monkeypatch.setattr("whyformer.runs.bulk.ray_pool.ShardTranslator", load)
    job: Any = SimpleNamespace(folder=tmp_path)
    for _ in range(DEATHS):
        with pytest.raises(Killed):
            ShardActor(job, [])
    table = ShardActor(job, [BulkShard(tmp_path / "a.txt", "a.txt")])(pyarrow.table({"place": [0]}))
    assert f"were killed {DEATHS} times" in table["told"][0].as_py()
    monkeypatch.setattr("whyformer.runs.bulk.ray_pool.ShardTranslator", lambda job: None)
    context.get_actor_id = lambda: "another"
    for _ in range(2 * DEATHS):
        ShardActor(job, [])
        assert not [*tmp_path.rglob("*another*")], "a start that went well has been counted"


@pytest.mark.slow
@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("ray", "pyarrow", "pandas")),
    reason="needs the extra `ray`",
)
def test_ray_data_cuts_drops_and_changes_texts(tmp_path: Path):
    text = tmp_path / "text.txt"
    text.write_text("a\u2028b\n\nc\fd\ne\x85f\n", encoding="utf-8")
    environment = {**ENVIRONMENT, "RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"}
    done = subprocess.run(
        [sys.executable, "-c", BEHAVIOUR, str(text)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(done.stdout.splitlines()[-1])
    assert sorted(told["texts"]) == ["a", "b", "c", "d", "e", "f"]
    assert told["kinds"]["pyarrow"] == [*["NoneType"] * 3, "str"]
    # A number where all texts of a block are missing, None elsewhere.
    assert told["kinds"]["default"] == ["NoneType", "float32", "float32", "str"]
