"""``whyformer translate``: one line in, one line out, in order, however it is asked for."""

import gzip
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from whyformer.engines.native import library
from whyformer.errors import WhyformerNote
from whyformer.tasks.translation import lines

Program = Callable[..., Result]
LINES = ["0 1 2", "", "4 1 3", "3 3 1 0 2", "  ", "2 1 4 0"]
TEXT = "".join(f"{line}\n" for line in LINES)


@pytest.fixture
def translate(whyformer: Program, reverse_run: Path) -> Program:
    return lambda *arguments, stdin=None: whyformer(
        "translate", reverse_run, *arguments, "--device", "cpu", "--threads", 1, stdin=stdin
    )


def test_every_line_gives_one_line_in_its_place(translate: Program):
    result = translate(stdin=TEXT)
    assert result.exit_code == 0
    assert result.stderr == ""
    shown = result.stdout.split("\n")[:-1]
    assert len(shown) == len(LINES)
    assert shown == ["2 1 0", "", "3 1 4", "2 0 1 3 3", "", "0 4 1 2"]


def test_sentences_come_from_anywhere_and_go_anywhere(translate: Program, tmp_path: Path):
    expected = translate(stdin=TEXT).stdout
    plain, packed, output = tmp_path / "in", tmp_path / "in.gz", tmp_path / "out"
    plain.write_bytes(TEXT.replace("\n", "\r\n").encode())
    packed.write_bytes(gzip.compress(TEXT.encode()))
    assert translate(*LINES).stdout == expected
    assert translate("--file", plain).stdout == expected
    result = translate("--file", packed, "--output", output)
    assert (result.stdout, output.read_text(encoding="utf-8")) == ("", expected)
    assert translate(stdin="").stdout == ""


@pytest.mark.parametrize("options", [["--greedy"], ["--sample", "--temperature", 2], ["--n-best", 2]])
def test_a_long_text_is_translated_in_parts_without_a_seam(
    translate: Program, options: list[object], monkeypatch: pytest.MonkeyPatch
):
    whole = translate(*options, stdin=TEXT).stdout
    monkeypatch.setattr(lines, "PART", 2)
    assert translate(*options, "--batch", 1, stdin=TEXT).stdout == whole


def test_n_best_lines_have_number_score_and_text(translate: Program):
    rows = [line.split("\t") for line in translate("--n-best", 3, stdin=TEXT).stdout.split("\n")[:-1]]
    assert [row[0] for row in rows] == ["1", "1", "1", "2", "3", "3", "3", "4", "4", "4", "5", "6", "6", "6"]
    assert rows[3] == ["2", "0.0000", ""]
    scores = [float(row[1]) for row in rows[:3]]
    assert scores == sorted(scores, reverse=True)
    assert rows[0][2] == translate("0 1 2", "--n-best", 1).stdout.strip()


def test_scores_stand_before_the_text(translate: Program):
    score, text = translate("0 1 2", "--scores").stdout.rstrip("\n").split("\t")
    assert (float(score) < 0, text) == (True, "2 1 0")


def test_json_says_everything(translate: Program):
    shown = [json.loads(line) for line in translate("--json", "--n-best", 2, stdin=TEXT).stdout.splitlines()]
    assert [each["source"] for each in shown] == LINES
    best = shown[0]["translations"][0]
    assert best.keys() == {"text", "score", "tokens", "finished"}
    assert (best["text"], best["tokens"], best["finished"]) == ("2 1 0", ["▁2", "▁1", "▁0"], True)
    assert len(shown[0]["translations"]) == 2
    assert [each["text"] for each in shown[1]["translations"]] == [""]


