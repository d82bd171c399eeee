"""``whyformer translate --input``: files become files, each exactly once, and nothing is mixed."""

import gzip
import importlib.util
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from typer.testing import Result

Program = Callable[..., Result]
STRANGE = [
    *("0 1 2", "", "4 1\u20283 0", "3 3\f1", "2\x851", "NA", "null", "None", "nan", '"', '"0 1', "  "),
    *("1\u20290", "2 1\x1e4", "1e5", "1998-11-08", "4, 1", "0\t1", "1\v0"),
]
"""Lines that some readers of tables or of text cut, drop, or take for something else."""


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """Five files: of LF, packed, of CR LF, without an end of the last line, and without a line."""
    folder = tmp_path / "shards"
    (folder / "more").mkdir(parents=True)
    text = "".join(f"{line}\n" for line in STRANGE)
    (folder / "a.txt").write_bytes(text.encode())
    (folder / "b.txt.gz").write_bytes(gzip.compress(b"0 1\n2 3 4\n"))
    (folder / "more" / "a.txt").write_bytes(b"4 1 3\r\n\r\n2 1 4 0\r\n")
    (folder / "c.txt").write_bytes(b"0 1 2\n4 1 3")
    (folder / "d.txt").write_bytes(b"")
    return folder


@pytest.fixture
def bulk(whyformer: Program, reverse_run: Path, shards: Path, tmp_path: Path) -> Program:
    return lambda *arguments: whyformer(
        *("translate", reverse_run, "--input", shards / "**/*.txt*", "--to", tmp_path / "out"),
        *("--device", "cpu", "--processes", 1, *arguments),
    )


def unpacked(path: Path) -> bytes:
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data


def translations(folder: Path) -> dict[str, tuple[int, int]]:
    """All files of translations, with what changes when one is written anew."""
    files = (path for path in folder.rglob("*.txt*") if path.is_file() and ".shards" not in path.parts)
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_ino, path.stat().st_mtime_ns) for path in files
    }


def manifest(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "manifest.json").read_text(encoding="utf-8"))


@pytest.mark.filterwarnings("ignore:the training text had none")
@pytest.mark.parametrize("options", [[], ["--scores"], ["--n-best", 2, "--json"]])
def test_each_file_is_what_the_program_makes_of_it_alone(
    bulk: Program, whyformer: Program, reverse_run: Path, shards: Path, tmp_path: Path, options: list[object]
):
    result = bulk(*options)
    assert result.exit_code == 0, result.stderr
    assert "5 files, 26 lines" in result.stdout
    assert translations(tmp_path / "out").keys() == {
        *("a.txt", "b.txt.gz", "c.txt", "d.txt", "more/a.txt"),
    }
    for name in translations(tmp_path / "out"):
        if name != "d.txt":
            alone = whyformer("translate", reverse_run, "--file", shards / name, "--device", "cpu", *options)
            assert unpacked(tmp_path / "out" / name) == alone.stdout.encode()
    assert (tmp_path / "out" / "d.txt").read_bytes() == b""
    if not options:
        assert unpacked(tmp_path / "out" / "a.txt").count(b"\n") == len(STRANGE)
        assert unpacked(tmp_path / "out" / "more" / "a.txt") == b"3 1 4\n\n0 4 1 2\n"


def test_the_manifest_names_each_file_once_in_order(bulk: Program, shards: Path, tmp_path: Path):
    bulk()
    told = manifest(tmp_path / "out")
    assert [*told["shards"]] == ["a.txt", "b.txt.gz", "c.txt", "d.txt", "more/a.txt"]
    counts = {name: record["lines"] for name, record in told["shards"].items()}
    assert counts == {"a.txt": len(STRANGE), "b.txt.gz": 2, "c.txt": 2, "d.txt": 0, "more/a.txt": 3}
    assert told["shards"]["c.txt"]["input"] == str(shards / "c.txt")
    assert told["job"].keys() >= {"weights", "model", "tokenizers", "search", "precision", "engine"}
    assert {path.name for path in (tmp_path / "out").glob(".*")} <= {".lock"}


def test_the_same_command_makes_what_is_missing_and_nothing_else(bulk: Program, shards: Path, tmp_path: Path):
    bulk()
    first = translations(tmp_path / "out")
    (tmp_path / "out" / "b.txt.gz").unlink()
    (shards / "e.txt").write_text("2 2 1\n", encoding="utf-8")
    again = bulk()
    assert "6 files, 27 lines" in again.stdout
    assert "2 of them translated now" in again.stdout
    second = translations(tmp_path / "out")
    assert {name for name in second if second[name] != first.get(name)} == {"b.txt.gz", "e.txt"}
    third = bulk()
    assert "translated now" not in third.stdout
    assert translations(tmp_path / "out") == second


def test_packed_translations_are_the_same_bytes_each_time(bulk: Program, tmp_path: Path):
    bulk()
    first = (tmp_path / "out" / "b.txt.gz").read_bytes()
    (tmp_path / "out" / "b.txt.gz").unlink()
    bulk()
    assert (tmp_path / "out" / "b.txt.gz").read_bytes() == first


