"""Standard streams as shells leave them: closed, full, read by nobody, or short of characters."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = [sys.executable, "-c", "from whyformer.cli.main import main; main()"]
# Verbs that print without a run: help, a table, data, JSON.
PRINTING = [["--help"], ["parts", "--json"], ["recipes", "--keys"], ["why"]]
READING = [
    ["translate", "{run}"],
    ["translate", "{run}", "--json"],
    ["translate", "{run}", "--scores"],
    ["embed", "{gpt}"],
    ["tokenizer", "encode", "-t", "{run}/tokenizer.json"],
    ["tokenizer", "decode", "-t", "{run}/tokenizer.json"],
]
FULL = Path("/dev/full")
unix = pytest.mark.skipif(os.name == "nt", reason="the shell of this system cannot close streams so")


def shell(
    arguments: list[str], how: str = "", environment: dict[str, str] | None = None
) -> "subprocess.CompletedProcess[bytes]":
    """The program in a shell that fails where any part of a pipe does."""
    script = f'"$@" {how}'
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", script, "bash", *PROGRAM, *arguments],
        capture_output=True,
        check=False,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
    )


@unix
@pytest.mark.parametrize("arguments", PRINTING, ids=" ".join)
def test_a_reader_that_has_seen_enough_ends_the_program_quietly(arguments: list[str]):
    # What is told on the side of it still is, where all was written before the reader went.
    told = shell(arguments).stderr
    done = shell(arguments, "| head -1")
    assert done.returncode == 0
    assert done.stderr in (b"", told)
    assert done.stdout.count(b"\n") == 1


@unix
def test_a_reader_that_never_reads_ends_the_program_quietly():
    done = shell(["recipes", "--keys"], "| true")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@unix
def test_work_that_nobody_can_hear_of_any_more_ends_as_by_a_closed_pipe():
    done = shell(["train", "nothing.yaml"], "2>&1 >/dev/null | true")
    assert done.returncode in (2, 141)  # the sentence may be out before the reader has gone
    assert done.stderr == b""


@unix
@pytest.mark.parametrize("arguments", PRINTING, ids=" ".join)
def test_a_closed_output_is_a_sentence(arguments: list[str]):
    done = shell(arguments, ">&-")
    assert done.returncode == 2
    assert done.stderr == b"error: standard output is closed; nothing can be printed.\n"


@unix
@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("arguments", PRINTING, ids=" ".join)
def test_a_full_device_is_a_sentence(arguments: list[str]):
    done = shell(arguments, "> /dev/full")
    assert done.returncode == 2
    assert done.stderr == b"error: standard output: cannot be written (No space left on device).\n"


@unix
@pytest.mark.parametrize("how", ["2>&-", "2>/dev/full"])
def test_without_a_place_for_errors_the_exit_code_is_left(how: str):
    done = shell(["recipes", "nosuch"], how)
    assert (done.returncode, done.stdout, done.stderr) == (2, b"", b"")


@unix
def test_a_file_that_is_opened_never_gets_the_number_of_a_closed_stream(tmp_path: Path):
    (tmp_path / "text").write_text("a b\na c\n")
    tokenizer = tmp_path / "tokenizer.json"
    arguments = ["tokenizer", "train", str(tmp_path / "text"), "-o", str(tokenizer), "--kind", "word"]
    assert shell(arguments, "<&- >&- 2>&-").returncode == 2
    assert json.loads(tokenizer.read_text(encoding="utf-8"))["model"]


@unix
@pytest.mark.parametrize("arguments", READING, ids=" ".join)
def test_a_closed_input_is_a_sentence(arguments: list[str], reverse_run: Path, counting_run: Path):
    named = [part.format(run=reverse_run, gpt=counting_run) for part in arguments]
    done = shell(named, "<&-")
    assert done.returncode == 2
    assert done.stderr == b"error: standard input is closed; give the texts as arguments, or a file.\n"


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "cp437"])
@pytest.mark.parametrize("arguments", [["parts"], ["recipes", "--keys"]], ids=" ".join)
def test_a_console_of_few_characters_gets_similar_ones(arguments: list[str], encoding: str):
    done = shell(arguments, "", {"PYTHONIOENCODING": encoding})
    assert done.returncode == 0
    assert done.stdout.decode(encoding)
    assert b"Traceback" not in done.stderr


def test_json_stays_json_on_a_console_of_few_characters():
    whole = json.loads(shell(["parts", "--json"]).stdout)
    narrow = shell(["parts", "--json"], "", {"PYTHONIOENCODING": "ascii"}).stdout
    assert b"\\u" in narrow
    assert json.loads(narrow) == whole


def test_a_console_without_chinese_is_spoken_to_in_english():
    done = shell(["recipes", "nosuch"], "", {"PYTHONIOENCODING": "cp1252", "WHYFORMER_LANG": "zh"})
    assert done.returncode == 2
    note, error = done.stderr.decode("cp1252").splitlines()
    assert note == "note: this console cannot show zh, so English is spoken; let it use UTF-8."
    assert error.startswith("error: there is no recipe named nosuch, ")


def test_in_a_pipe_text_is_utf8_unless_another_encoding_was_asked_for():
    done = shell(
        ["recipes", "--keys", "top_p"], "", {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    )
    assert "≤ 1" in done.stdout.decode("utf-8")


@unix
@pytest.mark.parametrize("name", [b"\xff.yaml", b"a\xe9b.yaml"])
def test_a_name_that_is_no_text_is_spelled_out(name: bytes):
    command = [*map(str.encode, PROGRAM), b"recipes", name]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 2
    assert done.stderr.decode("utf-8").endswith(".yaml: there is no such recipe file.\n")
