"""Files that are either wholly written or not there at all; what is no file is never replaced."""

import errno
import hashlib
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from whyformer.errors import WhyformerError

_LINKS = 40
"""Links that are followed, as by the system; longer chains are circles."""


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` fill a temporary file, flush it to disk, then rename it into place.

    A reader (or a run that was killed half-way) sees the old file or the new one, never a part. A link stays
    one, and the file that it leads to is replaced; the new file has mode and owner of the old one. Nothing
    but a file is ever replaced: into a pipe, a device or an open file such as /dev/stdout the whole is
    written once it is there.

    Raises:
        WhyformerError: the disk is full or the folder cannot be written to; ``path`` is untouched.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _own_descriptor(path)
        status = _status(path) if descriptor is None else None
        if descriptor is not None or (status is not None and not _is_replaceable(status)):
            _write_through(path, descriptor, write)
        else:
            _replace(Path(os.path.realpath(path)), status, write)
    except OSError as error:
        raise explained(error, path) from error


def _status(path: Path) -> os.stat_result | None:
    """Kind, mode and owner of what ``path`` leads to; None where nothing is."""
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _is_replaceable(status: os.stat_result) -> bool:
    """Whether it is a file; a folder counts as one, as the attempt to replace it says what is wrong."""
    return stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)


def _own_descriptor(path: Path) -> int | None:
    """The open file of this process that ``path`` stands for, if it does, as /dev/stdout and /dev/fd/3 do."""
    for _ in range(_LINKS):
        path = Path(os.path.realpath(path.parent)) / path.name
        folder = path.parent.as_posix()
        if folder in ("/dev/fd", f"/proc/{os.getpid()}/fd") and path.name.isdecimal():
            return int(path.name)
        if not path.is_symlink():
            return None
        path = path.parent / path.readlink()
    return None


def _replace(path: Path, old: os.stat_result | None, write: Callable[[Path], None]) -> None:
    """Put a new file in place of the ``old`` one at ``path``, if there is one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        # Windows flushes only what may be written to.
        with temporary.open("r+b") as handle:
            os.fsync(handle.fileno())
        if old is not None:
            _give_rights(temporary, old)
        temporary.replace(path)
    finally:
        # Gone already if all went well; and where the folder is no folder, there is nothing to remove.
        with suppress(OSError):
            temporary.unlink()


def _give_rights(path: Path, old: os.stat_result) -> None:
    """Give ``path`` mode and owner of the ``old`` file, as far as this user may; a folder's owner decides."""
    if sys.platform != "win32":
        new = path.stat()
        if new.st_gid != old.st_gid:
            with suppress(PermissionError):
                os.chown(path, -1, old.st_gid)
        if new.st_uid != old.st_uid:
            with suppress(PermissionError):
                os.chown(path, old.st_uid, -1)
        # Last, as a change of owner takes rights away.
        with suppress(PermissionError):
            path.chmod(stat.S_IMODE(old.st_mode))


def _write_through(path: Path, descriptor: int | None, write: Callable[[Path], None]) -> None:
    """Write the whole into the pipe, device or open file at ``path``, which stays what it is."""
    with tempfile.TemporaryDirectory() as folder:
        temporary = Path(folder) / "whole"
        write(temporary)
        # No flag that would make a file, should the pipe be gone by now.
        opened = os.open(path, os.O_WRONLY) if descriptor is None else os.dup(descriptor)
        with temporary.open("rb") as whole, os.fdopen(opened, "wb") as out:
            shutil.copyfileobj(whole, out)


def check_writable(folder: Path) -> None:
    """Find out whether a file can be written in ``folder``, which need not exist yet; nothing stays there.

    Raises:
        WhyformerError: something else is in the way, the folder is read-only, or the disk is full.
    """
    try:
        present = folder.absolute()
        while not present.exists():
            present = present.parent
        if not present.is_dir():
            raise WhyformerError(f"{folder}: cannot be made, as {present} is a file; choose another folder.")
        # Rights alone do not tell: a disk may be full or mounted to be read.
        with tempfile.TemporaryFile(dir=present) as file:
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise explained(error, folder) from error


def make_folder(folder: Path) -> list[Path]:
    """Make ``folder`` and those that it lies in; those that were not there come back, the innermost first.

    Raises:
        OSError: it cannot be made.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return missing


def remove_empty(folders: Iterable[Path]) -> None:
    """Remove ``folders``, the innermost first; one that holds something stays."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def write_folder(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write files by name into ``folder``, all of them or none; others that are there stay as they are.

    All are written beside it first, as a full disk or a kill comes while something is written, not while it
    is renamed.

    Raises:
        WhyformerError: see ``write_atomically``.
    """
    check_writable(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".", suffix=".tmp") as place:
            for name, data in contents.items():
                with (Path(place) / name).open("xb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
            for name in contents:
                (Path(place) / name).replace(folder / name)
    except OSError as error:
        raise explained(error, folder) from error


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8 with LF line ends; see ``write_atomically``."""
    write_atomically(path, lambda temporary: _write_bytes(temporary, text.encode("utf-8")))


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data``; see ``write_atomically``."""
    write_atomically(path, lambda temporary: _write_bytes(temporary, data))


def _write_bytes(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, as 64 hexadecimal digits.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def explained(error: OSError, path: Path) -> WhyformerError:
    """The error met in writing ``path``, as a sentence for the user."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return WhyformerError(f"{path}: the disk is full; free some space and run the command again.")
    if error.errno == errno.EPIPE:
        return WhyformerError(f"{path}: was closed by its reader before all was written.")
    return WhyformerError(f"{path}: cannot be written ({error.strerror}); choose another folder.")