def test_a_changed_input_is_told_and_the_old_translation_stays(bulk: Program, shards: Path, tmp_path: Path):
    bulk()
    before = translations(tmp_path / "out")
    # Of the same size, and as old: only its bytes differ.
    state = (shards / "c.txt").stat()
    (shards / "c.txt").write_bytes(b"4 1 3\n0 1 2")
    os.utime(shards / "c.txt", ns=(state.st_atime_ns, state.st_mtime_ns))
    result = bulk()
    assert (result.exit_code, translations(tmp_path / "out")) == (2, before)
    assert f"{shards / 'c.txt'}: has changed since it was translated" in result.stderr
    (tmp_path / "out" / "c.txt").unlink()
    assert bulk().exit_code == 0
    assert (tmp_path / "out" / "c.txt").read_text(encoding="utf-8") == "3 1 4\n2 1 0\n"


def test_a_translation_that_somebody_has_edited_is_not_replaced(bulk: Program, tmp_path: Path):
    bulk()
    (tmp_path / "out" / "c.txt").write_text("edited\n", encoding="utf-8")
    result = bulk()
    assert result.exit_code == 2
    assert f"{tmp_path / 'out' / 'c.txt'}: is not what was written there" in result.stderr
    assert (tmp_path / "out" / "c.txt").read_text(encoding="utf-8") == "edited\n"


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (["--beam", 2], "search"),
        (["--split"], "split"),
        (["--on-error", "truncate"], "on_error"),
        (["--engine", "torch"], "engine"),
    ],
)
def test_other_choices_are_never_mixed(bulk: Program, tmp_path: Path, options: list[object], name: str):
    bulk()
    before = translations(tmp_path / "out")
    result = bulk(*options)
    assert result.exit_code == 2
    assert f"holds translations by other choices ({name})" in result.stderr
    assert translations(tmp_path / "out") == before
    assert bulk("--batch", 3, "--threads", 1).exit_code == 0


def test_other_weights_are_never_mixed(bulk: Program, reverse_run: Path, tmp_path: Path):
    bulk()
    snapshots = sorted((reverse_run / "snapshots").glob("*.safetensors"))
    result = bulk("--weights", snapshots[0])
    assert result.exit_code == 2
    assert "by other choices (weights)" in result.stderr


def test_files_of_unknown_origin_are_left_alone(bulk: Program, tmp_path: Path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "c.txt").write_text("mine\n", encoding="utf-8")
    result = bulk()
    assert result.exit_code == 2
    assert "holds c.txt but no manifest.json" in result.stderr
    assert (tmp_path / "out" / "c.txt").read_text(encoding="utf-8") == "mine\n"
    (tmp_path / "out" / "manifest.json").write_text("[]", encoding="utf-8")
    assert "is no manifest of translations, or damaged" in bulk().stderr


def test_a_second_driver_is_refused(bulk: Program, tmp_path: Path):
    (tmp_path / "out").mkdir()
    with FileLock(tmp_path / "out" / ".lock"):
        result = bulk()
    assert result.exit_code == 2
    assert "another process translates into this folder" in result.stderr
    assert bulk().exit_code == 0


def test_lines_that_cannot_be_translated_leave_their_place(bulk: Program, shards: Path, tmp_path: Path):
    (shards / "c.txt").write_bytes(b"0 1 2\n\xff\n" + b"1 " * 40 + b"\n4 1 3\n")
    result = bulk()
    assert result.exit_code == 3
    assert (tmp_path / "out" / "c.txt").read_text(encoding="utf-8") == "2 1 0\n\n\n3 1 4\n"
    assert "2 were left out" in result.stderr
    assert manifest(tmp_path / "out")["shards"]["c.txt"]["left_out"] == 2
    # As much is told of what is there already.
    assert bulk().exit_code == 3


FAULTY = {
    "wide.txt": ("0 1\n".encode("utf-16"), "this is UTF-16"),
    "cut.txt.gz": (gzip.compress(b"0 1\n" * 99)[:-9], "damaged"),
    "named.txt.gz": (b"0 1\n", "not gzip-compressed"),
    "old.txt": (b"0 1\r2 3\r", "CR alone"),
}
"""Files that cannot be read at all."""


@pytest.mark.parametrize("processes", [1, 2])
def test_a_file_that_cannot_be_read_keeps_no_other_from_its_turn(
    bulk: Program, shards: Path, tmp_path: Path, processes: int
):
    whole = ["a.txt", "b.txt.gz", "c.txt", "d.txt", "more/a.txt"]
    for name, (data, _) in FAULTY.items():
        (shards / name).write_bytes(data)
    result = bulk("--processes", processes)
    assert result.exit_code == 2
    assert f"{len(FAULTY)} of 9 files could not be translated, and all others are: " in result.stderr
    for name, (_, reason) in FAULTY.items():
        assert f"{shards / name}: " in result.stderr
        assert reason in result.stderr
    assert [*manifest(tmp_path / "out")["shards"]] == sorted(translations(tmp_path / "out")) == whole
    before = translations(tmp_path / "out")
    for name in FAULTY:
        (shards / name).unlink()
    (shards / "old.txt").write_bytes(b"0 1\n2 3\n")
    assert "1 of them translated now" in bulk().stdout
    assert before.items() <= translations(tmp_path / "out").items()


