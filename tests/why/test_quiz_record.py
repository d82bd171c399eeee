"""The record of the quiz: kept by any number of processes, and lost by nothing that happens to its file."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from filelock import FileLock

from whyformer.errors import WhyformerError, WhyformerNote
from whyformer.files import explained
from whyformer.why.quiz import record
from whyformer.why.quiz.record import RecordKeeper, data_folder

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
unix = pytest.mark.skipif(os.name == "nt", reason="no such files on Windows")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "kept"


def answered(folder: Path, *answers: tuple[int, float]) -> RecordKeeper:
    keeper = RecordKeeper(folder).read(to_write=True)
    for number, share in answers:
        keeper.add(number, share, NOW)
    return keeper


def test_the_record_survives_a_restart(folder: Path):
    first = answered(folder, (1, 0.25), (2, 1.0), (1, 1.0))
    again = RecordKeeper(folder).read(to_write=True)
    assert again.is_kept
    assert again.standings == first.standings
    assert again.standings[1].shares == (0.25, 1.0)
    assert (again.standings[1].asked, again.standings[1].box, again.standings[2].box) == (2, 2, 2)
    assert again.standings[1].last == NOW


def test_reading_alone_writes_nothing(folder: Path):
    assert RecordKeeper(folder).read(to_write=False).standings == {}
    assert not folder.exists()


def content(**changes: object) -> bytes:
    """A record of one question, with changes."""
    fields = {"asked": 1, "shares": [0.5], "last": NOW.isoformat(), "box": 1} | changes
    return json.dumps({"kind": "whyformer-quiz", "version": 1, "questions": {"3": fields}}).encode()


def header(kind: object = "whyformer-quiz", version: object = 1, questions: object = None) -> bytes:
    return json.dumps({"kind": kind, "version": version, "questions": questions or {}}).encode()


DAMAGED = {
    "empty": b"",
    "blank": b" \n",
    "truncated": content()[:-9],
    "with rubbish behind": content() + b"x",
    "not UTF-8": content().replace(b"3", b"\xff"),
    "UTF-16": content().decode().encode("utf-16"),
    "zeros": bytes(4096),
    "a list": b"[]",
    "a number": b"1",
    "nested": b"[" * 200_000,
    "no kind": b'{"version": 1, "questions": {}}',
    "of another program": header("other"),
    "questions that are none": header(questions=[1]),
    "a name for a number": header(questions={"x": {}}),
    "question 0": header(questions={"0": json.loads(content())["questions"]["3"]}),
    "an odd version": header(version="1"),
    "a huge version": header(version=10**30),
    "a word for a number": content(asked="1"),
    "never asked": content(asked=0),
    "box 0": content(box=0),
    "box 6": content(box=6),
    "half a box": content(box=1.5),
    "no shares": content(shares=[]),
    "too many shares": content(shares=[0.5] * 21),
    "a share above 1": content(shares=[1.5]),
    "a share below 0": content(shares=[-0.5]),
    "NaN": content(shares=[float("nan")]),
    "infinity": content(shares=[float("inf")]),
    "a time without a zone": content(last="2026-12-01T12:00:00"),
    "no time": content(last="yesterday"),
    "the first year": content(last="0001-01-01T00:00:00+14:00"),
    "the last year": content(last="9999-12-31T23:59:59-14:00"),
    "one field more": content(more=1),
    "too large": content()[:-1] + b" " * 1_000_000 + b"}",
}


def noted(folder: Path, match: str) -> RecordKeeper:
    with pytest.warns(WhyformerNote, match=match):
        return RecordKeeper(folder).read(to_write=True)


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED)
def test_what_cannot_be_read_is_moved_aside_and_a_new_record_begins(damage: bytes, folder: Path):
    folder.mkdir()
    path = folder / "quiz.json"
    path.write_bytes(damage)
    keeper = noted(folder, r"quiz\.json: .+; it was moved to \S+quiz\.aside-1\.json, and a new record begins")
    assert keeper.is_kept
    assert keeper.standings == {}
    assert (folder / "quiz.aside-1.json").read_bytes() == damage
    keeper.add(3, 1.0, NOW)
    assert RecordKeeper(folder).read(to_write=True).standings == keeper.standings
    # Not the first time that it happens.
    path.write_bytes(damage)
    noted(folder, r"quiz\.aside-2\.json")
    assert (
        (folder / "quiz.aside-1.json").read_bytes() == (folder / "quiz.aside-2.json").read_bytes() == damage
    )


@pytest.mark.parametrize("version", [0, 2])
def test_another_version_is_called_so(version: int, folder: Path):
    folder.mkdir()
    (folder / "quiz.json").write_bytes(header(version=version, questions={"new": "things"}))
    noted(folder, rf"written by another version of this program \(format {version}, here 1\); it was moved")


def test_what_is_damaged_while_one_plays_is_moved_too(folder: Path):
    keeper = answered(folder, (1, 1.0))
    (folder / "quiz.json").write_bytes(b"{")
    with pytest.warns(WhyformerNote, match="moved to"):
        keeper.add(2, 1.0, NOW)
    assert [*RecordKeeper(folder).read(to_write=True).standings] == [2]


def make_folder(path: Path) -> None:
    path.mkdir()
    (path / "thing").write_text("kept")


def make_link(path: Path) -> None:
    (path.parent / "elsewhere").write_text("damaged")
    path.symlink_to(path.parent / "elsewhere")


@unix
@pytest.mark.parametrize("make", [make_folder, os.mkfifo, make_link])
def test_what_is_no_file_is_moved_aside(make: Callable[[Path], None], folder: Path):
    folder.mkdir()
    path = folder / "quiz.json"
    make(path)
    kind = path.lstat().st_mode
    noted(folder, "moved to").add(1, 1.0, NOW)
    assert (folder / "quiz.aside-1.json").lstat().st_mode == kind
    assert path.is_file()
    if make is make_folder:
        assert (folder / "quiz.aside-1.json" / "thing").read_text() == "kept"


@unix
def test_a_link_to_where_nothing_is_yet_is_followed(folder: Path, tmp_path: Path):
    folder.mkdir()
    (folder / "quiz.json").symlink_to(tmp_path / "far" / "away.json")
    answered(folder, (1, 1.0))
    assert (folder / "quiz.json").is_symlink()
    assert (tmp_path / "far" / "away.json").is_file()


def test_questions_that_this_version_does_not_have_stay(folder: Path):
    answered(folder, (777, 1.0), (1, 1.0))
    assert [*RecordKeeper(folder).read(to_write=True).standings] == [777, 1]


def test_where_nothing_can_be_kept_it_is_said_once_and_all_goes_on(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    keeper = noted(tmp_path / "file", r"The quiz goes on, and what follows is not recorded\.")
    assert not keeper.is_kept
    assert keeper.add(1, 1.0, NOW).box == 2
    assert keeper.add(1, 1.0, NOW + timedelta(days=1)).box == 3
    assert (tmp_path / "file").read_text() == "in the way"


@unix
def test_what_cannot_be_moved_aside_is_not_overwritten(folder: Path, monkeypatch: pytest.MonkeyPatch):
    folder.mkdir()
    (folder / "quiz.json").write_bytes(b"{")

    def refuse(path: Path, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted", str(path))

    monkeypatch.setattr(Path, "rename", refuse)
    keeper = noted(folder, r"cannot be kept \(Operation not permitted\)\. The quiz goes on")
    keeper.add(1, 1.0, NOW)
    assert (folder / "quiz.json").read_bytes() == b"{"
    with pytest.raises(WhyformerError, match=r"cannot be moved \(Operation not permitted\)"):
        keeper.begin_again()


def test_a_disk_that_is_full_leaves_the_record_as_it_was(folder: Path, monkeypatch: pytest.MonkeyPatch):
    keeper = answered(folder, (1, 1.0))
    before = keeper.path.read_bytes()

    def fill(path: Path, text: str) -> None:
        raise explained(OSError(28, "No space left on device"), path)

    monkeypatch.setattr(record, "write_text", fill)
    with pytest.warns(WhyformerNote, match="the disk is full.*what follows is not recorded"):
        assert keeper.add(2, 0.0, NOW).asked == 1
    assert keeper.add(2, 0.0, NOW).asked == 2
    assert keeper.path.read_bytes() == before


def test_a_process_that_holds_the_record_for_ever_is_told_of(folder: Path, monkeypatch: pytest.MonkeyPatch):
    keeper = answered(folder, (1, 1.0))
    monkeypatch.setattr(record, "_PATIENCE", 0.05)
    with (
        FileLock(folder / ".quiz.lock", is_singleton=False),
        pytest.warns(WhyformerNote, match="another process holds it; end that one"),
    ):
        keeper.add(2, 1.0, NOW)


ADDING = """
from datetime import UTC, datetime
from pathlib import Path
from whyformer.why.quiz.record import RecordKeeper
keeper = RecordKeeper(Path({folder!r})).read(to_write=True)
print("ready", flush=True)
for turn in range({turns}):
    keeper.add({number}, 0.5, datetime.now(UTC))
    keeper.add(9, 0.5, datetime.now(UTC))
