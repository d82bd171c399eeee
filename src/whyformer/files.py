"""Files that are either wholly written or not there at all."""

import errno
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from whyformer.errors import WhyformerError


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` fill a temporary file beside ``path``, flush it to disk, then rename it into place.

    A reader (or a run that was killed half-way) sees the old file or the new one, never a part.

    Raises:
        WhyformerError: the disk is full or the folder cannot be written to; ``path`` is untouched.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        # Windows flushes only what may be written to.
        with temporary.open("r+b") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
    except OSError as error:
        raise explained(error, path) from error
    finally:
        # Gone already if all went well; and where the folder is no folder, there is nothing to remove.
        with suppress(OSError):
            temporary.unlink()


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


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8 with LF line ends, atomically."""
    write_atomically(path, lambda temporary: _write_bytes(temporary, text.encode("utf-8")))


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data``, atomically."""
    write_atomically(path, lambda temporary: _write_bytes(temporary, data))


def _write_bytes(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def explained(error: OSError, path: Path) -> WhyformerError:
    """The error met in writing ``path``, as a sentence for the user."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return WhyformerError(f"{path}: the disk is full; free some space and run the command again.")
    return WhyformerError(f"{path}: cannot be written ({error.strerror}); choose another folder.")
