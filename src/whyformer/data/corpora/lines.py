"""Lines of text files, plain or gzip-compressed, with the faulty ones pointed at.

Only LF separates lines: ``str.splitlines`` would also break at U+2028, U+0085 and others, which stand
inside sentences of real corpora, and shift all later lines against the other side of a pair.
"""

import gzip
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from io import BufferedReader
from pathlib import Path
from typing import NamedTuple

from whyformer.errors import DataError

_GZIP_MAGIC = b"\x1f\x8b"
_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


class Reason(StrEnum):
    """Reason for which a line or pair is not used."""

    NOT_UTF8 = "not UTF-8"
    TOO_FEW_COLUMNS = "too few columns"
    EMPTY = "empty"
    OVERLONG = "over-long"
    UNEVEN = "uneven lengths"
    REPEATED = "repeated"


class SentencePair(NamedTuple):
    """A sentence and its translation."""

    source: str
    target: str


@dataclass(frozen=True)
class BadLine:
    """A line that cannot be read, and where it stands."""

    path: Path
    number: int
    """Counted from 1."""
    reason: Reason

    def __str__(self) -> str:
        return f"{self.path}:{self.number}"

    def error(self) -> DataError:
        """Say it as an error, for files of which every line counts."""
        return DataError(f"{self}: {self.reason}; correct this line.")


def scan_lines(path: Path) -> Iterator[str | BadLine]:
    """Yield each line without its line end (LF or CR LF), or what stands in its place if it is not UTF-8.

    A byte order mark at the front is dropped. ``~`` in the path is the home folder.

    Raises:
        DataError: the file is missing, empty, a folder, not readable, UTF-16, or damaged gzip.
    """
    path = path.expanduser()
    try:
        with path.open("rb") as file, _unpacked(file, path) as lines:
            number = 0
            for number, line in enumerate(lines, start=1):
                yield _decoded(line, path, number)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file.") from None
    except IsADirectoryError:
        raise DataError(f"{path}: this is a folder, not a text file.") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: damaged gzip file ({error}); get it again.") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from error
    if number == 0:
        raise DataError(f"{path}: this file is empty.")


def read_lines(path: Path) -> list[str]:
    """Read every line of a file.

    Raises:
        DataError: as :func:`scan_lines`, and for the first line that is not UTF-8.
    """
    lines: list[str] = []
    for line in scan_lines(path):
        if isinstance(line, BadLine):
            raise line.error()
        lines.append(line)
    return lines


def read_sound_lines(path: Path) -> tuple[list[str], list[BadLine]]:
    """Read the lines that are UTF-8, and tell which are not; for training text.

    Raises:
        DataError: as :func:`scan_lines`.
    """
    sound: list[str] = []
    bad: list[BadLine] = []
    for line in scan_lines(path):
        if isinstance(line, BadLine):
            bad.append(line)
        else:
            sound.append(line)
    return sound, bad


def read_stream(stream: Iterable[bytes], name: str) -> Iterator[str]:
    """Yield the lines of an open stream, such as standard input, one by one as they arrive.

    Raises:
        DataError: a line is not UTF-8; ``name`` says where.
    """
    for text in scan_stream(stream, name):
        if isinstance(text, BadLine):
            raise text.error()
        yield text


def scan_stream(stream: Iterable[bytes], name: str) -> Iterator[str | BadLine]:
    """Yield the lines of an open stream as they arrive, and a ``BadLine`` for one that is not UTF-8."""
    for number, line in enumerate(stream, start=1):
        yield _decoded(line, Path(name), number)


def _unpacked(file: BufferedReader, path: Path) -> BufferedReader | gzip.GzipFile:
    head = file.peek(len(_GZIP_MAGIC))
    if head.startswith(_GZIP_MAGIC):
        return gzip.open(file)
    if head and path.suffix == ".gz":
        raise DataError(f"{path}: named .gz but not gzip-compressed; compress it or take the ending off.")
    return file


def _decoded(line: bytes, path: Path, number: int) -> str | BadLine:
    line = line.removesuffix(b"\n").removesuffix(b"\r")
    if number == 1:
        if line.startswith(_UTF16_MARKS):
            raise DataError(f"{path}: this is UTF-16; save it as UTF-8.")
        line = line.removeprefix(_UTF8_MARK)
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return BadLine(path, number, Reason.NOT_UTF8)
