"""Transcripts of a stream as they grow, for people and for programs."""

import json
import shutil
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from whyformer.tasks.streaming.transcript import Transcript

ChunkOption = Annotated[
    str | None, typer.Option(help="Duration of a chunk, such as 320ms, or full; the recipe's if left out.")
]
LeftOption = Annotated[
    str | None, typer.Option(help="Chunks to the left that a frame sees, or all; the recipe's if left out.")
]

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
    """Words as they come, on standard error; the text of each segment when it is over, on standard output."""

    def __init__(self, rewrites: bool) -> None:
        self._rewrites = rewrites
        self._shown: object = None

    def __call__(self, transcript: "Transcript", source: str) -> None:
        """Show it."""
        said = [word.text for word in transcript.words]
        if transcript.final:
            self._clear()
            if said:
                typer.echo(transcript.text)
            self._shown = None
        elif said and said != self._shown:
            self._tell(_line(transcript))
            self._shown = said

    def _tell(self, line: str) -> None:
        if self._rewrites:
            typer.echo(f"{_REWRITE}{_tail(line)}", err=True, nl=False)
        else:
            typer.echo(line, err=True)

    def _clear(self) -> None:
        if self._rewrites:
            typer.echo(_REWRITE, err=True, nl=False)


def _line(transcript: "Transcript") -> str:
    """Stream time, the words that stay, the sign, those that may change; new ones with their delays."""
    words = [
        f"{word.text} (+{word.shown - word.end:.2f} s)" if word.shown == transcript.heard else word.text
        for word in transcript.words
    ]
    stay, change = words[: transcript.stable], words[transcript.stable :]
    return " ".join([f"{transcript.heard:7.2f} s ", *stay, *(["¦", *change] if change else [])])


def _tail(line: str) -> str:
    """As much of the end of ``line`` as the terminal shows on one line."""
    width = shutil.get_terminal_size().columns - 1
    return line if len(line) <= width else f"… {line[2 - width :]}"
