"""``whyformer listen``: sound in, words out as they are recognised."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from whyformer.cli.console import tell, tell_labelled
from whyformer.cli.options import DeviceOption, PlotOption, RunArgument, ThreadsOption, WeightsOption, open_as
from whyformer.cli.pictures import tell_page
from whyformer.cli.transcripts import ChunkOption, LeftOption, ShownTranscripts, TranscriptEvents
from whyformer.errors import DataError
from whyformer.language import current_language

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from whyformer.data.audio.files import AudioSource
    from whyformer.data.audio.spoken.labels import SoundLabel
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
    plot: PlotOption = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="With --plot: what is said, as start, end and word on each line, parted by tabs."),
    ] = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    weights: WeightsOption = None,
) -> None:
    """Recognise speech, from files, standard input or the microphone.

    Words are shown as they are recognised, on standard error: those that can still change stand behind the
    sign ¦. In the end the words are printed, a line a segment.

    Each new word has its delay: from the end of the sound in which it was found until it was shown. It counts
    how much more of the sound had to come, not how fast this machine is. With --plot a picture shows it.
    """
    from whyformer.data.audio.files import open_audio
    from whyformer.data.audio.microphone import open_microphone
    from whyformer.data.audio.spoken.labels import read_labels
    from whyformer.plots.chart import check_plot_path
    from whyformer.runs.execution import Execution
    from whyformer.tasks.speech.listener import Listener

    sources = [str(path) for path in file or ()]
    if microphone == bool(sources):
        raise DataError("name sound files, or - for standard input, or give --microphone.")
    if labels is not None and plot is None:
        raise DataError("--labels are drawn beside what is recognised; give --plot as well.")
    if plot is not None:
        if len(sources) > 1:
            raise DataError("--plot draws one sound; name one file, or - for standard input.")
        check_plot_path(plot)
    said = None if labels is None else read_labels(labels)
    listener = open_as(Listener, run, Execution(device, threads), weights)
    settings = listener.settings.with_chunks(chunk, left)
    show = TranscriptEvents() if as_json else ShownTranscripts(sys.stderr.isatty(), named=len(sources) > 1)
    recognizer = listener.recognizer(settings)
    sounds = [open_audio(source, rate) for source in sources]
    if microphone:
        sounds.append(open_microphone(rate or listener.features.rate))
        tell("listening; end with Ctrl-C")
    for sound in sounds:
        session = listener.open(sound.rate, settings=settings, recognizer=recognizer, name=sound.name)
        drawing = None if plot is None else _Drawing(sound, settings.chunks.milliseconds)
        for transcript in _transcripts(session, sound, drawing):
            show(transcript, sound.name)
        if not as_json and not any(transcript.words for transcript in session.finals):
            tell_labelled("note", f"{sound.name}: no words were recognised in it.")
        if plot is not None and drawing is not None:
            drawing.save(plot, session.finals, said)


class _Drawing:
    """The picture of a sound that is being heard."""

    def __init__(self, sound: "AudioSource", milliseconds: float | None) -> None:
        from whyformer.tasks.speech.timeline import LoudnessMeter

        self._name = Path(sound.name).name
        self._chunk = None if milliseconds is None else milliseconds / 1000
        self.meter = LoudnessMeter(sound.rate)

    def save(self, path: Path, heard: "Sequence[Transcript]", said: "Sequence[SoundLabel] | None") -> None:
        """Draw what was ``heard``, beside what was ``said``, and tell where it is."""
        from whyformer.plots.streams.timeline import timeline_page
        from whyformer.tasks.speech.timeline import timeline_of
        from whyformer.tasks.streaming.transcript import joined_transcripts

        timeline = timeline_of(self.meter, joined_transcripts(heard).words, said, self._chunk)
        tell_page(timeline_page(self._name, timeline, current_language()), path)


def _transcripts(
    session: "ListeningSession", sound: "AudioSource", drawing: "_Drawing | None"
) -> "Iterator[Transcript]":
    """Transcripts of ``sound`` as it comes; Ctrl-C ends it, and what was heard is still told.

    What the session cannot take, such as samples that are no numbers, is left out, which is told once.
    """
    refused = False
    try:
        for block in sound.blocks():
            try:
                session.push(block)
            except DataError as error:
                if not refused:
                    tell_labelled("note", str(error))
                refused = True
                continue
            if drawing is not None:
                drawing.meter.feed(block)
            yield from session.events(block[:0])
    except KeyboardInterrupt:
        pass
    yield from session.last_events()
