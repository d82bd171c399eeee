"""A run that goes on wants the data that it began with, and says what it takes instead."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import Result

from whyformer.runs.train import resume_run
from whyformer.training.storage.checkpoint import load_facts, load_tensors, save_tensors
from whyformer.training.storage.fingerprint import (
    Fingerprint,
    data_differences,
    fingerprints_record,
    text_fingerprint,
)
from whyformer.training.storage.run import RunFolder

# Small sets of numbers have pairs in common, which is said and does not matter here.
pytestmark = pytest.mark.filterwarnings("ignore::whyformer.errors.WhyformerNote")

Train = Callable[..., Result]

DIGITS = [" ".join(str((7 * i + j) % 5) for j in range(2 + i % 3)) for i in range(60)]
TINY = (
    "training: {steps: 6, batching: {tokens: 64}, schedule: {kind: constant, warmup: 2}, precision: fp32, "
    "validation: {every: 3, average: 1}}\n"
)
LANGUAGE = "data: {train: [train.txt], valid: [valid.txt]}\n" + TINY
STACK = "layers: 1, block: {attention: {heads: {query: 2}}, feed_forward: {hidden: 32}}"
RECIPES = {
    "causal_lm": "tokenizer: {kind: bpe, vocabulary: 300}\n"
    f"model: {{d_model: 16, longest: 16, stack: {{{STACK}}}}}\n",
    "masked_lm": "tokenizer: {kind: wordpiece, vocabulary: 60, specials: ['[MASK]']}\n"
    f"model: {{d_model: 16, longest: 16, heads: [masked], stack: {{{STACK}}}}}\n",
    "bidirectional_lm": "tokenizer: {vocabulary: 20}\nmodel: {d_model: 16, layers: 1}\n",
}


@pytest.fixture
def pairs(tmp_path: Path, recipe: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe of pairs in files, beside them."""
    monkeypatch.chdir(tmp_path)
    lines = [f"{text}\t{text[::-1]}\n" for text in DIGITS]
    Path("train.tsv").write_text("".join(lines), encoding="utf-8")
    Path("valid.tsv").write_text("".join(lines[:9]), encoding="utf-8")
    toy = Path(recipe).read_text(encoding="utf-8").partition("\n")[2]
    files = "{kind: files, train: {kind: tsv, path: train.tsv}, valid: {kind: tsv, path: valid.tsv}}"
    Path("pairs.yaml").write_text(f"data: {files}\n{toy}", encoding="utf-8")
    return tmp_path


def change(path: Path, *, drop: int = 0, swap: int = 0, edit: int = 0) -> None:
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    lines = lines[: len(lines) - drop]
    if swap:
        lines[0], lines[1] = lines[1], lines[0]
    if edit:
        lines[2] = lines[2].replace(lines[2][0], "4" if lines[2][0] != "4" else "3", 1)
    path.write_text("".join(lines), encoding="utf-8")


@pytest.mark.parametrize(
    ("file", "how", "said"),
    [
        ("train.tsv", {"drop": 15}, "train: 60 examples then, 45 now"),
        ("train.tsv", {"swap": 1}, "train: the same 60 examples, in another order"),
        ("train.tsv", {"edit": 1}, "train: 60 examples as before, but not the same ones"),
        ("valid.tsv", {"swap": 1}, "valid: the same 9 examples, in another order"),
        ("valid.tsv", {"edit": 1}, "valid: 9 examples as before, but not the same ones"),
        ("valid.tsv", {"drop": 1}, "valid: 9 examples then, 8 now"),
    ],
)
def test_pairs_that_changed_are_refused_and_can_be_accepted(
    file: str, how: dict[str, int], said: str, pairs: Path, train: Train
):
    run = pairs / "run"
    assert train("pairs.yaml", "training.steps=8", "training.epochs=null", "--run", run).exit_code == 0
    change(pairs / file, **how)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    refused = train(run, "training.steps=12")
    assert refused.exit_code == 2
    assert f"{run}: its data is not what the training began with ({said}); put the old data back" in (
        refused.stderr
    )
    assert f"`whyformer train {run} --accept-data`" in refused.stderr
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    accepted = train(run, "training.steps=12", "--accept-data")
    assert accepted.exit_code == 0
    assert f"going on with other data, as accepted ({said})" in accepted.stderr
    # From now on this is its data.
    assert train(run, "training.steps=14").exit_code == 0


def test_what_was_best_on_another_validation_set_does_not_count(pairs: Path, train: Train):
    run = pairs / "run"
    assert train("pairs.yaml", "training.steps=14", "--run", run).exit_code == 0
    for file, steps, keeps in (("train.tsv", 21, True), ("valid.tsv", 28, False)):
        change(pairs / file, swap=1)
        best = load_facts(RunFolder(run).state)["progress"]["best_step"]
        trainer = resume_run(
            run, [f"training.steps={steps}"], device="cpu", say=lambda _: None, accept_data=True
        )
        assert (trainer.progress.best.step == best > 0) == keeps
        trainer.train()


