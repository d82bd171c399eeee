"""``whyformer listen``: sound in, words out as they are recognised."""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from whyformer.cli.console import say, tell
from whyformer.cli.options import DeviceOption, RunArgument, ThreadsOption, WeightsOption, open_as
from whyformer.errors import DataError

if TYPE_CHECKING:
    from whyformer.data.audio.files import AudioSource
    from whyformer.tasks.speech.listener import ListeningSession
    from whyformer.tasks.streaming.transcript import Transcript

ChunkOption = Annotated[
    str | None, typer.Option(help="Duration of a chunk, such as 320ms, or full; the recipe's if left out.")
]
LeftOption = Annotated[
    str | None, typer.Option(help="Chunks to the left that a frame sees, or all; the recipe's if left out.")
]


_REWRITE = "\r\033[K"
"""Sign to a terminal to write the line anew."""


def listen(
    run: RunArgument,
    file: Annotated[
        list[Path] | None, typer.Argument(help="Sound files; - is standard input (WAV, or raw with --rate).")
    ] = None,
    microphone: Annotated[bool, typer.Option("--microphone", help="Listen to the microphone.")] = False,
    chunk: ChunkOption = None,
    left: LeftOption = None,
    rate: Annotated[
        int | None, typer.Option(min=1, help="Samples a second of raw sound, or of the microphone.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON object for each chunk that brings something new.")
    ] = False,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    weights: WeightsOption = None,
) -> None:
    """Recognise speech, from files, standard input or the microphone.

    Words are shown as they are recognised: those that can still change stand behind the sign ¦, and each new
    word has the time from its end until it was shown. In the end the words are printed, a line a segment.
    """
    from whyformer.data.audio.files import open_audio
    from whyformer.data.audio.microphone import open_microphone
    from whyformer.runs.execution import Execution
    from whyformer.tasks.speech.listener import Listener

    sources = [str(path) for path in file or ()]
    if microphone == bool(sources):
        raise DataError("name sound files, or - for standard input, or give --microphone.")
    listener = open_as(Listener, run, Execution(device, threads), weights)
    settings = listener.settings.with_chunks(chunk, left)
    show = _Events() if as_json else _Words(sys.stderr.isatty())
    sounds = [open_audio(source, rate) for source in sources]
    if microphone:
        sounds.append(open_microphone(rate or listener.features.rate))
        tell("listening; end with Ctrl-C")
    for sound in sounds:
        session = listener.open(sound.rate, settings=settings, name=sound.name)
        for transcript in _transcripts(session, sound):
            show(transcript, sound.name)


def _transcripts(session: "ListeningSession", sound: "AudioSource") -> "Iterator[Transcript]":
    """What is understood of ``sound`` as it comes; Ctrl-C ends it, and what was heard is still told."""
    try:
        for block in sound.blocks():
            yield from session.events(block)
    except KeyboardInterrupt:
        pass
    yield from session.last_events()


class _Events:
    """A JSON object for each transcript that says something new."""

    def __init__(self) -> None:
        self._last: object = None

    def __call__(self, transcript: "Transcript", source: str) -> None:
        said = (transcript.words, transcript.stable, transcript.segment, transcript.final)
        if said != self._last:
            self._last = said
            typer.echo(json.dumps({"source": source, **transcript.record()}, ensure_ascii=False))


class _Words:
    """Words as they come, on standard error; the text of each segment when it is over, on standard output."""

    def __init__(self, rewrites: bool) -> None:
        self._rewrites = rewrites
        self._shown: object = None

    def __call__(self, transcript: "Transcript", source: str) -> None:
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
