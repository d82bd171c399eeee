import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from whyformer.cli.tokenizer import app
from whyformer.data.tokenizers.tokenizer import Tokenizer
from whyformer.errors import DataError, RecipeError, TokenizerError

TEXT = "Two young men, outside.\n一个小女孩。\n" * 5


def run(*arguments: object, stdin: str | bytes | None = None) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "train.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


@pytest.fixture
def tokenizer(text: Path) -> Path:
    path = text.with_name("tokenizer.json")
    run("train", text, "--vocabulary", 300, "--output", path)
    return path


@pytest.mark.parametrize("kind", ["bpe", "unigram", "wordpiece", "word", "character"])
def test_every_kind_is_trained_and_used(kind: str, text: Path) -> None:
    path = text.with_name(f"{kind}.json")
    result = run("train", text, text, "--kind", kind, "--output", path, "--special", "[MASK]")
    trained = Tokenizer.load(path)
    assert result.stdout == f"{path}: {trained.size:,} pieces, fingerprint {trained.fingerprint}\n"
    assert trained.spec["kind"] == kind
    assert trained.special("[MASK]") == 4
    encoded = run("encode", "-t", path, "young men, outside.").stdout
    assert run("decode", "-t", path, *encoded.split()).stdout == "young men, outside.\n"
    assert run("decode", "-t", path, stdin=encoded).stdout == "young men, outside.\n"


def test_options_reach_the_spec(text: Path) -> None:
    path = text.with_name("t.json")
    options = ["--lowercase", "--nfc", "--no-byte-fallback", "--split", "spaces", "--coverage", "0.9"]
    options += ["--spaces", "plain", "--invisible", "keep"]
    run("train", text, "--vocabulary", 100, "-o", path, *options)
    spec = Tokenizer.load(path).spec
    assert spec == {
        "kind": "bpe",
        "vocabulary": 100,
        "lowercase": True,
        "text": {"unicode": "nfc", "spaces": "plain", "invisible": "keep"},
        "nfc": True,
        "byte_fallback": False,
        "split": "spaces",
        "coverage": 0.9,
        "specials": [],
    }


def test_lines_of_standard_input_give_as_many_lines(tokenizer: Path) -> None:
    pieces = run("encode", "-t", tokenizer, "--pieces", stdin="Two men\n\n小女孩\n").stdout
    assert len(pieces.split("\n")) == 4
    assert pieces.startswith("▁Two")
    ids = run("encode", "-t", tokenizer, stdin="Two men\n\n小女孩\n").stdout
    assert run("decode", "-t", tokenizer, stdin=ids).stdout == "Two men\n\n小女孩\n"


def test_bad_lines_are_left_out_and_reported(tmp_path: Path) -> None:
    path = tmp_path / "train.txt"
    path.write_bytes(b"some good text\n\xff\n")
    result = run("train", path, "-o", tmp_path / "t.json")
    assert "train.txt:2" in result.stderr
    assert "train.txt" not in result.stdout


def test_show(tokenizer: Path) -> None:
    shown = run("show", "-t", tokenizer, "young men").stdout
    loaded = Tokenizer.load(tokenizer)
    assert loaded.fingerprint in shown
    assert "▁men" in shown
    report = json.loads(run("show", "-t", tokenizer, "young men", "--json").stdout)
    assert report["spec"] == loaded.spec
    assert report["size"] == loaded.size
    assert loaded.decode(report["ids"]) == "young men"
    assert "text" not in json.loads(run("show", "-t", tokenizer, "--json").stdout)


@pytest.mark.parametrize(
    "options",
    [["--kind", "bpe"], ["--kind", "wordpiece"], ["--kind", "wordpiece", "--criterion", "frequency"]],
)
def test_merges(options: list[str], text: Path) -> None:
    learned = json.loads(run("merges", text, *options, "--steps", 3, "--json").stdout)
    assert [merge["step"] for merge in learned] == [1, 2, 3]
    header, *shown = run("merges", text, text, *options, "--steps", 3).stdout.splitlines()
    assert header.split() == ["step", "count", "score", "merge"]
    assert len(shown) == 3
    for merge, line in zip(learned, shown, strict=True):
        assert line.split()[:2] == [str(merge["step"]), str(2 * merge["count"])]  # the file was given twice
        assert line.endswith(f' = "{merge["merged"]}"')
    path = text.with_name("t.json")
    run("train", text, *options, "-o", path)
    assert learned[0]["merged"] in Tokenizer.load(path).pieces


def test_user_errors_are_for_the_main_program_to_say(text: Path, tokenizer: Path) -> None:
    with pytest.raises(RecipeError, match="vocabulary"):
        run("train", text, "--kind", "character", "--vocabulary", 300)
    with pytest.raises(RecipeError, match="coverage"):
        run("train", text, "--coverage", 2)
    with pytest.raises(RecipeError, match="criterion"):
        run("merges", text, "--kind", "bpe", "--criterion", "frequency")
    with pytest.raises(TokenizerError, match="too small"):
        run("train", text, "--vocabulary", 20)
    with pytest.raises(DataError, match="no such file"):
        run("train", text.with_name("nothing"))
    with pytest.raises(TokenizerError, match="no such"):
        run("encode", "-t", text.with_name("nothing"), "x")
    with pytest.raises(TokenizerError, match="99999"):
        run("decode", "-t", tokenizer, 99999)
    with pytest.raises(DataError, match="not a list of ids"):
        run("decode", "-t", tokenizer, stdin="5 x\n")
    with pytest.raises(DataError, match="standard input:2"):
        run("encode", "-t", tokenizer, stdin=b"o\n\xff\n")
