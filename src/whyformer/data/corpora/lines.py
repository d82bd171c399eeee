"""Lines of text files, plain or gzip-compressed, with the faulty ones pointed at.

Only LF separates lines: ``str.splitlines`` would also break at U+2028, U+0085 and others, which stand
inside sentences of real corpora, and shift all later lines against the other side of a pair.
"""

import codecs
import gzip
import zlib
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from io import BufferedReader
from pathlib import Path
from typing import NamedTuple

from whyformer.data.corpora.detection.encoding import (
    guess_encoding,
    marked_encoding,
    wide_encoding,
)
from whyformer.data.corpora.detection.report import EncodingReport
from whyformer.errors import DataError

_GZIP_MAGIC = b"\x1f\x8b"
UTF8_MARK = b"\xef\xbb\xbf"
"""The byte order mark of UTF-8, which some programs put in front of a file."""
_CHUNK = 1 << 20
_HEAD = 1 << 13
_SAMPLE = 1000


class Reason(StrEnum):
    """Reason for which a line or pair is not used."""

    NOT_UTF8 = "not UTF-8"
    NUL = "a NUL character"
    QUOTES = "text after a closing quote"
    NOT_JSON = "not a JSON object"
    NO_TEXT = "no text under a key"
    TOO_FEW_COLUMNS = "too few columns"
    EMPTY = "empty"
    OVERLONG = "over-long"
    UNEVEN = "uneven lengths"
    REPEATED = "repeated"


class SentencePair(NamedTuple):
    """A sentence and its translation."""

    source: str
    target: str


class Placed(NamedTuple):
    """A sentence pair, and where it stands."""

    pair: SentencePair
    path: Path
    number: int
    """Of its line (of its first, where it has several), counted from 1."""


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


def encoding_of(path: Path) -> EncodingReport:
    """Count the lines of a file that are not UTF-8, and guess what they are.

    Raises:
        DataError: the file is missing, empty, a folder, not readable, or damaged gzip.
    """
    path = path.expanduser()
    try:
        state = path.stat()
    except OSError:
        return _examined(path, 0, 0)  # which says what is wrong
    return _examined(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=64)
def _examined(path: Path, changed: int, size: int) -> EncodingReport:
    """The report, made once as long as the file stays as it is."""
    with opened(path) as file:
        head = file.read(_HEAD)
        decoder, chunk, sound, lines, returns, last = (
            codecs.getincrementaldecoder("utf-8")(),
            head,
            True,
            0,
            0,
            b"",
        )
        guess = marked_encoding(head) or wide_encoding(head)
        if guess is not None:
            return EncodingReport(path, 0, guess=guess)
        while chunk:
            lines, returns, last = lines + chunk.count(b"\n"), returns + chunk.count(b"\r"), chunk
            sound = sound and _goes_on(decoder, chunk)
            chunk = file.read(_CHUNK)
        sound = sound and _goes_on(decoder, b"", final=True)
    if not head:
        raise DataError(f"{path}: this file is empty.")
    if not lines and returns > 1:
        return EncodingReport(path, 0)
    lines += not last.endswith(b"\n")
    return EncodingReport(path, lines) if sound else _counted(path)


def _goes_on(decoder: codecs.IncrementalDecoder, chunk: bytes, *, final: bool = False) -> bool:
    try:
        decoder.decode(chunk, final)
    except UnicodeDecodeError:
        return False
    return True


def _counted(path: Path) -> EncodingReport:
    """The report on a file with some line that is not UTF-8."""
    bad, sample, beyond, number = list[int](), list[bytes](), 0, 0
    with opened(path) as file:
        for number, line in enumerate(file, start=1):
            if line.isascii():
                continue
            try:
                line.decode("utf-8")
                beyond += 1
            except UnicodeDecodeError:
                bad.append(number)
                if len(sample) < _SAMPLE:
                    sample.append(line)
    return EncodingReport(path, number, tuple(bad), beyond, guess_encoding(sample))


def scan_lines(path: Path) -> Iterator[str | BadLine]:
    """Yield each line without its line end (LF or CR LF), or what stands in its place if it cannot be read.

    A byte order mark at the front is dropped. ``~`` in the path is the home folder.

    Raises:
        DataError: the file is missing, empty, a folder, not readable, damaged gzip, or in another encoding
            than UTF-8: more than a few of its lines are not.
    """
    path = path.expanduser()
    if _can_be_read_twice(path) and not (report := encoding_of(path)).is_utf8:
        raise DataError(report.fault)
    number = 0
    with opened(path) as lines:
        for number, line in enumerate(lines, start=1):
            yield _decoded(line, path, number)
    if number == 0:
        raise DataError(f"{path}: this file is empty.")


def _can_be_read_twice(path: Path) -> bool:
    """Whether it is a regular file, and no pipe for instance."""
    try:
        return path.is_file()
    except OSError:
        return False


@contextmanager
def opened(path: Path) -> Generator[BufferedReader | gzip.GzipFile]:
    """The bytes of a file, unpacked; faults in opening and in reading it are one sentence.

    Raises:
        DataError: the file is missing, a folder, not readable, or damaged gzip.
    """
    try:
        with path.open("rb") as file, _unpacked(file, path) as unpacked:
            yield unpacked
    except FileNotFoundError:
        raise DataError(f"{path}: no such file.") from None
    except IsADirectoryError:
        raise DataError(f"{path}: this is a folder, not a text file.") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: damaged gzip file ({error}); get it again.") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from error


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
    path = Path(name)
    for number, line in enumerate(stream, start=1):
        if number == 1:
            guess = marked_encoding(line)
            if guess is not None or (b"\n" not in line and line.count(b"\r") > 1):
                raise DataError(EncodingReport(path, 0, guess=guess, is_stream=True).fault)
        yield _decoded(line, path, number)


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
        if (encoding := marked_encoding(line)) is not None:
            raise DataError(EncodingReport(path, 0, guess=encoding).fault)
        line = line.removeprefix(UTF8_MARK)
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        return BadLine(path, number, Reason.NOT_UTF8)
    return BadLine(path, number, Reason.NUL) if "\0" in text else text
