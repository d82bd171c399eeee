"""Whatever befalls a rank ends the others in time with one sentence, and the state before is whole."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

import pytest

from rank_recipes import write_recipes
from rank_runs import assert_alike, examples, launch, launch_each, sentence, sentences
from whyformer.training.storage.manifest import state_facts
from whyformer.training.storage.run import RunFolder

SHORT, LONG = 30.0, 300.0
"""Seconds that ranks wait for one another: where nothing tells them that one is lost, and else."""
STEP = 5
"""Step of misfortune: the state of 3 stands, and that of 4 is about to be written."""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_recipes(tmp_path_factory.mktemp("recipes"))["translation"]


@pytest.fixture(scope="module")
def expected(recipe: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing befell."""
    run = tmp_path_factory.mktemp("expected") / "run"
    assert launch(1, {run: (recipe, [])}).returncode == 0
    return run


def assert_whole(run: Path, expected: Path) -> None:
    """See that the state of step 3 is there, and leads to the run that nothing befell."""
    assert state_facts(RunFolder(run).state)["progress"]["step"] == 3
    ended = launch(1, {run: ("", ["training.shard=none"])})
    assert ended.returncode == 0, ended.stderr
    assert "going on after step 3" in ended.stderr
    assert_alike(run, expected, bits=False)


@pytest.mark.slow
@pytest.mark.parametrize("ordered", [False, True], ids=["free", "ordered"])
def test_ten_kills_at_other_numbers_of_ranks_change_nothing(ordered: bool, recipe: str, tmp_path: Path):
    random = Random(f"kills {ordered}")
    settings = [
        *("training.steps=48", "training.validation.every=16", "training.save_every=3"),
        f"training.deterministic={str(ordered).lower()}",
    ]
    undisturbed, run = tmp_path / "undisturbed", tmp_path / "run"
    assert launch(1, {undisturbed: (recipe, settings)}).returncode == 0
    ranks, what = random.randint(1, 4), (recipe, settings)
    # Also soon after one another, so that some lives end before they have saved anything.
    steps = sorted(random.sample(range(2, 48), 10))
    for step in steps:
        shard, fate = random.choice(["none", "full"]), ("SIGKILL", random.randrange(ranks), step)
        life = {run: (what[0], [*what[1], f"training.shard={shard}"])}
        ended = launch(ranks, life, "--standalone", fate=fate)
        assert ended.returncode != 0
        ranks, what = random.choice([count for count in (1, 2, 3, 4) if count != ranks]), ("", [])
    ended = launch(ranks, {run: ("", [])}, "--standalone")
    assert ended.returncode == 0, ended.stderr
    assert examples(run) == examples(undisturbed)
    assert_alike(run, undisturbed, bits=ordered)


@pytest.mark.slow
@pytest.mark.parametrize("shard", ["none", "full"])
@pytest.mark.parametrize("lost", [0, 1])
@pytest.mark.parametrize("fate", ["SIGKILL", "SIGSTOP"])
def test_ranks_by_themselves_end_where_one_is_lost(
    fate: str, lost: int, shard: str, recipe: str, expected: Path, tmp_path: Path
):
    run = tmp_path / "run"
    life = {run: (recipe, [f"training.shard={shard}"])}
    frozen = lost if fate == "SIGSTOP" else None
    timeout = LONG if frozen is None else SHORT
    ended = launch_each(life, (fate, lost, STEP), timeout=timeout, prefixes=[()] * 3, frozen=frozen)
    others = [one for rank, one in enumerate(ended) if rank != lost]
    assert {one.returncode for one in others} == {2}, [one.stderr for one in others]
    told = [each for one in others for each in sentences(one.stdout)]
    # Where the store goes with rank 0, nobody can say who is to speak.
    assert len(told) in ((1, 2) if lost == 0 else (1,))
    assert all(f"has waited at step {STEP} since" in each for each in told)
    assert all(f"ranks do not answer: {lost}" in each for each in told)
    assert_whole(run, expected)


@pytest.mark.slow
@pytest.mark.parametrize(("shard", "poor"), [("none", 0), ("full", 0), ("full", 2)])
def test_a_full_disk_of_one_rank_ends_all(shard: str, poor: int, recipe: str, expected: Path, tmp_path: Path):
    run = tmp_path / "run"
    life = {run: (recipe, [f"training.shard={shard}"])}
    ended = launch_each(life, ("FULL", poor, STEP), timeout=LONG, prefixes=[()] * 3)
    assert {one.returncode for one in ended} == {2}, [one.stderr for one in ended]
    assert "cannot be written (File too large)" in sentence(ended[poor].stdout)
    others = [each for rank, one in enumerate(ended) if rank != poor for each in sentences(one.stdout)]
    # Where the store goes with rank 0, the others speak for themselves.
    assert not others or poor == 0
    assert all("ranks do not answer: 0" in each for each in others)
    assert_whole(run, expected)


@pytest.fixture
def namespaces() -> Iterator[list[str]]:
    """Two network namespaces with a link between them: 198.18.0.1 and .2, by an interface of one's name."""
    if shutil.which("ip") is None or os.geteuid() != 0:
        pytest.skip("network namespaces want the program ip and root")
    names = [f"whyformer-{os.getpid()}-{side}" for side in (0, 1)]
    try:
        for name in names:
            made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
            if made.returncode:
                pytest.skip(f"no network namespaces here: {made.stderr.strip()}")
        wire = ("link", "add", "side0", "type", "veth", "peer", "name", "side1", "netns", names[1])
        run_ip(names[0], *wire)
        for side, name in enumerate(names):
            run_ip(name, "address", "add", f"198.18.0.{side + 1}/30", "dev", f"side{side}")
            run_ip(name, "link", "set", f"side{side}", "up")
            run_ip(name, "link", "set", "lo", "up")
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


def run_ip(namespace: str, *arguments: str) -> None:
    subprocess.run(["ip", "-n", namespace, *arguments], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("shard", ["none", "full"])
@pytest.mark.parametrize("cut", [0, 1])
def test_a_cut_link_ends_both_sides(
    cut: int, shard: str, recipe: str, expected: Path, tmp_path: Path, namespaces: Sequence[str]
):
    run = tmp_path / "run"
    life = {run: (recipe, [f"training.shard={shard}"])}
    prefixes = [
        ("ip", "netns", "exec", name, "env", f"GLOO_SOCKET_IFNAME=side{side}")
        for side, name in enumerate(namespaces)
    ]
    ended = launch_each(life, ("CUT", cut, STEP), timeout=SHORT, prefixes=prefixes, address="198.18.0.1")
    assert [one.returncode for one in ended] == [2, 2], [one.stderr for one in ended]
    for rank, one in enumerate(ended):
        assert f"rank {rank} of 2 has waited at step {STEP} since" in sentence(one.stdout)
        assert f"ranks do not answer: {1 - rank}" in sentence(one.stdout)
    assert_whole(run, expected)
