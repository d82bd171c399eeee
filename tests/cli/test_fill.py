"""``whyformer fill``, and what other verbs say to such a run."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

Program = Callable[..., Result]
ON_CPU = ("--device", "cpu", "--threads", 1)


@pytest.fixture
def fill(whyformer: Program, filling_run: Path) -> Program:
    return lambda *arguments: whyformer("fill", filling_run, *arguments, *ON_CPU)


def test_the_filled_text_comes_first_and_then_the_guesses(fill: Program):
    result = fill("one two [MASK] four five.", "--top", 2)
    assert (result.exit_code, result.stderr) == (0, "")
    text, *guesses = result.stdout.splitlines()
    assert text == "one two three four five."
    assert [line.split()[::2] for line in guesses] == [["[1]", "▁three"], ["[1]", guesses[1].split()[2]]]
    assert float(guesses[0].split()[1].removesuffix("%")) > float(guesses[1].split()[1].removesuffix("%"))


def test_several_texts_and_holes_are_filled(fill: Program):
    shown = fill("一二[MASK]四五。", "one [MASK] three [MASK]", "--top", 1, "--batch", 1).stdout.splitlines()
    assert shown[0] == "一二三四五。"
    assert [line.split()[0] for line in shown if line.startswith("  ")] == ["[1]", "[1]", "[2]"]


def test_json_tells_the_same(fill: Program):
    lines = fill("one two [MASK] four five.", "[MASK] two", "--json").stdout.splitlines()
    first, second = map(json.loads, lines)
    assert (first["given"], first["text"]) == ("one two [MASK] four five.", "one two three four five.")
    assert [len(hole) for hole in first["holes"]] == [5]
    assert first["holes"][0][0].keys() == {"text", "token", "probability"}
    assert second["given"] == "[MASK] two"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("one two", "text 1 has no [MASK]; write it where a piece is to be filled in."),
        ("[MASK] " * 39 + "[MASK]", "text 1 has 40 tokens, but the model reads 30 at most; shorten it."),
    ],
)
def test_what_cannot_be_filled_is_one_sentence_and_exit_code_2(fill: Program, text: str, sentence: str):
    result = fill(text)
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", f"error: {sentence}\n")


def test_each_verb_names_the_other_for_the_other_kind_of_run(
    whyformer: Program, filling_run: Path, reverse_run: Path
):
    result = whyformer("generate", filling_run, "one", *ON_CPU)
    expected = f"{filling_run}: this run fills holes in texts; use `whyformer fill {filling_run}`."
    assert (result.exit_code, result.stderr) == (2, f"error: {expected}\n")
    result = whyformer("fill", reverse_run, "[MASK]", *ON_CPU)
    assert result.exit_code == 2
    assert f"use `whyformer translate {reverse_run}`." in result.stderr


def test_the_keys_of_such_recipes_are_listed(whyformer: Program):
    listed = whyformer("recipes", "bert-tiny", "--keys").stdout
    for key in ("data.train", "tokenizer.specials", "model.heads", "masking.share", "duplicates"):
        assert f"\n{key}: " in f"\n{listed}"
