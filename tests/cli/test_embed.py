"""``whyformer embed``: one vector for each line."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import Result

from whyformer.errors import WhyformerNote

Program = Callable[..., Result]
ON_CPU = ("--device", "cpu", "--threads", 1)
STOP = ["--on-error", "stop"]
TEXT = "one two\nfive six seven eight\nten\n"


@pytest.fixture
def embed(whyformer: Program, counting_run: Path) -> Program:
    return lambda *arguments, stdin=TEXT: whyformer("embed", counting_run, *arguments, *ON_CPU, stdin=stdin)


def test_lines_become_rows_in_their_order(embed: Program, tmp_path: Path):
    (tmp_path / "text").write_text(TEXT, encoding="utf-8")
    result = embed("--file", tmp_path / "text", "--to", tmp_path / "out.npy", "--batch", 2)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
    vectors = np.load(tmp_path / "out.npy", allow_pickle=False)
    assert (vectors.shape, vectors.dtype) == ((3, 32), np.float32)
    shown = [json.loads(line) for line in embed().stdout.splitlines()]
    assert [each["text"] for each in shown] == TEXT.splitlines()
    assert np.allclose([each["vector"] for each in shown], vectors, atol=1e-5)
    assert embed("--to", tmp_path / "out.jsonl").stdout == ""
    lines = (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["text"] for line in lines] == TEXT.splitlines()


def test_layer_and_pooling_can_be_chosen(embed: Program):
    made = [embed(*options).stdout for options in ([], ["--layer", 1], ["--layer", 0], ["--pooling", "last"])]
    assert made[0] == made[1]
    assert len(set(made)) == 3


@pytest.mark.parametrize("run", ["filling_run", "counting_run"])
def test_every_pretrained_run_embeds(whyformer: Program, request: pytest.FixtureRequest, run: str):
    result = whyformer("embed", request.getfixturevalue(run), *ON_CPU, stdin="one\n")
    assert len(json.loads(result.stdout)["vector"]) == 32


@pytest.mark.parametrize(
    ("arguments", "stdin", "sentence"),
    [
        (
            STOP,
            f"one\ntwo\n{'one ' * 60}\n",
            "line 3 has 62 tokens with its marks, but the model reads 48 at most",
        ),
        (["--to", "out.txt"], TEXT, "--to out.txt: the name of the file must end in .npy or .jsonl, or be -"),
        (["--layer", 7], TEXT, "there is no layer 7; the model has 0 (the embeddings) to 1."),
        (["--pooling", "first"], TEXT, "pooling first is of no use here"),
        (["nowhere.txt"], TEXT, "nowhere.txt: no such file; texts are arguments, and a file is named by"),
        (["one", "--file", "x"], TEXT, "texts come from the command line or from --file, not from both"),
        (["one " * 60], TEXT, "line 1 has 62 tokens"),
        (STOP, b"one\n\xff\n", "standard input:2: not UTF-8"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    embed: Program, arguments: list[object], stdin: str | bytes, sentence: str
):
    result = embed(*arguments, stdin=stdin)
    assert (result.exit_code, result.stdout) == (2, "")
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1


def test_texts_are_arguments_as_of_other_verbs(
    embed: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    assert embed(*TEXT.splitlines()).stdout == embed().stdout
    assert json.loads(embed("one").stdout)["text"] == "one"
    monkeypatch.chdir(tmp_path)
    Path("one").write_text(TEXT, encoding="utf-8")
    # A file's name alone stood for the file once.
    with pytest.warns(WhyformerNote, match="one is a file, so its lines are read; say so by --file one"):
        assert embed("one").stdout == embed().stdout
    with pytest.warns(WhyformerNote, match="one is taken as a text, and is the name of a file, too"):
        assert len(embed("one", "two").stdout.splitlines()) == 2


def test_blank_and_bad_lines_keep_their_places(embed: Program, tmp_path: Path):
    text = f"one two\n\n{'one ' * 60}\n \u3000\nten\n".encode() + b"\xff\n"
    result = embed(stdin=text)
    assert result.exit_code == 3
    told = [json.loads(line) for line in result.stdout.splitlines()]
    assert [each["vector"] is None for each in told] == [False, True, True, True, False, True]
    assert result.stderr.splitlines()[0] == "of 6 lines, 2 were left out:"
    assert embed("--to", tmp_path / "out.npy", stdin=text).exit_code == 3
    vectors = np.load(tmp_path / "out.npy", allow_pickle=False)
    assert np.isnan(vectors).all(axis=1).tolist() == [False, True, True, True, False, True]
    assert np.allclose(vectors[4], json.loads(embed("ten").stdout)["vector"], atol=1e-5)
    cut = embed("--on-error", "truncate", stdin=text)
    assert [json.loads(line)["vector"] is None for line in cut.stdout.splitlines()][2] is False
    assert "only begun" in cut.stderr
    assert embed("", "one").exit_code == 0
