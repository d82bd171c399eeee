"""``whyformer inspect``: the parameters of a run, or a look at one sentence with its page and picture."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from whyformer.engines.native.library import missing

Program = Callable[..., Result]


def test_the_parameters_are_listed_and_add_up(whyformer: Program, reverse_run: Path):
    lines = whyformer("inspect", reverse_run).stdout.splitlines()
    shown = json.loads(whyformer("inspect", reverse_run, "--json").stdout)
    total = sum(weight["numbers"] for weight in shown["weights"])
    assert lines[-1].split() == ["all", f"{total:,}"]
    assert shown["parameters"] == sum(shown["parts"].values()) == total
    embedding = next(line for line in lines if line.startswith("source_embedding.weight"))
    assert embedding.split() == ["source_embedding.weight", "10", "×", "32", "320"]
    assert "tokenizer  joint, word of 10 pieces" in lines


def test_a_given_translation_is_judged_token_by_token_and_drawn(
    whyformer: Program, reverse_run: Path, tmp_path: Path
):
    result = whyformer(
        "inspect", reverse_run, "0 1 2", "--translation", "2 4 0", "--output", tmp_path, "--lang", "zh"
    )
    lines = result.stdout.splitlines()
    page, picture = tmp_path / "attention.html", tmp_path / "attention.png"
    assert result.exit_code == 0
    assert lines[:2] == ["源侧         ▁0 ▁1 ▁2 </s>", "译文         2 4 0"]
    assert [line.split()[1] for line in lines[3:7]] == ["▁2", "▁4", "▁0", "</s>"]
    assert all(float(line.split()[0]) <= 0 for line in lines[3:7])
    assert "▁4  更倾向 ▁1 " in lines[4]
    assert lines[7:] == [str(page), str(picture)]
    html = page.read_text(encoding="utf-8")
    assert "编码器自注意力" in html
    assert "<title>0 1 2 → 2 4 0</title>" in html
    assert str(reverse_run) not in html  # a path is private
    assert '更可能是 <i lang="">·1' in html
    assert '"queries":["\\u003cs> → ·2","·2 → ·4","·4 → ·0","·0 → \\u003c/s>"]' in html
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_the_runs_own_translation_is_looked_at_unless_one_is_given(
    whyformer: Program, reverse_run: Path, tmp_path: Path
):
    shown = json.loads(whyformer("inspect", reverse_run, "0 1 2", "--json", "--output", tmp_path).stdout)
    assert shown["translation"] == "2 1 0"
    assert [step["token"] for step in shown["steps"]] == ["▁2", "▁1", "▁0", "</s>"]
    assert shown["log_probability"] == sum(step["log_probability"] for step in shown["steps"]) > -2
    assert shown["files"] == [str(tmp_path / "attention.html"), str(tmp_path / "attention.png")]


@pytest.mark.parametrize("option", [("--translation", "2"), ("--output", "x"), ("--engine", "native")])
def test_options_about_a_sentence_need_one(whyformer: Program, reverse_run: Path, option: tuple[str, str]):
    result = whyformer("inspect", reverse_run, *option)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "are about a sentence; give one after the run." in result.stderr


@pytest.mark.skipif(missing() is not None, reason="the native engine is not compiled")
def test_the_native_engine_shows_what_it_computes(whyformer: Program, reverse_run: Path, tmp_path: Path):
    def shown(*options: str) -> dict[str, object]:
        folder = tmp_path / "-".join(("x", *options))
        result = whyformer("inspect", reverse_run, "0 1 2", "--json", "--output", folder, *options)
        return {**json.loads(result.stdout), "files": None}

    exact, whole = shown(), shown("--engine", "native", "--precision", "int8")
    assert [step["token"] for step in whole["steps"]] == [step["token"] for step in exact["steps"]]  # pyright: ignore[reportGeneralTypeIssues]
    assert whole["log_probability"] == pytest.approx(exact["log_probability"], abs=0.1)
    assert whole["log_probability"] != exact["log_probability"]


@pytest.mark.parametrize("options", [("--engine", "ctranslate2"), ("--precision", "int8")])
def test_what_sees_no_attention_is_refused(whyformer: Program, reverse_run: Path, options: tuple[str, str]):
    result = whyformer("inspect", reverse_run, "0 1 2", *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "attention is seen by torch in fp32, and by the native engine" in result.stderr
