"""``whyformer watch``: video in, events out as they are recognised."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from whyformer.cli.options import DeviceOption, RunArgument, ThreadsOption, WeightsOption, open_as
from whyformer.cli.transcripts import ChunkOption, LeftOption, ShownTranscripts, TranscriptEvents


def watch(
    run: RunArgument,
    file: Annotated[list[Path], typer.Argument(help="Video files.")],
    chunk: ChunkOption = None,
    left: LeftOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON object for each chunk, with what is seen in it.")
    ] = False,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    weights: WeightsOption = None,
) -> None:
    """Recognise what passes in video files.

    Events are shown as they are recognised: those that can still change stand behind the sign ¦, and each new
    one has the time from its end until it was shown. In the end the events are printed, a line a segment.
    """
    from whyformer.runs.execution import Execution
    from whyformer.tasks.video.watcher import Watcher

    watcher = open_as(Watcher, run, Execution(device, threads), weights)
    settings = watcher.settings.with_chunks(chunk, left)
    events, shown = TranscriptEvents(), ShownTranscripts(sys.stderr.isatty(), named=len(file) > 1)
    recognizer = watcher.recognizer(settings)
    for path in file:
        session = watcher.open(settings=settings, recognizer=recognizer, name=str(path))
        for transcript in session.watch(path):
            labels = [label.record() for label in session.labels]
            session.labels.clear()
            if as_json:
                events(transcript, str(path), labels)
            else:
                shown(transcript, str(path))