def test_the_ways_to_search_are_what_they_say(translate: Program):
    assert (
        translate("--greedy", stdin=TEXT).stdout
        == translate("--beam", 1, "--length-penalty", 0, stdin=TEXT).stdout
    )
    drawn = [
        translate("--sample", "--temperature", 3, "--seed", seed, stdin=TEXT).stdout for seed in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    assert translate("--sample", "--top-k", 1, stdin=TEXT).stdout == translate("--greedy", stdin=TEXT).stdout
    several = translate("0 1 2", "--sample", "--temperature", 3, "--n-best", 4).stdout
    assert len(several.splitlines()) == 4
    tokens = translate("0 0 0 0", "--no-repeat-ngram", 1).stdout.split()
    assert len(tokens) == len(set(tokens))


def test_a_prefix_begins_every_line_but_the_blank_ones(translate: Program):
    shown = translate("--prefix", "4 3 ", stdin=TEXT).stdout.split("\n")[:-1]
    assert [line.startswith("4 3") for line in shown] == [bool(line.strip()) for line in LINES]


def test_one_line_in_is_one_line_out_even_if_the_model_writes_a_line_end(
    translate: Program, monkeypatch: pytest.MonkeyPatch
):
    from whyformer.data.tokenizers.tokenizer import Tokenizer

    monkeypatch.setattr(Tokenizer, "decode_all", lambda self, sentences: ["a\nb" for _ in sentences])
    assert translate("0 1").stdout == "a b\n"
    assert json.loads(translate("0 1", "--json").stdout)["translations"][0]["text"] == "a\nb"


TOO_LONG = "0 " * 15 + "0"
STOP = ["--on-error", "stop"]


@pytest.mark.parametrize(
    ("arguments", "stdin", "sentence"),
    [
        (
            STOP,
            f"0\n{TOO_LONG}\n",
            "line 2 has 16 tokens, but the model takes 15 at most; split the sentence.",
        ),
        (STOP, b"0 1\n2\n\xff 3\n", "standard input:3: not UTF-8; correct this line."),
        ([*STOP, "--file", "{folder}/bad"], None, "{folder}/bad:2: not UTF-8; correct this line."),
        ([TOO_LONG], None, "line 1 has 16 tokens, but the model takes 15 at most; split the sentence."),
        (["--split", "--n-best", "2", "0"], None, "leave out --split"),
        (["--file", "{folder}/none"], None, "{folder}/none: no such file."),
        (["0", "--file", "{folder}/bad"], None, "from the command line or from --file, not from both"),
        (["0", "--prefix", "9"], None, "can write the prefix '9' only as '<unk>'"),
        (["0", "--greedy", "--beam", "2"], None, "--beam, --greedy and --sample are three ways to search"),
        (["0", "--top-k", "3"], None, "--top-k means nothing to a beam search; use it with --sample"),
        (["0", "--n-best", "6"], None, "--n-best 6 is more than a beam of 5 can find; use --beam 6."),
        (["0", "--sample", "--top-p", "2"], None, "top_p: is 2.0; should be float > 0, ≤ 1"),
        (["0", "--weights", "{folder}/none"], None, "{folder}/none: there is no such file"),
        (["0", "--output", "/proc/none/out"], None, "/proc/none"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_exit_code_2(
    translate: Program, tmp_path: Path, arguments: list[str], stdin: str | bytes | None, sentence: str
):
    (tmp_path / "bad").write_bytes(b"0 1\n\xff\n")
    result = translate(*(argument.format(folder=tmp_path) for argument in arguments), stdin=stdin)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert sentence.format(folder=tmp_path) in result.stderr


def test_a_folder_that_is_no_run_is_refused(whyformer: Program, tmp_path: Path):
    result = whyformer("translate", tmp_path, "0")
    assert result.exit_code == 2
    assert (
        f"{tmp_path}: this is not the folder of a run (it has no recipe.yaml); train one first."
        in result.stderr
    )


def test_a_damaged_run_is_refused(whyformer: Program, reverse_run: Path, tmp_path: Path):
    run = tmp_path / "run"
    shutil.copytree(reverse_run, run)
    weights = run / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    result = whyformer("translate", run, "0")
    assert result.exit_code == 2
    assert f"{weights}: the file is damaged or not safetensors" in result.stderr


@pytest.mark.skipif(os.name == "nt", reason="there are no pseudo-terminals")
def test_on_a_terminal_each_line_is_answered_at_once(reverse_run: Path):
    keyboard, terminal = os.openpty()
    command = [
        sys.executable,
        "-c",
        "from whyformer.cli.main import main; main()",
        "translate",
        str(reverse_run),
    ]
    with subprocess.Popen(
        [*command, "--threads", "1"],
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdout
        for typed, answer in (("0 1 2", "2 1 0\n"), ("", "\n")):
            os.write(keyboard, f"{typed}\n".encode())
            assert program.stdout.readline() == answer
        os.write(keyboard, f"{TOO_LONG}\n0 1 2\n".encode())
        assert program.stdout.readline() == "2 1 0\n"
        os.write(keyboard, b"\x04")  # Ctrl-D
        rest, messages = program.communicate(timeout=60)
    os.close(keyboard)
    os.close(terminal)
    assert (program.returncode, rest) == (0, "")
    assert messages.startswith("Type a sentence and press Enter; Ctrl-D ends.\n")
    assert "error: line 3 has 16 tokens" in messages


@pytest.mark.filterwarnings("ignore::whyformer.errors.WhyformerNote")
def test_a_prefix_begins_the_first_sentence_of_a_line_that_is_split(translate: Program):
    whole = ("--greedy", "--prefix", "3 4", "--device", "cpu")
    lines = ["0 1 2? 1 2 0! 2 2 1", "4 3 2", "", "1 0? 2 0"]
    result = translate("--split", *whole, stdin="".join(f"{line}\n" for line in lines))
    first = translate(*whole, stdin="0 1 2?\n4 3 2\n1 0?\n").stdout.splitlines()
    later = translate("--greedy", "--device", "cpu", stdin="1 2 0!\n2 2 1\n2 0\n").stdout.splitlines()
    expected = [f"{first[0]} {later[0]} {later[1]}", first[1], "", f"{first[2]} {later[2]}"]
    assert [line.split() for line in result.stdout.splitlines()] == [line.split() for line in expected]
    assert [line.count("3 4") for line in result.stdout.splitlines()] == [1, 1, 0, 1]


@pytest.mark.filterwarnings("ignore::whyformer.errors.WhyformerNote")
@pytest.mark.parametrize("batch", [1, 2, 64])
def test_a_prefix_and_sentences_do_not_depend_on_the_batch(translate: Program, batch: int):
    given = "0 1 2? 1 2 0! 2 2 1\n4 3 2\n\n1 0? 2 0\n"
    asked = ("--split", "--beam", "3", "--prefix", "2", "--scores")
    assert (
        translate(*asked, "--batch", batch, stdin=given).stdout.replace("-0.0000", "0.0000")
        == translate(*asked, stdin=given).stdout.replace("-0.0000", "0.0000")
    )  # fmt: skip


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_a_precision_that_gains_nothing_is_said_to_be_none(translate: Program, precision: str):
    with pytest.warns(WhyformerNote, match=f"so small that {precision} would gain nothing"):
        translate("--precision", precision, "--greedy", "0 1 2")
    for chosen in ("auto", "fp32"):  # of which nothing is said
        translate("--precision", chosen, "--engine", "torch", "--greedy", "0 1 2")


@pytest.mark.parametrize("verb", ["translate", "evaluate"])
def test_where_the_native_engine_cannot_be_torch_computes_and_says_why_once(
    whyformer: Program, reverse_run: Path, monkeypatch: pytest.MonkeyPatch, verb: str
):
    monkeypatch.setattr(library, "missing", lambda path: "it was not compiled; do it")
    texts = ["0 1 2", "4 1 3"] if verb == "translate" else ["--on", "valid"]
    asked = [verb, reverse_run, *texts, "--device", "cpu", "--batch", 1]
    expected = whyformer(*asked, "--precision", "auto", "--engine", "torch")
    with pytest.warns(WhyformerNote) as told:
        found = whyformer(*asked, "--precision", "auto")
    assert [str(each.message) for each in told] == ["torch translates, as it was not compiled; do it."]
    assert found.exit_code == 0
    # The first line of an evaluation tells the time.
    shown, due = (result.stdout.splitlines()[verb == "evaluate" :] for result in (found, expected))
    assert shown == due
    refused = whyformer(*asked, "--precision", "auto", "--engine", "native")
    assert refused.exit_code == 2
    assert "it was not compiled; do it, or translate with --engine torch." in refused.stderr


@pytest.mark.parametrize("precision", ["auto", "bf16", "int8"])
@pytest.mark.filterwarnings("ignore::whyformer.errors.WhyformerNote")
def test_a_precision_may_be_chosen(translate: Program, precision: str):
    assert translate("--precision", precision, "--greedy", "0 1 2").stdout == "2 1 0\n"


def test_an_engine_may_be_chosen(translate: Program, reverse_run: Path):
    pytest.importorskip("ctranslate2", reason="needs: pip install 'whyformer[ctranslate2]'")
    try:
        assert translate("--engine", "ctranslate2", stdin=TEXT).stdout == translate(stdin=TEXT).stdout
        result = translate("--engine", "ctranslate2", "--sample", "0 1 2")
        assert result.exit_code == 2
        assert "CTranslate2 does not have sampling" in result.stderr
    finally:
        shutil.rmtree(reverse_run / "ctranslate2", ignore_errors=True)


def test_one_bad_line_costs_no_other(translate: Program, tmp_path: Path):
    text = tmp_path / "text"
    text.write_bytes(f"0 1 2\n{TOO_LONG}\n1 \xff\n\n4 1\0\n4 1 3\n".encode("latin-1"))
    for result in (
        translate("--file", text),
        translate(stdin=text.read_bytes()),
        translate("--file", text, "--on-error", "skip"),
    ):
        assert (result.exit_code, result.stdout) == (3, "2 1 0\n\n\n\n\n3 1 4\n")
        head, *told = result.stderr.splitlines()
        assert head == "of 6 lines, 3 were left out:"
        assert [line.split()[1].rstrip(":") for line in told] == ["2", "3", "5"]
        assert "not UTF-8" in told[1]
        assert "NUL" in told[2]
    result = translate("--file", text, "--output", tmp_path / "out")
    assert (result.exit_code, (tmp_path / "out").read_text()) == (3, "2 1 0\n\n\n\n\n3 1 4\n")
    told = [json.loads(line) for line in translate("--file", text, "--json").stdout.splitlines()]
    assert [bool(each["translations"]) for each in told] == [True, False, False, True, False, True]
    assert "takes 15 at most" in told[1]["error"]
    scored = translate("--file", text, "--scores").stdout.split("\n")
    assert [line.split("\t")[0] == "" for line in scored[:-1]] == [False, True, True, False, True, False]
    cut = translate("--on-error", "truncate", stdin=f"0 1 2\n{TOO_LONG} 1\n")
    assert cut.exit_code == 0
    assert "of 2 lines, 1 were too long and only begun" in cut.stderr
    assert translate(TOO_LONG[:-2]).stdout == cut.stdout.splitlines(keepends=True)[1]
    # What is on the command line stops at once, unless asked otherwise.
    assert translate("0 1 2", TOO_LONG).exit_code == 2
    assert translate("0 1 2", TOO_LONG, "--on-error", "skip").stdout == "2 1 0\n\n"
    assert translate("0", "\udcff", "--on-error", "skip", "--json").exit_code == 3


def test_odd_white_space_and_invisible_characters_change_nothing(translate: Program):
    odd = ["0\u00a01\u20282", "\ufeff", " 4\t1  3\u3000", "3\u200b 3 1\u00ad 0 2", "\u2003", "2 1 4 0\u200e"]
    assert translate(*odd).stdout == translate(*LINES).stdout


def test_what_was_never_seen_is_told(translate: Program):
    with pytest.warns(WhyformerNote, match=r"guess: 9 \(U\+0039\), é \(U\+00E9\)"):
        translate("0 9 1 e\u0301")