def test_what_is_not_read_may_change(pairs: Path, train: Train):
    run = pairs / "run"
    Path("train.tsv").write_text(Path("train.tsv").read_text() + "\t\n", encoding="utf-8")
    assert train("pairs.yaml", "training.steps=4", "--run", run).exit_code == 0
    # An empty pair is dropped, here as there; the same lines with other line ends are the same texts.
    Path("train.tsv").write_bytes(Path("train.tsv").read_bytes().replace(b"\n", b"\r\n") + b"\t\r\n\t\r\n")
    assert train(run, "training.steps=6").exit_code == 0


@pytest.mark.parametrize("task", RECIPES)
@pytest.mark.parametrize("side", ["train", "valid"])
def test_documents_that_changed_are_refused(
    side: str, task: str, tmp_path: Path, train: Train, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    Path("train.txt").write_text("\n\n".join(DIGITS[:40]), encoding="utf-8")
    Path("valid.txt").write_text("\n\n".join(f"9 {text}" for text in DIGITS[:6]), encoding="utf-8")
    Path("lm.yaml").write_text(f"task: {task}\n{RECIPES[task]}{LANGUAGE}", encoding="utf-8")
    result = train("lm.yaml", "--run", "run")
    assert result.exit_code == 0, result.output
    path = Path(f"{side}.txt")
    path.write_text(path.read_text() + "\n\n1 2 3 4 9 9", encoding="utf-8")
    refused = train("run", "training.steps=9")
    assert refused.exit_code == 2
    assert f"({side}: " in refused.stderr
    assert train("run", "training.steps=9", "--accept-data").exit_code == 0


def test_an_older_run_goes_on_and_says_so(tmp_path: Path, undisturbed: Path, train: Train):
    run = RunFolder(Path(shutil.copytree(undisturbed, tmp_path / "old")))
    tensors, facts = load_tensors(run.state)
    assert facts.pop("data").keys() == {"train", "valid"}
    save_tensors(run.state, tensors, facts)
    again = train(run.path, "training.steps=42")
    assert again.exit_code == 0
    assert "this run is older than fingerprints of data" in again.stderr
    assert "older than" not in train(run.path, "training.steps=44").stderr


def test_less_data_that_ends_the_training_is_refused(pairs: Path, train: Train):
    run = pairs / "run"
    assert train("pairs.yaml", "training.steps=null", "training.epochs=2", "--run", run).exit_code == 0
    change(pairs / "train.tsv", drop=50)
    refused = train(run, "--accept-data")
    assert refused.exit_code == 2
    assert "training.epochs=2 leaves nothing to do; ask for more" in refused.stderr


def test_new_runs_accept_nothing(recipe: str, train: Train, tmp_path: Path):
    result = train(recipe, "--accept-data", "--run", tmp_path / "run")
    assert result.exit_code == 2
    assert not (tmp_path / "run").exists()


def test_a_fingerprint_tells_what_a_hash_of_joined_texts_would_not():
    texts = [[("ab", "c")], [("a", "bc")], [("ab",), ("c",)], [("abc",)], [("ab", "c", "")], []]
    found = {text_fingerprint(each) for each in texts}
    assert len(found) == len(texts)
    assert text_fingerprint([("ab", "c")]) == text_fingerprint(iter([["ab", "c"]]))
    assert text_fingerprint([("\ud800",)]).examples == 1


def test_differences_are_told_in_words():
    now = {"train": Fingerprint(3, "x"), "valid": Fingerprint(1_000, "y")}
    assert data_differences(json.loads(json.dumps(fingerprints_record(now))), now) == {}
    assert data_differences({}, now) == {}
    before = fingerprints_record({"train": Fingerprint(3, "z"), "valid": Fingerprint(999, "y")})
    assert data_differences(before, now) == {
        "train": "train: 3 examples as before, but not the same ones",
        "valid": "valid: 999 examples then, 1,000 now",
    }


@given(
    examples=st.lists(st.tuples(st.text(max_size=3), st.text(max_size=3)), max_size=6),
    others=st.lists(st.tuples(st.text(max_size=3), st.text(max_size=3)), max_size=6),
    order=st.randoms(use_true_random=False),
)
def test_another_order_is_told_from_other_examples(
    examples: list[tuple[str, str]], others: list[tuple[str, str]], order: Random
):
    shuffled = order.sample(examples, len(examples))
    before = fingerprints_record({"train": text_fingerprint(examples)})
    found = data_differences(before, {"train": text_fingerprint(shuffled)})
    assert found == (
        {}
        if shuffled == examples
        else {"train": f"train: the same {len(examples)} examples, in another order"}
    )
    found = data_differences(before, {"train": text_fingerprint(others)})
    assert ("another order" in found.get("train", "")) == (
        sorted(others) == sorted(examples) and others != examples
    )
    # A state that is older than the sum of the hashes tells the order from nothing.
    del before["train"]["content"]
    found = data_differences(before, {"train": text_fingerprint(shuffled)})
    assert ("not the same ones" in found.get("train", "")) == (shuffled != examples)
