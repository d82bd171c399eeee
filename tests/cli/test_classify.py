"""``whyformer classify``, and what the other verbs do with a run that classifies."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from whyformer.cli.main import app

Program = Callable[..., Result]
ON_CPU = ("--device", "cpu", "--threads", 1)
LINES = [
    *("small\tone two", "small\ttwo three", "small\tthree two one", "small\tone three"),
    *("large\teight nine", "large\tten nine eight", "large\tnine ten", "large\tnine"),
]


@pytest.fixture(scope="module")
def run(counting_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("classify")
    (folder / "table.tsv").write_text("\n".join(LINES), encoding="utf-8")
    (folder / "test.tsv").write_text("\n".join(["small\tone", "small\ttwo", "large\tten"]), encoding="utf-8")
    (folder / "recipe.yaml").write_text(
        f"task: classification\nstart: {counting_run}\n"
        f"data: {{train: [{folder}/table.tsv], valid: 0.2, test: {{small: [{folder}/test.tsv]}}}}\n"
        "training: {steps: 60, precision: fp32, validation: {every: 30, average: 2},"
        " schedule: {kind: linear, peak: 0.005, warmup: 5}}\n",
        encoding="utf-8",
    )
    made = CliRunner().invoke(
        app, ["train", f"{folder}/recipe.yaml", "--run", f"{folder}/run", "--threads", "1"]
    )
    assert made.exit_code == 0, made.output
    return folder / "run"


@pytest.fixture
def classify(whyformer: Program, run: Path) -> Program:
    return lambda *arguments, stdin=None: whyformer("classify", run, *arguments, *ON_CPU, stdin=stdin)


def test_a_line_gives_a_label_and_its_probability(classify: Program, tmp_path: Path):
    text = "one two\nnine\nten\n"
    result = classify(stdin=text)
    assert (result.exit_code, result.stderr) == (0, "")
    told = [line.split("\t") for line in result.stdout.splitlines()]
    assert [label for label, _ in told] == ["small", "large", "large"]
    assert all(0.5 <= float(probability) <= 1.0 for _, probability in told)
    (tmp_path / "text").write_text(text, encoding="utf-8")
    shown = [json.loads(line) for line in classify("--file", tmp_path / "text", "--json").stdout.splitlines()]
    assert [each["texts"] for each in shown] == [["one two"], ["nine"], ["ten"]]
    for each, (label, probability) in zip(shown, told, strict=True):
        assert each["label"] == label
        assert f"{each['probabilities'][label]:.4f}" == probability
        assert each["probabilities"].keys() == {"large", "small"}


@pytest.mark.parametrize(
    ("stdin", "sentence"),
    [
        ("one\ttwo\n", "line 1 has 2 columns, but this run reads one text."),
        (f"one\n{'one ' * 60}\n", "line 2 has 62 tokens with its marks, but the model reads 48 at most"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(classify: Program, stdin: str, sentence: str):
    result = classify("--on-error", "stop", stdin=stdin)
    assert (result.exit_code, result.stdout) == (2, "")
    assert sentence in result.stderr


def test_blank_and_bad_lines_keep_their_places(classify: Program):
    text = f"one two\n\none\ttwo\n{'one ' * 60}\nnine\n \n"
    result = classify(stdin=text)
    assert result.exit_code == 3
    assert [line.split("\t")[0] for line in result.stdout.split("\n")] == [
        "small",
        "",
        "",
        "",
        "large",
        "",
        "",
    ]
    assert "line 3 has 2 columns" in result.stderr
    assert "line 4 has 62 tokens" in result.stderr
    shown = [json.loads(line) for line in classify("--json", stdin=text).stdout.splitlines()]
    assert [each["label"] for each in shown] == ["small", None, None, None, "large", None]
    assert classify("--on-error", "truncate", stdin=text).stdout.split("\n")[3] != ""
    assert classify("nine", "one\u00a0two", "").stdout == classify(stdin="nine\none two\n\n").stdout
    assert classify("nine", "one\ttwo").exit_code == 2


def test_evaluate_tells_accuracy_and_f1(whyformer: Program, run: Path):
    shown = whyformer("evaluate", run, *ON_CPU).stdout
    assert shown.startswith("small: 3 examples; always the most frequent label: 66.67 %\n  accuracy  ")
    told = json.loads(whyformer("evaluate", run, "--on", "small", "--json", *ON_CPU).stdout)["sets"][0]
    assert f"accuracy  {told['accuracy']:.2f} %" in shown
    assert f"macro F1  {told['macro_f1']:.2f} %" in shown
    assert told["majority"] == pytest.approx(200 / 3)
    result = whyformer("evaluate", run, "--beam", 2)
    assert (
        result.exit_code,
        "this run does not translate and is scored without writing" in result.stderr,
    ) == (
        2,
        True,
    )
    assert (
        "there is no test set tset; there are: valid, small."
        in whyformer("evaluate", run, "--on", "tset").stderr
    )


def test_the_other_verbs_know_such_a_run(whyformer: Program, run: Path, counting_run: Path, tmp_path: Path):
    for verb in ("translate", "generate"):
        result = whyformer(verb, run, "one", *ON_CPU)
        assert result.stderr == f"error: {run}: this run tells classes; use `whyformer classify {run}`.\n"
    result = whyformer("classify", counting_run, *ON_CPU, stdin="one\n")
    assert result.stderr == (
        f"error: {counting_run}: this run generates text; use `whyformer generate {counting_run}`.\n"
    )
    assert len(json.loads(whyformer("embed", run, *ON_CPU, stdin="one\n").stdout)["vector"]) == 32
    output = tmp_path / "mean.safetensors"
    shown = whyformer("average", run, "--output", output, "--evaluate", *ON_CPU).stdout
    assert shown.count("macro F1") == 2
    shown = whyformer("inspect", run).stdout
    assert "classification, data from labelled texts" in shown
    assert "backbone.stack.blocks.0.attention.query.weight" in shown


def test_the_keys_of_such_recipes_are_listed(whyformer: Program, run: Path):
    listed = whyformer("recipes", run / "recipe.yaml", "--keys").stdout
    for key in ("start", "weights", "data.texts", "model.update", "model.layer_mix", "training.seed"):
        assert f"\n{key}: " in f"\n{listed}"
