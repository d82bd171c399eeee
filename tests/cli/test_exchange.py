"""The verbs that carry a model over to Hugging Face and back."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

Program = Callable[..., Result]


def test_a_run_goes_out_and_comes_back(
    whyformer: Program, counting_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    shown = whyformer("export", counting_run, "--to", "huggingface", "counter")
    assert shown.exit_code == 0
    assert shown.stdout.startswith("counter: GPT2LMHeadModel of 3")
    assert sorted(path.name for path in Path("counter").iterdir()) == [
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    assert json.loads(Path("counter/config.json").read_text(encoding="utf-8"))["eos_token_id"] == 3
    shown = whyformer("import", "counter")
    assert shown.stdout.startswith("runs/counter: a gpt2 of ")
    greedy = ("one two", "--greedy", "--device", "cpu")
    ours = whyformer("generate", counting_run, *greedy).stdout
    assert whyformer("generate", "runs/counter", *greedy).stdout == ours
    assert "one two three four" in ours
    assert "data from elsewhere: the model was imported" in whyformer("inspect", "runs/counter").stdout
    assert "a run lies here already" in whyformer("import", "counter").stderr
    assert whyformer("import", "counter", "--overwrite").exit_code == 0


@pytest.mark.parametrize("verb", ["evaluate", "train"])
def test_an_imported_run_has_no_data(verb: str, whyformer: Program, counting_run: Path, tmp_path: Path):
    whyformer("export", counting_run, "--to", "huggingface", tmp_path / "counter")
    whyformer("import", tmp_path / "counter", "--run", tmp_path / "run")
    result = whyformer(verb, tmp_path / "run")
    assert result.exit_code == 2
    assert "the recipe has no data (data: null), as the model was imported" in result.stderr


def test_what_has_no_format_is_refused(whyformer: Program, counting_run: Path, tmp_path: Path):
    result = whyformer("export", counting_run, "--to", "onnx", tmp_path / "out")
    assert result.exit_code == 2
    copy = tmp_path / "copy"
    shutil.copytree(counting_run, copy)
    recipe = (copy / "recipe.yaml").read_text(encoding="utf-8")
    (copy / "recipe.yaml").write_text(recipe.replace("kind: scaled_dot\n", "kind: dot\n"), encoding="utf-8")
    result = whyformer("export", copy, "--to", "huggingface", tmp_path / "out")
    assert result.exit_code == 2
    assert "attention.score is dot, which the gpt2 format cannot say" in result.stderr
    result = whyformer("import", tmp_path)
    assert result.exit_code == 2
    assert "has no config.json" in result.stderr
