"""``whyformer evaluate``: test sets by name or by file, scores with signatures, examples."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

Program = Callable[..., Result]


@pytest.fixture
def evaluate(whyformer: Program, reverse_run: Path) -> Program:
    return lambda *arguments: whyformer(
        "evaluate", reverse_run, *arguments, "--device", "cpu", "--threads", 1, "--greedy"
    )


@pytest.fixture
def early(reverse_run: Path) -> Path:
    """Weights that do not get everything right."""
    return min((reverse_run / "snapshots").iterdir())


def test_all_test_sets_are_scored_and_every_score_has_its_signature(evaluate: Program):
    result = evaluate()
    heading, *scores = result.stdout.splitlines()
    assert (result.exit_code, result.stderr) == (0, "")
    assert heading.startswith("test: 75 sentences in ")
    assert "sentences/s" in heading
    assert [line.split()[0] for line in scores] == ["bleu", "chrf", "exact"]
    bleu, signature = scores[0].split()[1:]
    assert float(bleu) > 80
    assert signature.startswith("nrefs:1|case:mixed|eff:no|tok:none|smooth:exp|version:")


def test_several_sets_and_several_ways_to_cut_text(evaluate: Program):
    result = evaluate("--on", "valid", "--on", "test", "--tokenize", "none", "--tokenize", "13a", "--json")
    shown = json.loads(result.stdout)
    assert shown["search"]["kind"] == "greedy"
    assert [each["name"] for each in shown["sets"]] == ["valid", "test"]
    for each in shown["sets"]:
        assert each["sentences"] == 75
        assert each["tokens_per_second"] > each["sentences_per_second"] > 0
        names = [(score["name"], "tok:13a" in score["signature"]) for score in each["scores"]]
        assert names == [("bleu", False), ("bleu", True), ("chrf", False), ("exact", False)]


def test_files_of_your_own_may_bring_several_references(evaluate: Program, tmp_path: Path):
    source, wrong, right = (tmp_path / name for name in ("source", "wrong", "right"))
    source.write_text("0 1 2\n3 4\n", encoding="utf-8")
    wrong.write_text("4 4 4\n4 4\n", encoding="utf-8")
    right.write_text("2 1 0\n\n", encoding="utf-8")
    shown = json.loads(
        evaluate("--source", source, "--reference", wrong, "--reference", right, "--json").stdout
    )
    scores = {score["name"]: score for score in shown["sets"][0]["scores"]}
    assert shown["sets"][0]["name"] == "source"
    assert scores["exact"]["value"] == 50
    assert scores["bleu"]["signature"].startswith("nrefs:var|")


def test_examples_are_right_and_wrong_ones(evaluate: Program, early: Path):
    lines = evaluate("--weights", early, "--examples", 2).stdout.splitlines()[4:]
    assert [line.strip() for line in lines if len(line.split()) == 1] == ["right", "right", "wrong", "wrong"]
    told = [line.split(maxsplit=1) for line in lines if len(line.split()) > 1]
    assert [name for name, _ in told] == 2 * ["source", "translation"] + 2 * [
        "source",
        "translation",
        "reference",
    ]
    assert told[1][1] == told[0][1][::-1]
    assert told[5][1] != told[6][1] == told[4][1][::-1]


def test_all_translations_are_saved_where_that_is_asked_for(evaluate: Program, early: Path, tmp_path: Path):
    file = tmp_path / "translations.jsonl"
    result = evaluate("--weights", early, "--save", file, "--json", "--examples", 1)
    shown = json.loads(result.stdout)["sets"][0]
    saved = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert len(saved) == 75
    assert saved[0].keys() == {"set", "source", "references", "translation", "right"}
    assert [{"set": "test", **shown[word][0]} in saved for word in ("right", "wrong")] == [True, True]
    exact = next(score["value"] for score in shown["scores"] if score["name"] == "exact")
    assert 100 * sum(each["right"] for each in saved) / 75 == pytest.approx(exact)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--on", "tset"], "there is no test set tset; did you mean test?"),
        (["--tokenize", "14a"], 'tokenize: is "14a"; should be auto | 13a | zh | char | intl | none'),
        (
            ["--source", "file"],
            "a test set of your own needs --source and --reference, and goes without --on.",
        ),
        (["--source", "none", "--reference", "none"], "none: no such file."),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_exit_code_2(
    evaluate: Program, arguments: list[str], sentence: str
):
    result = evaluate(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert sentence in result.stderr
