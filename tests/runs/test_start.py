"""Training that starts from a run: what it takes over, what it learns and refuses, how it is resumed."""

import random
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from whyformer.errors import CheckpointError, DataError, RecipeError, WhyformerError
from whyformer.huggingface.transfer import export_model, import_model
from whyformer.runs.beginning.start import prepare_anew
from whyformer.runs.load import load_runner, read_recipe
from whyformer.runs.registry import load_any, task_of
from whyformer.runs.train import resume_run, start_run
from whyformer.training.storage.checkpoint import load_tensors
from whyformer.training.storage.run import RunFolder
from whyformer.training.trainer import Trainer

WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
TRAINING = """\
training:
  steps: 20
  batching: {tokens: 256}
  loss: {label_smoothing: 0.0}
  schedule: {kind: constant, peak: 0.002, warmup: 2}
  precision: fp32
  validation: {every: 10, average: 1}
  save_every: 10
  log_every: 1
"""
DATA = {
    "translation": "data: {kind: files, train: {kind: tsv, path: pairs.tsv}, "
    "valid: {kind: tsv, path: valid.tsv}}",
    "causal_lm": "data: {train: [text.txt], valid: 0.3}",
    "masked_lm": "data: {train: [text.txt], valid: 0.3}",
    "bidirectional_lm": "data: {train: [text.txt], valid: 0.3}",
}
FAMILIES = [("translation", "reverse_run"), ("causal_lm", "counting_run"), ("masked_lm", "filling_run")]


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr("whyformer.plots.curves.save_curves", lambda *_: None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """New text, of the same words and digits, and a recipe for each task without a model."""
    draw = random.Random(3)
    digits = [[str(draw.randrange(5)) for _ in range(draw.randint(2, 5))] for _ in range(120)]
    lines = (f"{' '.join(row)}\t{' '.join(row[::-1])}" for row in digits)
    different = list(dict.fromkeys(lines))
    (tmp_path / "pairs.tsv").write_text("\n".join(different[20:]), encoding="utf-8")
    (tmp_path / "valid.tsv").write_text("\n".join(different[:20]), encoding="utf-8")
    texts = (" ".join(WORDS[a:b]) + "." for a in range(9) for b in range(a + 2, 11))
    documents = "\n\n".join(f"{text} {text[:9]} two. {text}" for text in texts)
    (tmp_path / "text.txt").write_text(documents, encoding="utf-8")
    for task, data in DATA.items():
        (tmp_path / f"{task}.yaml").write_text(
            f"task: {task}\nstart: old\n{data}\n{TRAINING}", encoding="utf-8"
        )
    return tmp_path


def begun(folder: Path, task: str, run: Path, *changes: str, into: str = "new") -> Trainer[nn.Module]:
    """A training from a copy of ``run``, before its first step."""
    if not (folder / "old").exists():
        shutil.copytree(run, folder / "old")
    recipe = str(folder / f"{task}.yaml")
    return start_run(recipe, changes, folder / into, device="cpu", overwrite=False, say=print)


@pytest.mark.parametrize(("task", "fixture"), FAMILIES)
def test_at_step_0_it_is_the_model_that_it_starts_from(
    folder: Path, task: str, fixture: str, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
):
    run: Path = request.getfixturevalue(fixture)
    trainer = begun(folder, task, run)
    assert (
        f"starts from {folder / 'old'}: weights, and where the recipe says nothing else"
        in capsys.readouterr()[0]
    )
    before, after = load_tensors(RunFolder(run).weights)[0], trainer.model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    old, new = read_recipe(run), read_recipe(folder / "new")
    task_object = task_of(new)
    for key in (*task_object.asset_keys, *task_object.taken_keys):
        assert new.model_dump()[key] == old.model_dump()[key]
    assert new.start == folder / "old"
    for file in run.glob("tokenizer*.json"):
        assert (folder / "new" / file.name).read_bytes() == file.read_bytes()


@pytest.mark.parametrize(("task", "fixture"), FAMILIES)
def test_it_knows_more_than_one_that_starts_from_nothing(
    folder: Path, task: str, fixture: str, request: pytest.FixtureRequest
):
    """The loss on the new text before the first step is lower than that of the same network made anew."""
    run: Path = request.getfixturevalue(fixture)
    trainer = begun(folder, task, run)
    fresh_spec = read_recipe(folder / "new").model_copy(update={"start": None})
    assets = task_of(fresh_spec).load_assets(folder / "new")
    fresh = task_of(fresh_spec).prepare(fresh_spec, assets).build()
    old, new = (
        trainer.task.validate(model, torch.device("cpu"), translate=False)["nll"]
        for model in (fresh, trainer.model)
    )
    assert new < 0.9 * old
    trainer.train()
    after = trainer.task.validate(trainer.model, torch.device("cpu"), translate=False)["nll"]
    assert after < new
    text = {"translation": "1 2 3", "causal_lm": "one two", "masked_lm": "one [MASK] three"}[task]
    load_runner(folder / "new")(text)


@pytest.mark.parametrize(("task", "fixture"), FAMILIES)
def test_it_is_resumed_to_the_same_bits_without_its_start(
    folder: Path, task: str, fixture: str, request: pytest.FixtureRequest
):
    run: Path = request.getfixturevalue(fixture)
    begun(folder, task, run, into="once").train()
    begun(folder, task, run, "training.steps=9", into="twice").train()
    shutil.rmtree(folder / "old")
    resume_run(folder / "twice", ["training.steps=20"], device="cpu", say=print).train()
    first, second = (load_tensors(RunFolder(folder / name).state)[0] for name in ("once", "twice"))
    assert first.keys() == second.keys()
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())


