"""``whyformer listen``: sound in, words out as they are recognised."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from whyformer.cli.console import tell
from whyformer.cli.options import DeviceOption, RunArgument, ThreadsOption, WeightsOption, open_as
from whyformer.cli.transcripts import ChunkOption, LeftOption, ShownTranscripts, TranscriptEvents
from whyformer.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from whyformer.data.audio.files import AudioSource
    from whyformer.tasks.speech.listener import ListeningSession
    from whyformer.tasks.streaming.transcript import Transcript


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
    show = TranscriptEvents() if as_json else ShownTranscripts(sys.stderr.isatty())
    sounds = [open_audio(source, rate) for source in sources]
    if microphone:
        sounds.append(open_microphone(rate or listener.features.rate))
        tell("listening; end with Ctrl-C")
    for sound in sounds:
        session = listener.open(sound.rate, settings=settings, name=sound.name)
        for transcript in _transcripts(session, sound):
            show(transcript, sound.name)


def _transcripts(session: "ListeningSession", sound: "AudioSource") -> "Iterator[Transcript]":
    """Transcripts of ``sound`` as it comes; Ctrl-C ends it, and what was heard is still told."""
    try:
        for block in sound.blocks():
            yield from session.events(block)
    except KeyboardInterrupt:
        pass
    yield from session.last_events()