"""


def adding(folder: Path, number: int, turns: int) -> "subprocess.Popen[str]":
    code = ADDING.format(folder=str(folder), number=number, turns=turns)
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def test_two_processes_lose_nothing_of_each_other(folder: Path):
    processes = [adding(folder, number, 30) for number in (1, 2)]
    assert [process.communicate()[0] for process in processes] == ["ready\n"] * 2
    standings = RecordKeeper(folder).read(to_write=True).standings
    assert {number: each.asked for number, each in standings.items()} == {1: 30, 2: 30, 9: 60}


def test_a_process_that_is_killed_leaves_a_whole_record(folder: Path):
    process = adding(folder, 1, 100_000)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    while not (folder / "quiz.json").exists():
        time.sleep(0.01)
    time.sleep(0.1)
    process.kill()
    process.communicate()
    keeper = RecordKeeper(folder).read(to_write=True)
    asked = keeper.standings[1].asked
    assert keeper.add(1, 1.0, NOW).asked == asked + 1


def test_a_new_beginning_puts_the_old_record_aside(folder: Path):
    keeper = answered(folder, (1, 1.0))
    before = keeper.path.read_bytes()
    aside = keeper.begin_again()
    assert aside is not None
    assert aside.read_bytes() == before
    assert keeper.read(to_write=True).standings == {}
    assert keeper.begin_again() is None


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"WHYFORMER_DATA": "{}/own", "XDG_DATA_HOME": "{}/xdg"}, "{}/own"),
        ({"WHYFORMER_DATA": "~/own"}, "{}/user/own"),
        ({"XDG_DATA_HOME": "{}/xdg"}, "{}/xdg/whyformer"),
        ({"XDG_DATA_HOME": "relative", "WHYFORMER_DATA": ""}, "{}/user/.local/share/whyformer"),
        ({}, "{}/user/.local/share/whyformer"),
    ],
)
@unix
def test_where_the_record_lies(
    environment: dict[str, str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in ("WHYFORMER_DATA", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", f"{tmp_path}/user")
    for name, value in environment.items():
        monkeypatch.setenv(name, value.format(tmp_path))
    assert data_folder() == Path(expected.format(tmp_path))


def test_without_a_home_one_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch):
    def homeless(path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("WHYFORMER_DATA", raising=False)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setattr(Path, "expanduser", homeless)
    with pytest.raises(WhyformerError, match="name a folder in WHYFORMER_DATA"):
        data_folder()
