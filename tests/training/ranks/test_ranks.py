"""Any number of ranks trains as one process: same examples, same losses, in the end the same weights."""

import subprocess
import sys
from pathlib import Path

import pytest

from rank_recipes import FAMILIES, write_recipes
from rank_runs import ENVIRONMENT, assert_alike, differences, examples, launch, sentence
from whyformer.data.batches.ranks import Ranks
from whyformer.errors import RecipeError
from whyformer.training.ranks.group import RankGroup
from whyformer.training.storage.run import RunFolder

LONG = ["training.steps=50", "training.validation.every=25", "training.save_every=7"]
"""Settings of runs that show how small differences grow."""


@pytest.fixture(scope="module")
def recipes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return write_recipes(tmp_path_factory.mktemp("recipes"))


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, recipes: dict[str, str]) -> Path:
    """A folder with a run of each family by one process."""
    place = tmp_path_factory.mktemp("alone")
    ended = launch(1, {place / name: (recipe, []) for name, recipe in recipes.items()})
    assert ended.returncode == 0, ended.stderr
    return place


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory, recipes: dict[str, str]) -> Path:
    """A folder with a long run of each family by one process."""
    place = tmp_path_factory.mktemp("long")
    ended = launch(1, {place / name: (recipe, LONG) for name, recipe in recipes.items()})
    assert ended.returncode == 0, ended.stderr
    return place


@pytest.fixture(scope="module", params=[(2, "none"), (2, "full"), (4, "none"), (4, "full")], ids=str)
def shared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, recipes: dict[str, str]
) -> Path:
    """The same by several ranks, with sums in any order and in that of one process."""
    ranks, shard = request.param
    place, settings = tmp_path_factory.mktemp("shared"), [*LONG, f"training.shard={shard}"]
    free = {place / "free" / name: (recipe, settings) for name, recipe in recipes.items()}
    in_order = [*settings, "training.deterministic=true"]
    ordered = {place / "ordered" / name: (recipe, in_order) for name, recipe in recipes.items()}
    ended = launch(ranks, free | ordered, "--standalone")
    assert ended.returncode == 0, ended.stderr
    return place


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_learns_the_same_from_any_number_of_ranks(family: str, shared: Path, long: Path):
    free, ordered = shared / "free" / family, shared / "ordered" / family
    assert examples(free) == examples(ordered) == examples(long / family)
    assert_alike(free, long / family, bits=False)
    assert_alike(ordered, long / family, bits=True)


@pytest.mark.slow
def test_bf16_is_summed_as_it_comes_or_in_order(recipes: dict[str, str], tmp_path: Path):
    settings = [*LONG, "training.precision=bf16", "training.deterministic=true"]
    alone = tmp_path / "alone"
    assert launch(1, {alone: (recipes["translation"], settings)}).returncode == 0
    for shard in ("none", "full"):
        ordered, free = tmp_path / shard / "ordered", tmp_path / shard / "free"
        spread = [*settings, f"training.shard={shard}"]
        runs = {ordered: spread, free: [*spread, "training.deterministic=false"]}
        ended = launch(2, {run: (recipes["translation"], how) for run, how in runs.items()}, "--standalone")
        assert ended.returncode == 0, ended.stderr
        assert_alike(ordered, alone, bits=True)
        assert 0.0 < max(differences(free, alone)) < 1e-2


@pytest.mark.slow
def test_one_process_has_all_that_it_would_spread(recipes: dict[str, str], alone: Path, tmp_path: Path):
    run = tmp_path / "run"
    assert launch(1, {run: (recipes["translation"], ["training.shard=full"])}).returncode == 0
    assert RunFolder(run).state.name == "last.safetensors"
    assert_alike(run, alone / "translation", bits=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    "shards", [("none", "none", "none", "none"), ("none", "full", "none", "full")], ids=["whole", "mixed"]
)
def test_a_killed_run_goes_on_at_other_numbers_of_ranks(
    shards: tuple[str, ...], recipes: dict[str, str], tmp_path: Path
):
    recipe = recipes["muon"]
    longer = ["training.steps=16", "training.deterministic=true", "training.validation.every=8"]
    expected, run = tmp_path / "expected", tmp_path / "run"
    assert launch(1, {expected: (recipe, longer)}).returncode == 0
    # An epoch has 4 steps, in the last of which some ranks have no batch; every other state is saved.
    lives = ((1, 4, recipe), (4, 7, ""), (2, 11, ""))
    for (ranks, step, what), shard in zip(lives, shards, strict=False):
        fate = ("SIGKILL", ranks - 1, step)
        settings = [*(longer if what else []), f"training.shard={shard}"]
        ended = launch(ranks, {run: (what, settings)}, "--standalone", fate=fate)
        assert ended.returncode != 0
        assert max(record["step"] for record in RunFolder(run).records()) == step - 1
        # Of the number of ranks nothing is left but the form of the state.
        assert (RunFolder(run).state.name == "last.json") == (shard == "full")
    ended = launch(3, {run: ("", [f"training.shard={shards[-1]}"])}, "--standalone")
    assert ended.returncode == 0, ended.stderr
    assert examples(run) == examples(expected)
    assert_alike(run, expected, bits=True)


