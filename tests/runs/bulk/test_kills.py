"""Workers and drivers that are killed: each file is translated once, whole, and as it is without a kill."""

import gzip
import hashlib
import importlib.util
import json
import sys
import time
from pathlib import Path
from random import Random

import pytest

from killing import descendants, kill, started, wait_until, workers
from whyformer.errors import without_notes
from whyformer.runs.load import load_as
from whyformer.tasks.translation.translator import Translator

needs_ray = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("ray", "pyarrow", "pandas")),
    reason="needs the extra `ray`",
)
ODD = ["", "NA", "null", '"', "0 1\u20282", "3\f4", "1\x850", "None", "  "]


@pytest.fixture
def shards(tmp_path: Path) -> dict[str, list[str]]:
    """Twenty-four packed files of 150 lines, some of which other readers of text would cut or drop."""
    random, texts = Random(0), dict[str, list[str]]()
    (tmp_path / "shards").mkdir()
    for number in range(24):
        lines = [" ".join(random.choices("01234", k=random.randint(2, 5))) for _ in range(150)]
        for line in ODD:
            lines[random.randrange(len(lines))] = line
        name = f"part-{number:03}.txt.gz"
        (tmp_path / "shards" / name).write_bytes(gzip.compress("".join(f"{x}\n" for x in lines).encode()))
        texts[name] = lines
    return texts


def finished(folder: Path) -> dict[str, tuple[int, int]]:
    """The translations that are there, with what changes when one is written anew."""
    paths = folder.glob("part-*.txt.gz")
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in paths}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
@pytest.mark.parametrize("by", ["processes", pytest.param("ray", marks=needs_ray)])
def test_two_kills_of_a_worker_and_one_of_the_driver(
    by: str, reverse_run: Path, shards: dict[str, list[str]], tmp_path: Path
):
    out, log = tmp_path / "out", tmp_path / "log.txt"
    pattern = tmp_path / "shards" / "*.txt.gz"
    process = started(reverse_run, pattern, out, by, log)
    try:
        for count in (3, 8):
            wait_until(lambda count=count: len(finished(out)) >= count, process, log)
            wait_until(lambda: bool(workers(process.pid, by)), process, log)
            kill(workers(process.pid, by)[0])
        wait_until(lambda: len(finished(out)) >= 13, process, log)
    finally:
        others = descendants(process.pid)
        process.kill()
        process.wait()
    before = finished(out)
    assert len(before) < len(shards), "the driver was killed too late to show anything"
    for name in before:
        # Whole, whenever the kill came.
        record = json.loads((out / ".shards" / f"{name}.record").read_text(encoding="utf-8"))
        data = (out / name).read_bytes()
        assert hashlib.sha256(data).hexdigest() == record["output_sha256"]
        assert gzip.decompress(data).count(b"\n") == record["lines"] == len(shards[name])
    wait_until_gone(others)
    before = finished(out)

    process = started(reverse_run, pattern, out, by, log)
    assert process.wait(900) == 0, log.read_text()
    after = finished(out)
    assert {name: after[name] for name in before} == before, "what was there was written again"
    assert after.keys() == shards.keys()
    assert f"{len(shards) - len(before)} of them translated now" in log.read_text()
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    assert [*manifest["shards"]] == sorted(shards)
    translator = load_as(Translator, reverse_run)
    for name, lines in shards.items():
        with without_notes():
            expected = translator.best(lines)
        assert gzip.decompress((out / name).read_bytes()).decode().split("\n") == [*expected, ""]
    assert not [*out.rglob("*.tmp")]


def wait_until_gone(processes: list[int]) -> None:
    """Wait for processes that end with the one that has started them."""
    for _ in range(1200):
        if not any((Path("/proc") / str(each)).exists() for each in processes):
            return
        time.sleep(0.1)
    raise AssertionError(f"{processes} have outlived the driver")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
def test_processes_that_are_killed_again_and_again_end_with_a_sentence(
    reverse_run: Path, shards: dict[str, list[str]], tmp_path: Path
):
    out, log = tmp_path / "out", tmp_path / "log.txt"
    process = started(reverse_run, tmp_path / "shards" / "*.txt.gz", out, "processes", log)
    while process.poll() is None:
        for each in workers(process.pid, "processes"):
            kill(each)
    assert process.returncode == 2, log.read_text()
    assert "were killed 4 times before one had finished a file" in log.read_text()
    assert "Traceback" not in log.read_text()


@pytest.mark.slow
@pytest.mark.parametrize("by", ["processes", pytest.param("ray", marks=needs_ray)])
def test_a_file_that_cannot_be_read_is_told_when_all_others_are_translated(
    by: str, reverse_run: Path, shards: dict[str, list[str]], tmp_path: Path
):
    out, log = tmp_path / "out", tmp_path / "log.txt"
    faulty = [*shards][5:7]
    for name in faulty:
        (tmp_path / "shards" / name).write_bytes(b"packed by nobody")
    process = started(reverse_run, tmp_path / "shards" / "*.txt.gz", out, by, log)
    process.wait()
    assert process.returncode == 2, log.read_text()
    assert "2 of 24 files could not be translated, and all others are: " in log.read_text()
    assert all(str(tmp_path / "shards" / name) in log.read_text() for name in faulty)
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    assert [*manifest["shards"]] == sorted(finished(out)) == sorted(shards.keys() - set(faulty))
