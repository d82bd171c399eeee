"""``whyformer serve``: runs that clients ask over HTTP and WebSockets."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from whyformer.cli.console import say
from whyformer.cli.options import (
    DeviceOption,
    EngineOption,
    PatienceOption,
    PrecisionOption,
    ShortlistOption,
    ThreadsOption,
    patience_rule,
)
from whyformer.errors import DataError, DecodingError, WhyformerError
from whyformer.serve.operation.logs import LogStyle

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

    from whyformer.serve.service import HostedRun


def serve(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN...", help="Folders of trained runs, as RUN or NAME=RUN.")
    ],
    host: Annotated[str, typer.Option(help="The address to listen at; 0.0.0.0 is all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")] = 8000,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    precision: PrecisionOption = "fp32",
    engine: EngineOption = "auto",
    shortlist: ShortlistOption = False,
    patience: PatienceOption = None,
    key_file: Annotated[
        Path | None, typer.Option(help="A file of keys, one a line, of which clients must show one.")
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="A name by which clients may call this service; repeatable.")
    ] = None,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(help="An origin whose pages may ask, such as https://example.org; repeatable."),
    ] = None,
    grace: Annotated[
        float, typer.Option(min=0, help="Seconds that running requests have when the service ends.")
    ] = 30.0,
    deadline: Annotated[
        float, typer.Option(min=0.1, help="Seconds after which an answer is worth nothing any more.")
    ] = 60.0,
    slowest: Annotated[
        float, typer.Option(min=0.1, help="Seconds in which a request has to be sent whole.")
    ] = 30.0,
    max_body: Annotated[int, typer.Option(min=1, help="Bytes of a request or of a message.")] = 16 * 2**20,
    max_items: Annotated[int, typer.Option(min=1, help="Texts of a request.")] = 128,
    max_characters: Annotated[int, typer.Option(min=1, help="Characters of a request's texts.")] = 20_000,
    max_tokens: Annotated[int, typer.Option(min=1, help="Tokens that a client may have written.")] = 2_048,
    max_beams: Annotated[int, typer.Option(min=1, help="Hypotheses of a search.")] = 16,
    max_alternatives: Annotated[int, typer.Option(min=1, help="Outputs for one text.")] = 10,
    max_sessions: Annotated[int, typer.Option(min=1, help="WebSockets at a time.")] = 32,
    max_queue: Annotated[int, typer.Option(min=1, help="Requests that wait for a run.")] = 1_024,
    log: Annotated[LogStyle, typer.Option(help="The form of the logs on standard error.")] = "plain",
    log_texts: Annotated[bool, typer.Option("--log-texts", help="Write texts to the logs, too.")] = False,
) -> None:
    """Serve runs to the clients of LibreTranslate, OpenAI and Vosk.

    It listens at this machine alone unless --host says otherwise. Ctrl-C or SIGTERM ends it: nothing new is
    taken, running requests get their answers. SIGHUP loads the runs anew.
    """
    try:
        from whyformer.serve.start import serve_at
    except ImportError as error:
        raise WhyformerError(
            f"the service needs {error.name}, which is not installed: `pip install 'whyformer[serve]'`."
        ) from None
    from whyformer.decoding.overrides import SearchChoice
    from whyformer.runs.execution import Execution
    from whyformer.serve.batching.queue import QueueLimits
    from whyformer.serve.dialects import dialects_of
    from whyformer.serve.hosting import has_beam, host_run, named_runs
    from whyformer.serve.key_file import read_keys
    from whyformer.serve.operation.hosts import Hosts
    from whyformer.serve.operation.limits import Limits
    from whyformer.serve.operation.logs import start_logging
    from whyformer.serve.operation.settings import Settings
    from whyformer.serve.service import Service

    limits = Limits(
        max_body, max_items, max_characters, max_tokens, max_beams, max_alternatives, max_sessions, slowest
    )
    hosts = Hosts(host, allow_host or (), allow_origin or ())
    keys = None if key_file is None else read_keys(key_file)
    settings = Settings(hosts, limits, keys, deadline, log_texts)
    folders = named_runs(runs)
    execution = Execution(device, threads, precision, engine, shortlist)
    beam = None if patience is None else SearchChoice(settings={"stopping": patience_rule(patience)})
    with _listener(host, port) as listener:
        hosted = [host_run(name, folder, execution, beam) for name, folder in folders.items()]
        if beam is not None and not any(has_beam(run.runner) for run in hosted):
            raise DecodingError("--patience is for beams, and none of these runs has one; leave it out.")
        start_logging(log, sys.stderr)
        serve_at(listener, Service(hosted, QueueLimits(max_queue)), dialects_of, settings, grace, _announce)


def _listener(host: str, port: int) -> "socket.socket":
    from whyformer.serve.gate.server import open_listener

    try:
        return open_listener(host, port)
    except OSError as error:
        raise DataError(
            f"the service cannot listen at {host}, port {port} ({error.strerror}); choose others by --host "
            "and --port."
        ) from None


def _announce(address: str, runs: "Mapping[str, HostedRun]") -> None:
    """Tell where the service is, whom it serves, and how to ask it."""
    say(f"serving at {address}; Ctrl-C ends it")
    for run in runs.values():
        say(f"{run.name}: {run.task}, weights {run.weights[:12]}")
    say("ask it:")
    pairs = (run.texts.languages for run in runs.values())
    asked = next((pair for pair in pairs if pair is not None), None)
    if asked is None:
        say(f"curl {address}/health")
    else:
        say(f"curl {address}/translate -d q=... -d source={asked.source} -d target={asked.target}")
    sys.stdout.flush()
