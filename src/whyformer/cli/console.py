"""Console: what verbs say to people, in their language.

Its streams may be closed, full, or of an encoding that lacks most characters.
"""

import codecs
import io
import os
import signal
import sys
import unicodedata
from typing import TextIO

import typer
from typing_extensions import Buffer, override

from whyformer.errors import DataError, WhyformerError
from whyformer.language import current_language, translated

_ASCII = "meant_ascii"
# What people read instead of signs that their console lacks.
_SPELLED = {
    "×": "x",
    "·": ".",
    "≥": ">=",
    "≤": "<=",
    "→": "->",
    "…": "...",
    "–": "-",
    "—": "-",
    "−": "-",
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
    "√": "sqrt ",
    "Δ": "delta",
    "▁": "_",
    "²": "2",
    "¦": "|",
    "✓": "v",
    "✗": "x",
}


def say(text: str = "") -> None:
    """Print what is meant for people, in their language; data and records go by ``typer.echo``."""
    typer.echo(translated(text))


def tell(text: str) -> None:
    """Print beside the results, on standard error, in the user's language."""
    typer.echo(translated(text), err=True)


def say_labelled(label: str, text: str) -> None:
    """Print ``label: text``, both in the user's language."""
    typer.echo(_labelled(label, text))


def tell_labelled(label: str, text: str) -> None:
    """Print ``label: text`` on standard error, both in the user's language."""
    typer.echo(_labelled(label, text), err=True)


def _labelled(label: str, text: str) -> str:
    colon = ": " if current_language() == "en" else "："
    return f"{translated(label)}{colon}{translated(text)}"


class ClosedPipeError(Exception):
    """The reader of an output has closed it (``| head``), which is its right; the program ends quietly."""

    def __init__(self, number: int) -> None:
        # Of results the reader had enough; of what is told besides, the work is not done yet.
        self.status = 0 if number == 1 else 128 + signal.SIGPIPE
        super().__init__()


def prepare_streams() -> None:
    """Make the three standard streams fit for use, however the shell has left them.

    A closed one keeps its number from being given to the next file that is opened. Characters that a console
    lacks are spelled out. Where standard output is no terminal and nobody has asked for an encoding, it is
    UTF-8, as all text that is read.
    """
    codecs.register_error("spelled", _spelled)
    codecs.register(_ascii)
    stdin, stdout, stderr = _stream(sys.stdin), _stream(sys.stdout), _stream(sys.stderr)
    for number, flags in enumerate((os.O_WRONLY, os.O_RDONLY, os.O_WRONLY)):
        _reserve(number, flags)
    if stdin is None:
        sys.stdin = io.TextIOWrapper(io.BufferedReader(_ClosedInput()), encoding="utf-8")
    is_free = stdout is None or not (os.environ.get("PYTHONIOENCODING") or stdout.isatty())
    sys.stdout = _text(_Output(1, stdout), "utf-8" if stdout is None or is_free else stdout.encoding)
    sys.stderr = _text(_Output(2, stderr), "utf-8" if stderr is None else stderr.encoding)


def can_show(text: str) -> bool:
    """Whether both outputs have all the characters of ``text``."""
    try:
        for stream in (sys.stdout, sys.stderr):
            text.encode(stream.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _stream(stream: TextIO | None) -> TextIO | None:
    """A standard stream as it is: Python has None where the shell has closed it."""
    return stream


def _text(raw: "_Output", encoding: str) -> io.TextIOWrapper:
    if codecs.lookup(encoding).name == "ascii":
        encoding = _ASCII
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding=encoding, errors="spelled", line_buffering=raw.isatty()
    )


def _ascii(name: str) -> codecs.CodecInfo | None:
    """The codec ASCII by another name: of ASCII typer thinks that nobody means it, and writes UTF-8."""
    if name != _ASCII:
        return None
    known = codecs.lookup("ascii")
    return codecs.CodecInfo(
        known.encode,
        known.decode,
        known.streamreader,
        known.streamwriter,
        known.incrementalencoder,
        known.incrementaldecoder,
        _ASCII,
    )


def _reserve(number: int, flags: int) -> None:
    """Open something without effect under the number of a stream that is closed."""
    try:
        os.fstat(number)
    except OSError:
        os.open(os.devnull, flags)


class _ClosedInput(io.RawIOBase):
    """Standard input that is closed: whoever reads it hears what to do."""

    @override
    def readable(self) -> bool:
        return True

    def readinto(self, _: object) -> int:
        raise DataError("standard input is closed; give the texts as arguments, or a file.")


class _Output(io.RawIOBase):
    """Standard output, whose faults are sentences, or standard error, whose faults nobody could hear of."""

    def __init__(self, number: int, stream: TextIO | None) -> None:
        self._number = number
        self._is_given_up = False
        buffer = None if stream is None else stream.buffer
        self._raw = buffer.raw if isinstance(buffer, io.BufferedWriter) else buffer

    @override
    def writable(self) -> bool:
        return True

    @override
    def fileno(self) -> int:
        return self._number

    @override
    def isatty(self) -> bool:
        return self._raw is not None and self._raw.isatty()

    @override
    def write(self, data: "Buffer", /) -> int | None:
        size = memoryview(data).nbytes
        if self._is_given_up:
            return size
        try:
            if self._raw is not None:
                return self._raw.write(data)
            fault = WhyformerError("standard output is closed; nothing can be printed.")
        except BrokenPipeError:
            fault = ClosedPipeError(self._number)
        except OSError as error:
            fault = WhyformerError(f"standard output: cannot be written ({error.strerror}).")
        # The interpreter would try once more at its end.
        self._is_given_up = True
        if self._number == 1 or isinstance(fault, ClosedPipeError):
            raise fault
        return size


def _spelled(error: UnicodeError) -> tuple[str, int]:
    """Spell characters that the console lacks: by similar ones in text, by their numbers in JSON.

    What is written is one whole text, so that its first character tells JSON, where nothing may be replaced.
    """
    assert isinstance(error, UnicodeEncodeError), "it is a handler for writing"
    is_json = error.object.lstrip()[:1] in ("{", "[", '"')
    lacking = error.object[error.start : error.end]
    return "".join(map(_numbered if is_json else _similar, lacking)), error.end


def _similar(character: str) -> str:
    if character in _SPELLED:
        return _SPELLED[character]
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return plain or _numbered(character)


def _numbered(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at] << 8 | units[at + 1]:04x}" for at in range(0, len(units), 2))
