"""Transcripts of a stream as they grow, for people and for programs."""

import json
import shutil
from typing import TYPE_CHECKING, Annotated

import typer

from whyformer.language import display_width

if TYPE_CHECKING:
    from whyformer.tasks.streaming.transcript import Transcript

ChunkOption = Annotated[
    str | None, typer.Option(help="Duration of a chunk, such as 320ms, or full; the recipe's if left out.")
]
LeftOption = Annotated[
    str | None, typer.Option(help="Chunks to the left that a frame sees, or all; the recipe's if left out.")
]

_LINE_WIDTH = 120
"""Columns of a line where there is no terminal: a long text is not told again with each of its words."""
_REWRITE = "\r\033[K"
"""Sign to a terminal to write the line anew."""


class TranscriptEvents:
    """A JSON object for each transcript that says something new."""

    def __init__(self) -> None:
        self._last: object = None

    def __call__(
        self, transcript: "Transcript", source: str, labels: list[dict[str, object]] | None = None
    ) -> None:
        """Print it, and the ``labels`` of chunks where the stream has some."""
        said = (transcript.words, transcript.stable, transcript.segment, transcript.final)
        if said != self._last or labels:
            self._last = said
            record = {"source": source, **transcript.record()}
            if labels is not None:
                record["labels"] = labels
            typer.echo(json.dumps(record, ensure_ascii=False))


class ShownTranscripts:
    """Words as they come, on standard error; the text of each segment when it is over, on standard output.

    Args:
        rewrites: whether standard error is a terminal, whose line is written anew; else each is a line.
        named: whether the name of the source stands before each text, as there are several.
    """

    def __init__(self, rewrites: bool, *, named: bool = False) -> None:
        self._rewrites = rewrites
        self._named = named
        self._shown: object = None

    def __call__(self, transcript: "Transcript", source: str) -> None:
        """Show it."""
        said = [word.text for word in transcript.words]
        if transcript.final:
            self._clear()
            if said:
                typer.echo(f"{source}: {transcript.text}" if self._named else transcript.text)
            self._shown = None
        elif said and said != self._shown:
            self._tell(transcript)
            self._shown = said

    def _tell(self, transcript: "Transcript") -> None:
        if self._rewrites:
            line = _line(transcript, shutil.get_terminal_size().columns - 1)
            typer.echo(f"{_REWRITE}{line}", err=True, nl=False)
        else:
            typer.echo(_line(transcript, _LINE_WIDTH), err=True)

    def _clear(self) -> None:
        if self._rewrites:
            typer.echo(_REWRITE, err=True, nl=False)


def _line(transcript: "Transcript", width: int) -> str:
    """Stream time, and as many of the last words as fit: those that stay, the sign, those that may change.

    New ones have their delays.
    """
    words = [
        f"{word.text} (+{word.shown - word.end:.2f} s)" if word.shown == transcript.heard else word.text
        for word in transcript.words
    ]
    stay, change = words[: transcript.stable], words[transcript.stable :]
    head, said = f"{transcript.heard:7.2f} s  ", " ".join([*stay, *(["¦", *change] if change else [])])
    room = width - len(head)
    return head + (said if display_width(said) <= room else f"… {_tail(said, room - 2)}")


def _tail(text: str, room: int) -> str:
    """The end of ``text`` that takes so many columns."""
    taken = len(text)
    while taken and display_width(text[taken - 1]) <= room:
        taken -= 1
        room -= display_width(text[taken])
    return text[taken:]