@pytest.mark.slow
@pytest.mark.parametrize("options", [("--standalone",), ()], ids=["standalone", "one port"])
def test_torchrun_restarts_the_ranks_where_the_last_state_stands(
    options: tuple[str, ...], recipes: dict[str, str], alone: Path, tmp_path: Path
):
    run = tmp_path / "run"
    ordered = (recipes["translation"], ["training.deterministic=true"])
    fate = ("SIGKILL", 1, 3)
    ended = launch(2, {run: ordered}, *options, "--max-restarts", "2", fate=fate)
    assert ended.returncode == 0, ended.stderr
    assert examples(run) == examples(alone / "translation")
    assert_alike(run, alone / "translation", bits=True)


@pytest.mark.slow
@pytest.mark.parametrize("silent", [0, 1])
def test_a_rank_that_stops_answering_ends_the_others_with_one_sentence(
    silent: int, recipes: dict[str, str], tmp_path: Path
):
    run = tmp_path / "run"
    quick = ("--standalone", "--shutdown-timeout", "5")
    fate = ("SIGSTOP", silent, 3)
    ended = launch(3, {run: (recipes["translation"], [])}, *quick, fate=fate, timeout=15.0)
    assert ended.returncode != 0
    assert f"ranks do not answer: {silent} (at step 3" in sentence(ended.stdout)
    assert "has waited at step 3 since" in sentence(ended.stdout)
    # The state before is whole.
    assert launch(1, {run: ("", [])}).returncode == 0


@pytest.mark.slow
def test_a_damaged_part_of_a_state_is_named_and_nothing_else_is_touched(
    recipes: dict[str, str], tmp_path: Path
):
    run = tmp_path / "run"
    spread = ["training.shard=full", "training.steps=4"]
    assert launch(2, {run: (recipes["translation"], spread)}, "--standalone").returncode == 0
    part = RunFolder(run).state_parts[1]
    content = part.read_bytes()
    part.write_bytes(content[:100])
    files = {path: path.stat().st_mtime_ns for path in (run / "state").iterdir()}
    ended = launch(3, {run: ("", ["training.steps=6"])}, "--standalone")
    assert ended.returncode != 0
    fault = f"this part of the state has 100 of {len(content):,} bytes; restore it"
    assert f"{part}: {fault}" in sentence(ended.stdout)
    assert {path: path.stat().st_mtime_ns for path in (run / "state").iterdir()} == files
    part.write_bytes(content)
    assert launch(3, {run: ("", ["training.steps=6"])}, "--standalone").returncode == 0


@pytest.mark.slow
def test_a_fault_of_one_rank_is_told_once(recipes: dict[str, str], tmp_path: Path):
    bad = ["training.batching.accumulate=2"]
    ended = launch(3, {tmp_path / "run": (recipes["translation"], bad)}, "--standalone")
    assert ended.returncode != 0
    assert "training.batching.accumulate is 2, and 3 ranks cannot share out" in sentence(ended.stdout)


@pytest.mark.slow
def test_the_program_trains_under_torchrun(recipes: dict[str, str], alone: Path, tmp_path: Path):
    run = tmp_path / "run"
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    # Behind the dashes, as torchrun else takes --run for its own.
    program = ["-m", "--", "whyformer", "train", recipes["translation"], "--run", str(run)]
    ended = subprocess.run(
        [*torchrun, *program], env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("best at step") == 1
    assert ended.stderr.count("2 ranks share out") == 1
    assert_alike(run, alone / "translation", bits=False)


def test_a_process_by_itself_tells_itself():
    group = RankGroup()
    assert group.is_alone
    assert group.ranks == Ranks(0, 1)
    assert group.told(lambda: {"loss": 0.1}) == {"loss": 0.1}
    assert group.first(lambda: 3) == 3
    assert group.agreed(1.5, True) == (1.5, True)
    assert group.speaks()


def test_more_ranks_than_batches_are_refused():
    RankGroup(Ranks(0, 3)).check_enough(3)
    with pytest.raises(RecipeError, match=r"accumulate is 2, and 3 ranks .*accumulate=3, or start 2 ranks"):
        RankGroup(Ranks(0, 3)).check_enough(2)
