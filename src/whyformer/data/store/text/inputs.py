"""Text files as streams of blocks, in bounded memory, whatever their size.

Lines end at LF, CR LF or CR, as in Python's text mode, and nowhere else: U+2028, U+0085 and form feeds stand
inside of sentences of real corpora. No reader of tables ever sees a sentence.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from whyformer.data.corpora.detection.encoding import marked_encoding, wide_encoding
from whyformer.data.corpora.detection.report import EncodingReport
from whyformer.data.corpora.lines import UTF8_MARK, opened
from whyformer.errors import DataError

ExampleKind = Literal["pairs", "lines", "documents"]
"""Lines side by side, each line by itself, or the lines between blank ones."""

_CHUNK = 1 << 20
_HEAD = 1 << 13
_PACKED = 3
"""Bytes of text for each byte of it that gzip has written, roughly."""
_LONGEST = 1 << 26
"""Bytes of a line or document from which on it is none: memory is bounded by it."""


class TextBlock(NamedTuple):
    """Examples that follow one another in a file, or in files side by side."""

    name: str
    """Of the file, for messages."""
    first: int
    """Number of the first of them in its file, from 1."""
    columns: tuple[list[bytes], ...]
    """Their texts, a list for each side, all of one length; as bytes, which may not be UTF-8."""


class ExampleInputs(Protocol):
    """Examples that can be gone over several times, in one order."""

    @property
    def kind(self) -> ExampleKind:
        """Kind of the examples."""
        ...

    @property
    def sides(self) -> tuple[tuple[Path, ...], ...]:
        """The files of each side, for messages."""
        ...

    @property
    def megabytes(self) -> int:
        """Text in them, roughly."""
        ...

    def blocks(self, rows: int) -> Iterator[TextBlock]:
        """All examples in order, ``rows`` at a time; a block may be shorter."""
        ...


@dataclass(frozen=True)
class TextInputs:
    """Text files, plain or gzip-compressed, and what an example of them is."""

    kind: ExampleKind
    sides: tuple[tuple[Path, ...], ...]
    """The files of each side, in order; line i of a file translates line i of the file beside it."""

    def __post_init__(self) -> None:
        counts = [len(files) for files in self.sides]
        if len(set(counts)) != 1:
            raise DataError(
                f"{counts[0]} files of sources but {counts[1]} of translations; name one for each of the "
                "other."
            )
        for path in (path for files in self.sides for path in files):
            if path.exists() and not (path.is_file() or path.is_dir()):
                raise DataError(f"{path}: is read twice, which a pipe cannot be; write it into a file.")

    @property
    def megabytes(self) -> int:
        """Text in them, roughly where they are packed."""
        sizes = (
            path.stat().st_size * (_PACKED if path.suffix == ".gz" else 1)
            for files in self.sides
            for path in files
            if path.is_file()
        )
        return sum(sizes) >> 20

    def blocks(self, rows: int) -> Iterator[TextBlock]:
        """All examples in order, ``rows`` at a time; the last block of a file may be shorter.

        Raises:
            DataError: a file is missing, empty, damaged or not UTF-8; a line is endless; or files side by
                side have different numbers of lines.
        """
        for paths in zip(*self.sides, strict=True):
            columns = [_cut(self._texts(path), rows) for path in paths]
            counts, fill = [0] * len(paths), list[bytes]()
            for parts in zip_longest(*columns, fillvalue=fill):
                first, sizes = counts[0] + 1, [len(part) for part in parts]
                counts = [count + size for count, size in zip(counts, sizes, strict=True)]
                if len(set(sizes)) == 1:
                    yield TextBlock(str(paths[0]), first, tuple(parts))
            if len(set(counts)) > 1:
                raise DataError(
                    f"{paths[0]} has {counts[0]:,} lines but {paths[1]} has {counts[1]:,}; line i of one "
                    "must be the translation of line i of the other."
                )

    def _texts(self, path: Path) -> Iterator[list[bytes]]:
        lines = text_lines(path)
        return _documents(lines, path) if self.kind == "documents" else lines


def text_lines(path: Path) -> Iterator[list[bytes]]:
    """The lines of a file without their ends, many at a time; a byte order mark at the front is dropped.

    Raises:
        DataError: the file is missing, empty, damaged or in a wide encoding, or a line is endless.
    """
    rest, number, is_first = b"", 0, True
    with opened(path.expanduser()) as file:
        while chunk := file.read(_CHUNK):
            if is_first:
                if guess := marked_encoding(chunk) or wide_encoding(chunk[:_HEAD]):
                    raise DataError(EncodingReport(path, 0, guess=guess).fault)
                chunk, is_first = chunk.removeprefix(UTF8_MARK), False
            data = rest + chunk
            # A CR at the very end may be half of a CR LF.
            end = 1 + max(data.rfind(b"\n"), data.rfind(b"\r", 0, len(data) - 1))
            if end:
                # Of bytes, unlike of text, this ends lines at LF, CR LF and CR alone.
                lines = data[:end].splitlines()
                number += len(lines)
                yield lines
            rest = data[end:]
            if len(rest) > _LONGEST:
                raise DataError(
                    f"{path}:{number + 1}: this line has more than {_LONGEST >> 20} MiB, so this is no text "
                    "of lines; give it line ends."
                )
    if is_first:
        raise DataError(f"{path}: this file is empty.")
    if rest:
        yield rest.splitlines()


def _documents(parts: Iterator[list[bytes]], path: Path) -> Iterator[list[bytes]]:
    """The lines between blank ones, joined by LF, many at a time."""
    document, size = list[bytes](), 0
    for lines in parts:
        found = list[bytes]()
        for line in lines:
            if _is_blank(line):
                if document:
                    found.append(b"\n".join(document))
                document, size = [], 0
                continue
            document.append(line)
            size += len(line) + 1
            if size > _LONGEST:
                raise DataError(
                    f"{path}: a document has more than {_LONGEST >> 20} MiB; put blank lines between "
                    "documents, or build with --split lines, where each line is one."
                )
        yield found
    if document:
        yield [b"\n".join(document)]


def _is_blank(line: bytes) -> bool:
    # White space beyond ASCII counts, too, as where texts are read into memory.
    return not line.strip() or (not line.isascii() and not line.decode(errors="replace").strip())


def _cut(parts: Iterator[list[bytes]], rows: int) -> Iterator[list[bytes]]:
    """The same items in lists of ``rows``; the last may be shorter."""
    waiting = list[bytes]()
    for part in parts:
        waiting += part
        while len(waiting) >= rows:
            yield waiting[:rows]
            waiting = waiting[rows:]
    if waiting:
        yield waiting
