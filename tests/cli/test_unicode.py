"""Options that hold bytes which are no text: one sentence that names the option, in every verb."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

Program = Callable[..., Result]
# As Python hands over the bytes ff, e4 and the start of a character that is cut off.
BROKEN = ("\udcff", "a\udce4b", "三\udce4\udcb8")
OPTIONS = [
    ["translate", "{run}", "0 1", "--prefix", "{text}"],
    ["translate", "{run}", "0 1", "--device", "{text}"],
    ["translate", "{run}", "0 1", "--lang", "en", "--prefix", "{text}"],
    ["translate", "--prefix={text}", "{run}", "0 1"],
    ["inspect", "{run}", "0 1", "--translation", "{text}"],
    ["evaluate", "{run}", "--on", "{text}"],
    ["evaluate", "{run}", "--tokenize", "13a", "--tokenize", "{text}"],
    ["compare", "demo", "--vary", "{text}"],
    ["compare", "demo", "--figure", "{text}"],
    ["generate", "{run}", "one", "--device", "{text}"],
    ["fill", "{run}", "one", "--device", "{text}"],
    ["embed", "{run}", "one", "--device", "{text}"],
    ["classify", "{run}", "one", "--device", "{text}"],
    ["tokenizer", "train", "{run}/recipe.yaml", "--special", "{text}"],
    ["train", "demo", "{text}"],
    ["train", "demo", "--device", "{text}"],
    ["compare", "demo", "training.steps=1", "{text}"],
    ["check", "demo", "{text}"],
    ["recipes", "demo", "{text}"],
]
TEXTS = [
    ["translate", "{run}", "{text}"],
    ["inspect", "{run}", "{text}"],
    ["generate", "{gpt}", "{text}"],
    ["generate", "{gpt}", "{text}", "--special-tokens"],
    ["embed", "{gpt}", "{text}"],
    ["fill", "{bert}", "[MASK] {text}"],
    ["tokenizer", "encode", "-t", "{run}/tokenizer.json", "{text}"],
    ["tokenizer", "show", "-t", "{run}/tokenizer.json", "{text}"],
    ["train", "{text}"],
    ["check", "{text}"],
    ["recipes", "{text}"],
    ["embed", "{gpt}", "one", "--to", "{text}"],
]


@pytest.fixture
def told(
    whyformer: Program, reverse_run: Path, counting_run: Path, filling_run: Path
) -> Callable[[list[str], str], str]:
    """The one sentence with which a command ends that holds ``text``."""

    def run(arguments: list[str], text: str) -> str:
        words = {"run": reverse_run, "gpt": counting_run, "bert": filling_run, "text": text}
        result = whyformer(*(argument.format(**words) for argument in arguments))
        assert result.exit_code == 2, result.output
        assert result.stdout == ""
        (line,) = [line for line in result.stderr.splitlines() if not line.startswith("note: ")]
        return line

    return run


@pytest.mark.parametrize("text", BROKEN, ids=ascii)
@pytest.mark.parametrize("arguments", OPTIONS, ids=" ".join)
def test_an_option_that_is_no_text_is_named(
    arguments: list[str], text: str, told: Callable[[list[str], str], str]
):
    sentence = told(arguments, text)
    place = next(at for at, word in enumerate(arguments) if "{text}" in word)
    option = arguments[place].partition("=")[0] if "=" in arguments[place] else arguments[place - 1]
    name = option if option.startswith("--") else "OVERRIDES"
    number = next(at for at, character in enumerate(text, start=1) if "\ud800" <= character <= "\udfff")
    assert sentence.startswith(f"error: {name}: character {number} is half of a surrogate pair")


@pytest.mark.parametrize("text", BROKEN, ids=ascii)
@pytest.mark.parametrize("arguments", TEXTS, ids=" ".join)
def test_a_text_that_is_none_is_one_sentence(
    arguments: list[str], text: str, told: Callable[[list[str], str], str]
):
    assert told(arguments, text).startswith("error: ")


@pytest.mark.skipif(os.name == "nt", reason="arguments are Unicode on Windows")
def test_a_locale_without_characters_gives_one_sentence_too(reverse_run: Path):
    bare = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    program = [sys.executable, "-c", "from whyformer.cli.main import main; main()"]
    for option, value in (("--prefix", "三"), ("--prefix", b"\xff"), ("--device", "é")):
        command = [*program, "translate", str(reverse_run), "--greedy", option, value, "0 1"]
        done = subprocess.run(command, capture_output=True, check=False, env={**os.environ, **bare})
        assert done.returncode == 2
        assert done.stderr.count(b"\n") == 1
        assert done.stderr.startswith(f"error: {option}: character 1 is half of a surrogate pair".encode())