@pytest.mark.parametrize("line", [b"\xff", b"1 " * 40])
def test_stopping_at_a_bad_line_keeps_what_is_whole(bulk: Program, shards: Path, tmp_path: Path, line: bytes):
    (shards / "c.txt").write_bytes(b"0 1\n" + line + b"\n")
    result = bulk("--on-error", "stop")
    assert result.exit_code == 2
    assert str(shards / "c.txt") in result.stderr
    assert translations(tmp_path / "out").keys() == {"a.txt", "b.txt.gz"}
    (shards / "c.txt").write_bytes(b"0 1\n")
    assert "3 of them translated now" in bulk("--on-error", "stop").stdout


def test_the_folder_of_translations_is_no_input(
    whyformer: Program, reverse_run: Path, shards: Path, tmp_path: Path
):
    for _ in range(2):
        result = whyformer(
            *("translate", reverse_run, "--input", shards / "**/*", "--to", shards / "out"),
            *("--device", "cpu", "--processes", 1),
        )
        assert "5 files, 26 lines" in result.stdout
    result = whyformer("translate", reverse_run, "--input", shards / "*.txt", "--to", shards)
    assert result.exit_code == 2
    assert "names no file outside of" in result.stderr


def test_what_the_folder_keeps_for_itself_is_no_source(
    whyformer: Program, bulk: Program, reverse_run: Path, shards: Path, tmp_path: Path
):
    bulk()
    (shards / "manifest.json").write_text("0 1 2\n")
    (shards / ".shards").mkdir()
    (shards / ".shards" / "x.txt").write_text("0 1 2\n")
    command = ("translate", reverse_run, "--device", "cpu", "--processes", 1, "--input")
    for _ in range(2):
        # The second time, what was written the first time is there.
        assert "5 files" in whyformer(*command, shards / "**/*", "--to", tmp_path / "all").stdout
    # Translations are sources of others, their manifest is none.
    assert "5 files" in whyformer(*command, tmp_path / "out/**/*", "--to", tmp_path / "back").stdout
    assert (tmp_path / "back" / "c.txt").read_bytes() == b"0 1 2\n4 1 3\n"


def test_a_name_that_is_taken_by_another_file_stays_with_it(
    whyformer: Program, reverse_run: Path, tmp_path: Path
):
    for folder, text in {"one": "0 1 2\n", "two": "4 1 3\n"}.items():
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.txt").write_text(text)
    command = ("translate", reverse_run, "--device", "cpu", "--to", tmp_path / "out", "--input")
    assert whyformer(*command, tmp_path / "one/*").exit_code == 0
    result = whyformer(*command, tmp_path / "two/*")
    assert result.exit_code == 2
    assert f"x.txt: is the translation of {tmp_path / 'one' / 'x.txt'}" in result.stderr
    assert (tmp_path / "out" / "x.txt").read_text() == "2 1 0\n"


@pytest.mark.parametrize("name", ["a[1]", "a*b", "wh?"])
def test_names_with_signs_of_a_pattern_are_found(
    whyformer: Program, reverse_run: Path, tmp_path: Path, name: str
):
    for folder in (name, "a1", "ab", "why"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{name}.txt").write_text("0 1\n")
    for pattern in (f"{name}/*.txt", f"{name}/{name}.txt"):
        to = tmp_path / f"out of {len(pattern)}"
        result = whyformer(
            *("translate", reverse_run, "--device", "cpu", "--to", to, "--input", tmp_path / pattern)
        )
        assert "1 files, 1 lines" in result.stdout, result.stderr
        assert [*manifest(to)["shards"]] == [f"{name}.txt"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        *((["--input", each, "--to", "x"], "is no pattern of files") for each in ("", ".", "/", "a/b**")),
        (["--input", Path(__file__).parent, "--to", "x"], r"is a folder; for the files in it write"),
        (["--input", "x"], "give both"),
        (["--to", "x"], "give both"),
        (["--by", "ray"], "name them by --input and --to"),
        (["--engine", "ray"], "name them by --input and --to"),
        (["--processes", 2], "name them by --input and --to"),
        (["--input", "a.txt", "b.txt", "--to", "x"], "one pattern in quotes"),
        (["--input", "a.txt", "--to", "x", "--output", "y"], "one pattern in quotes"),
        (["--input", "nothing-*.txt", "--to", "x"], "names no file outside of"),
    ],
)
def test_options_that_do_not_go_together(
    whyformer: Program, reverse_run: Path, arguments: list[object], sentence: str
):
    result = whyformer("translate", reverse_run, *arguments)
    assert result.exit_code == 2
    assert sentence in result.stderr


def test_without_ray_one_sentence_names_the_extra(bulk: Program, monkeypatch: pytest.MonkeyPatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "ray" else find_spec(name, *rest)
    )
    for options in (["--by", "ray"], ["--engine", "ray"]):
        result = bulk(*options)
        assert result.exit_code == 2
        assert "pip install 'whyformer[ray]'" in result.stderr