def test_an_elmo_can_be_the_start_too(folder: Path):
    small = ["model={d_model: 16, characters: {filters: [[1, 8], [2, 8]]}}", "tokenizer.vocabulary=20"]
    made = folder / "old"
    recipe = str(folder / "bidirectional_lm.yaml")
    start_run(recipe, ["start=null", *small], made, device="cpu", overwrite=False, say=print).train()
    trainer = begun(folder, "bidirectional_lm", made)
    before, after = load_tensors(RunFolder(made).weights)[0], trainer.model.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())


@pytest.mark.parametrize(("task", "fixture"), FAMILIES[1:])
def test_an_imported_model_can_be_trained_further(
    folder: Path, task: str, fixture: str, request: pytest.FixtureRequest
):
    export_model(request.getfixturevalue("counting_run"), folder / "theirs")
    import_model(folder / "theirs", folder / "old")
    run = folder / "old"
    if task == "causal_lm":
        trainer = begun(folder, task, run)
        before, after = load_tensors(RunFolder(run).weights)[0], trainer.model.state_dict()
        assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
        first = trainer.task.validate(trainer.model, torch.device("cpu"), translate=False)["nll"]
        trainer.train()
        assert trainer.progress.best.scores["nll"] < first
    else:
        with pytest.raises(RecipeError, match=r"start: .*old is a run of task causal_lm; a recipe of task"):
            begun(folder, task, run)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (["model.stack.layers=2"], "model.stack.layers is 2 and not 1"),
        (["model.d_model=64"], "model.d_model is 64 and not 32"),
        # The same shapes, and yet another network.
        (["model.stack.block.attention.heads.query=4"], "heads.query is 4 and not 2"),
        (["model.stack.block.placement.kind=pre"], 'placement.kind is "pre"'),
        (["model={preset: tiny}"], "model.d_model is 128 and not 32"),
    ],
)
def test_another_network_is_refused_by_its_keys(
    folder: Path, counting_run: Path, changes: list[str], told: str
):
    if told.startswith("placement"):
        pre = read_recipe(counting_run).model.stack.block.placement.kind == "pre"
        changes, told = [f"model.stack.block.placement.kind={'post' if pre else 'pre'}"], "placement.kind is"
    with pytest.raises(RecipeError, match=r"are of another network \(") as caught:
        begun(folder, "causal_lm", counting_run, *changes)
    assert told in str(caught.value)
    assert not (folder / "new").exists()


