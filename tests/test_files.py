"""Files: written whole, through links, with their rights, and never in place of a pipe or a device."""

import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from whyformer import files
from whyformer.errors import WhyformerError
from whyformer.files import write_atomically, write_bytes, write_text

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no pipes with names, no modes")


def _by_text(path: Path) -> None:
    write_text(path, "one\ntwo\n")


def _by_bytes(path: Path) -> None:
    write_bytes(path, b"one\ntwo\n")


def _by_function(path: Path) -> None:
    def write(temporary: Path) -> None:
        temporary.write_bytes(b"one\ntwo\n")

    write_atomically(path, write)


WRITERS = pytest.mark.parametrize("write", [_by_text, _by_bytes, _by_function])


def _alone(folder: Path, *names: str) -> bool:
    """Whether nothing but ``names`` lies in ``folder``."""
    return {path.name for path in folder.iterdir()} == {*names}


@WRITERS
def test_a_file_keeps_its_mode(write: Callable[[Path], None], tmp_path: Path):
    for mode in (0o600, 0o640, 0o664, 0o755, 0o444):
        path = tmp_path / "out"
        path.write_text("old")
        path.chmod(mode)
        write(path)
        assert path.read_text() == "one\ntwo\n"
        assert stat.S_IMODE(path.stat().st_mode) == mode
        path.unlink()
    assert _alone(tmp_path)


def test_a_new_file_has_the_mode_that_every_new_file_has(tmp_path: Path):
    write_text(tmp_path / "ours", "")
    (tmp_path / "theirs").touch()
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "theirs").stat().st_mode


def test_a_file_keeps_its_owner(tmp_path: Path):
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    path = tmp_path / "out"
    path.write_text("old")
    os.chown(path, 4711, 4712)
    path.chmod(0o640)
    write_text(path, "new")
    status = path.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (4711, 4712, 0o640)


def test_where_an_owner_cannot_be_kept_the_text_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        raise PermissionError

    path = tmp_path / "out"
    path.write_text("old")
    other = os.stat_result((path.stat().st_mode, 1, 1, 1, 4711, 4712, 0, 0, 0, 0))
    monkeypatch.setattr(files, "_status", lambda _path: other)
    monkeypatch.setattr(os, "chown", refuse)
    write_text(path, "new")
    assert path.read_text() == "new"


@WRITERS
@pytest.mark.parametrize("way", ["relative", "absolute", "twice", "folder"])
def test_a_link_stays_one_and_its_file_is_written(write: Callable[[Path], None], way: str, tmp_path: Path):
    (tmp_path / "there").mkdir()
    (tmp_path / "here").mkdir()
    file, link = tmp_path / "there" / "file", tmp_path / "here" / "link"
    file.write_text("old")
    file.chmod(0o604)
    match way:
        case "relative":
            link.symlink_to("../there/file")
        case "absolute":
            link.symlink_to(file)
        case "twice":
            (tmp_path / "here" / "next").symlink_to("../there/file")
            link.symlink_to("next")
        case _:
            (tmp_path / "here" / "folder").symlink_to("../there")
            link.symlink_to("folder/file")
    write(link)
    assert link.is_symlink()
    assert not file.is_symlink()
    assert file.read_text() == link.read_text() == "one\ntwo\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o604
    assert _alone(tmp_path / "there", "file")


def test_a_link_to_nothing_gets_its_file(tmp_path: Path):
    (tmp_path / "link").symlink_to("file")
    write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "new"


def test_a_circle_of_links_is_refused_and_stays(tmp_path: Path):
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    with pytest.raises(WhyformerError, match="one: cannot be written"):
        write_text(tmp_path / "one", "new")
    assert (tmp_path / "one").is_symlink()
    assert (tmp_path / "two").is_symlink()


@WRITERS
@pytest.mark.parametrize("linked", [False, True])
def test_a_pipe_with_a_name_is_written_into(write: Callable[[Path], None], linked: bool, tmp_path: Path):
    pipe = path = tmp_path / "pipe"
    os.mkfifo(pipe)
    if linked:
        path = tmp_path / "link"
        path.symlink_to("pipe")
    read = list[str]()
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()), daemon=True)
    reader.start()
    write(path)
    reader.join(30)
    assert read == ["one\ntwo\n"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert path.is_symlink() == linked


def test_nothing_reaches_a_pipe_if_writing_fails(tmp_path: Path):
    def write(temporary: Path) -> None:
        temporary.write_text("half")
        raise WhyformerError("no more")

    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    # Open for both, as a pipe may be, so that nobody waits.
    both = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    with pytest.raises(WhyformerError, match="no more"):
        write_atomically(pipe, write)
    with pytest.raises(BlockingIOError):
        os.read(both, 1)
    os.close(both)


@pytest.mark.parametrize("kind", [stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK])
def test_a_device_is_never_replaced(kind: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    # A file that says of itself that it is a device.
    path = tmp_path / "device"
    path.write_text("....................")
    number = path.stat().st_ino
    told = os.stat_result((kind | 0o666, number, 1, 1, 0, 0, 0, 0, 0, 0))
    monkeypatch.setattr(files, "_status", lambda _path: told)
    write_text(path, "new")
    assert path.stat().st_ino == number
    assert path.read_text() == "new................."
    assert _alone(tmp_path, "device")


_SCRIPT = """
import os, sys
from pathlib import Path
from whyformer.files import write_text
os.write(int(sys.argv[2]), b"before ")
write_text(Path(sys.argv[1]), "text ")
os.write(int(sys.argv[2]), b"after")
"""


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "link"])
def test_an_open_file_is_written_on(name: str, tmp_path: Path):
    if not Path("/dev/stdout").is_symlink() or (name.startswith("/proc") and not Path("/proc/self").exists()):
        pytest.skip("this system has no such name")
    if name == "link":
        (tmp_path / name).symlink_to("/dev/stdout")
    command = [sys.executable, "-c", _SCRIPT, name, "1"]
    piped = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (piped.returncode, piped.stdout, piped.stderr) == (0, "before text after", "")
    file = tmp_path / "redirected"
    file.write_text("older ")
    with file.open("ab") as out:
        subprocess.run(command, stdout=out, check=True, cwd=tmp_path)
    assert file.read_text() == "older before text after"
    assert Path("/dev/stdout").is_symlink()


def test_a_reader_that_went_away_is_named(tmp_path: Path):
    reading, writing = os.pipe()
    os.close(reading)
    try:
        with pytest.raises(WhyformerError, match="was closed by its reader"):
            write_text(Path(f"/dev/fd/{writing}"), "text")
    finally:
        os.close(writing)


@pytest.mark.parametrize("place", ["folder", "file/below"])
def test_what_is_in_the_way_stays(place: str, tmp_path: Path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("old")
    with pytest.raises(WhyformerError, match="cannot be written"):
        write_text(tmp_path / place, "new")
    assert (tmp_path / "folder").is_dir()
    assert (tmp_path / "file").read_text() == "old"
    assert _alone(tmp_path, "folder", "file")