def test_keys_that_change_nothing_in_the_weights_may_change(folder: Path, counting_run: Path):
    changes = ["model.stack.block.dropout=0.3", "model.embedding.dropout=0.2", "decoding.kind=greedy"]
    trainer = begun(folder, "causal_lm", counting_run, *changes)
    recipe: Any = read_recipe(folder / "new")
    assert (recipe.model.stack.block.dropout, recipe.decoding.kind) == (0.3, "greedy")
    assert trainer.model.training or not trainer.progress.step


@pytest.mark.parametrize(
    ("task", "fixture", "change", "told"),
    [
        (
            "causal_lm",
            "counting_run",
            "tokenizer.vocabulary=99",
            "tokenizer.vocabulary: is 99, but the run in",
        ),
        ("causal_lm", "counting_run", "tokenizer.kind=word", 'tokenizer.kind: is "word"'),
        ("translation", "reverse_run", "tokenizers.both.kind=bpe", 'tokenizers.both.kind: is "bpe"'),
    ],
)
def test_another_tokenizer_is_refused(
    folder: Path, task: str, fixture: str, change: str, told: str, request: pytest.FixtureRequest
):
    with pytest.raises(RecipeError) as caught:
        begun(folder, task, request.getfixturevalue(fixture), change)
    assert told in str(caught.value)


def test_the_same_said_again_is_no_other(folder: Path, counting_run: Path):
    begun(folder, "causal_lm", counting_run, "tokenizer.vocabulary=330", "model.stack.layers=1")


def test_a_start_that_is_none_is_told_with_all_other_faults(folder: Path):
    with pytest.raises(DataError) as caught:
        load_any(str(folder / "causal_lm.yaml"), ["data.train=[nowhere.txt]"], to_train=True)
    assert f"start: {folder / 'old'} is not the folder of a run" in str(caught.value)
    assert "data.train.0: " in str(caught.value)


def test_a_start_without_weights_is_refused(folder: Path, counting_run: Path):
    shutil.copytree(counting_run, folder / "old")
    (folder / "old" / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"start: .*old has no weights yet \(model.safetensors\)"):
        begun(folder, "causal_lm", counting_run)
    (folder / "old" / "model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(CheckpointError, match="damaged or not safetensors"):
        begun(folder, "causal_lm", counting_run)
    assert not (folder / "new").exists()


def test_a_run_is_no_start_of_itself(folder: Path, counting_run: Path):
    shutil.copytree(counting_run, folder / "old")
    before = (folder / "old" / "model.safetensors").read_bytes()
    recipe = str(folder / "causal_lm.yaml")
    with pytest.raises(RecipeError, match=r"start: .*old is also where the new run is to lie"):
        start_run(recipe, [], folder / "old", device="cpu", overwrite=True, say=print)
    assert (folder / "old" / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize("change", ["data.split=file", "model.stack.layers=2", "start=elsewhere"])
def test_the_advice_to_start_from_a_run_works(folder: Path, counting_run: Path, change: str):
    """A run that cannot be resumed so names ``start``, and that is taken."""
    shutil.copytree(counting_run, folder / "old")
    with pytest.raises(RecipeError, match="train a recipe of your own with `start: "):
        resume_run(folder / "old", [change], device="cpu", say=print)
    begun(folder, "causal_lm", counting_run).train()


def test_an_imported_run_names_the_way_to_train_it(folder: Path, counting_run: Path):
    export_model(counting_run, folder / "theirs")
    import_model(folder / "theirs", folder / "old")
    for changes in ([], [f"data={{train: [{folder}/text.txt]}}"]):
        with pytest.raises(WhyformerError, match="start"):
            resume_run(folder / "old", changes, device="cpu", say=print)
    begun(folder, "causal_lm", folder / "old", "training.steps=2").train()


def test_a_look_at_the_old_network_moves_no_random_number(folder: Path, counting_run: Path):
    shutil.copytree(counting_run, folder / "old")
    drawn: list[torch.Tensor] = []
    for change in ("model.stack.block.dropout=0.5", "model.stack.layers=1"):
        prepared = prepare_anew(load_any(str(folder / "causal_lm.yaml"), [change]), folder / "new", print)
        torch.manual_seed(5)
        prepared.build()
        drawn.append(torch.rand(3))
    assert torch.equal(*drawn)
