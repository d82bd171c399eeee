"""What the service does with the engine it has: throughput, latency at 80 % load, and ten times too much.

    python benchmarks/service.py RUN [--on test] [--sentences 1000] [--rounds 3] [--phase 5]
        [--arms closed open overload peers] [--deadline 2] [--name NAME]

The server is a process of its own (`whyformer serve`, --precision auto), the client another
(load_generator.py), and the engine by itself works in this process (`whyformer translate`'s way, the same
precision, batches of 64), in turns with them. Requests are real sentences of the run's test set, in lists of
32 and one by one.

- closed: each of some connections asks again as soon as it is answered. "of the engine" compares sentences a
  second with those of the engine alone in the same round; the processor's time a sentence says the same
  where others use the machine, too.
- open: single sentences at random moments, 80 % of the closed rate. The time counts from the moment a request
  was due.
- overload: against a server whose answers are worth nothing after --deadline seconds, in turns a closed loop
  and ten times the rate that it had just before. Goodput is what was answered with 200 within the deadline.
  The client takes its part of the same processors: "client busy" says how much, and "late" how far it fell
  behind its own plan.
- peers: the same client, connections and requests, in turns with ours, against FastAPI around
  `whyformer.load(RUN)`, and around CTranslate2 in int8 with the same weights, where the run can be exported
  (its positions have to be sinusoidal). With --libretranslate PYTHON, the Python of an environment in which
  `pip install libretranslate==1.9.6` was run, against LibreTranslate itself, too (see argos_service.py).

With --shortlist ours looks for translations among the run's shortlist (`whyformer shortlist RUN` makes it),
both the engine by itself and the service; peers have none, as those that they stand for have none. With
--patience 1 ours leaves a beam when theirs do.

All in less than six minutes, with a range for each figure: --phase 4 --seconds 340.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from report import Spread, machine, publish
from served import Phase, Process, started

from whyformer.cli.options import patience_rule
from whyformer.data.corpora.parallel import load_held_out
from whyformer.decoding.overrides import SearchChoice
from whyformer.errors import WhyformerError
from whyformer.runs.execution import Execution
from whyformer.runs.load import load_as, read_recipe
from whyformer.tasks.translation.translator import Translator

HERE = Path(__file__).parent
NAME = "measured"
"""Name that the run is served by."""
OURS = ("auto", NAME)
"""What is asked of ours and of plain services: the languages that the run knows."""
LIST = 32
CONNECTIONS = {LIST: 8, 1: 128}
"""Connections of a closed loop by the sentences of a request: enough that the engine always has work."""
MOST_CONNECTIONS = 4_000
"""Connections of an open loop at most."""
LOAD = 0.8
OVERLOAD = 10
START = 120.0
"""Seconds in which a server has to be ready."""
ARMS = ("closed", "open", "overload", "peers")
WIDTHS = (LIST, 1)


class Bench:
    """All phases, with the time that is left for them."""

    def __init__(self, asked: argparse.Namespace, sources: Sequence[str]) -> None:
        self.length = asked.phase
        self.sources = sources
        self._until = None if asked.seconds is None else time.monotonic() + asked.seconds
        self.skipped = list[str]()
        self.records = list[dict[str, Any]]()

    def bodies(self, server: Process, width: int) -> list[str]:
        """Requests of ``width`` sentences each."""
        parts = [self.sources[at : at + width] for at in range(0, len(self.sources), width)]
        told = dict(zip(("source", "target"), server.languages, strict=True))
        return [
            json.dumps({"q": part if width > 1 else part[0], **told})
            for part in parts
            if len(part) == width or len(parts) == 1
        ]

    def has_time(self, what: str, seconds: float) -> bool:
        """Whether ``what`` can still be done; notes it if not."""
        if self._until is None or time.monotonic() + seconds < self._until:
            return True
        self.skipped.append(what)
        return False

    def phase(
        self, server: Process, width: int, name: str, rate: float | None = None, seconds: float | None = None
    ) -> Phase:
        """Let a client ask for sentences in lists of ``width``, at a ``rate`` or in a closed loop."""
        lasts = self.length if seconds is None else seconds
        plan = {
            "port": server.port,
            "bodies": self.bodies(server, width),
            "seconds": lasts,
            "connections": CONNECTIONS[width] if rate is None else MOST_CONNECTIONS,
            "rate": rate,
            "grace": 20.0 if rate is None else 5.0,
        }
        before = server.processor
        ran = subprocess.run(
            [sys.executable, str(HERE / "load_generator.py")],
            input=json.dumps(plan),
            capture_output=True,
            text=True,
            check=False,
        )
        if ran.returncode:
            sys.exit(f"the client of {name} failed: {ran.stderr.strip()[-300:]}")
        phase = Phase(width, lasts, json.loads(ran.stdout), server.processor - before)
        self.records.append({"phase": name, **phase.record()})
        return phase


def main() -> None:
    """Measure and publish."""
    asked = arguments()
    if not asked.run.exists():
        sys.exit(f"{asked.run} is not there; train it first (`make demo`)")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 2 * MOST_CONNECTIONS)), hard))
    try:
        tests = load_held_out(read_recipe(asked.run).data, [asked.on] if asked.on else [])
    except WhyformerError as error:
        sys.exit(f"the service is left out: {error}")
    name, pairs = next(iter(tests.items()))
    sources = [pair.source for pair in pairs if pair.source.strip()][: asked.sentences]
    about = machine(os.cpu_count() or 1)
    about["work"] = f"{asked.run.name}, {name}: {len(sources)} sentences, beam and all as in its recipe"
    measure(asked, sources, about)


def measure(asked: argparse.Namespace, sources: Sequence[str], about: dict[str, str]) -> None:
    """All arms in their order, told of after each."""
    rows, bench = list[dict[str, str]](), Bench(asked, sources)

    def tell(done: bool = False) -> None:
        notes = {"cut short": f"no time for {', '.join(bench.skipped)}"} if bench.skipped else {}
        if rows:
            publish(asked.name or f"service-{asked.run.name}", about | notes, rows, bench.records, done=done)

    execution = Execution("cpu", None, "auto", shortlist=asked.shortlist)
    translator = load_as(Translator, asked.run, execution)
    options = ["--shortlist"] if asked.shortlist else []
    if asked.patience is not None:
        options += ["--patience", str(asked.patience)]
        patient = SearchChoice(settings={"stopping": patience_rule(asked.patience)})
        translator.settings = patient.over(translator.settings)
    translator.translate(sources[:128], scores=False)
    closed = dict[int, list[Phase]]()
    with served(asked.run, *options) as server:
        warm(bench, server)
        rows += closed_rows(bench, server, translator, asked.rounds, closed)
        tell()
        if "open" in asked.arms and closed.get(1) and bench.has_time("open", asked.phase + 5):
            rows.append(open_row(bench, server, statistics.median(each.rate for each in closed[1])))
            tell()
    if "overload" in asked.arms and bench.has_time("overload", 4 * asked.phase + 30):
        with served(asked.run, *options, "--deadline", str(asked.deadline)) as server:
            warm(bench, server)
            rows += overload_rows(bench, server, asked)
            tell()
    if "peers" in asked.arms and bench.has_time("peers", 8 * asked.phase + 30):
        with served(asked.run, *options) as server:
            warm(bench, server)
            rows += peer_rows(bench, server, asked, about)
    tell(done=True)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", nargs="?", default="runs/demo", type=Path)
    parser.add_argument("--on", help="name of a test set; the first of the recipe if left out")
    parser.add_argument("--sentences", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--phase", type=float, default=5.0, help="seconds for which a client asks")
    parser.add_argument("--shortlist", action="store_true", help="ours, by the shortlist of the run")
    parser.add_argument("--patience", type=float, help="ours, as of `whyformer serve`")
    parser.add_argument("--deadline", type=float, default=2.0, help="seconds, where there is too much")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--libretranslate", metavar="PYTHON", help="a Python that has LibreTranslate")
    parser.add_argument("--name", help="name of the table; that of the run if left out")
    parser.add_argument("--seconds", type=float, help="begin nothing that would end later")
    return parser.parse_args()


@contextmanager
def served(run: Path, *options: str) -> Generator[Process]:
    """Our service of ``run``."""
    command = ["-m", "whyformer", "serve", f"{NAME}={run}", "--port", "0", "--precision", "auto", *options]
    with started(command, OURS) as server:
        yield server


def warm(bench: Bench, server: Process) -> None:
    """Let the server allocate what it needs, and learn how fast it is."""
    until = time.monotonic() + START
    while True:
        try:
            request = urllib.request.Request(
                f"http://127.0.0.1:{server.port}/translate",
                bench.bodies(server, 1)[0].encode(),
                {"Content-Type": "application/json"},
            )
            with urllib.request.urlopen(request, timeout=60) as answer:
                json.load(answer)["translatedText"]
                break
        except OSError:
            if server.process.poll() is not None or time.monotonic() > until:
                raise
            time.sleep(0.1)
    for width in WIDTHS:
        bench.phase(server, width, "warming", seconds=1.0)
    bench.records = [each for each in bench.records if each["phase"] != "warming"]


def closed_rows(
    bench: Bench, server: Process, translator: Translator, rounds: int, closed: dict[int, list[Phase]]
) -> list[dict[str, str]]:
    """Rows of the engine alone and of the service, in turns; the phases go into ``closed``."""
    alone = list[tuple[float, float]]()
    for number in range(rounds):
        if number and not bench.has_time(f"round {number + 1}", 40):
            break
        alone.append(offline(bench, translator))
        for width in WIDTHS:
            closed.setdefault(width, []).append(bench.phase(server, width, "closed"))
    rates = [rate for rate, _ in alone]
    dear = statistics.median(processor for _, processor in alone)
    rows = [
        row("engine alone, batch 64", rate=Spread.of(rates).text(1), processor=f"{1000 * dear:.2f}"),
    ]
    for width, phases in closed.items():
        ratio = Spread.of([phase.rate / rate for phase, rate in zip(phases, rates, strict=True)])
        cost = statistics.median(phase.processor / max(1, phase.all_good) for phase in phases)
        client = statistics.median(phase.told["processor"] / max(1, phase.all_good) for phase in phases)
        rows.append(
            row(
                f"service, {_requests(width)}",
                rate=Spread.of([phase.rate for phase in phases]).text(1),
                processor=f"{1000 * cost:.2f}",
                engine=f"{ratio.text(2)}; by processor {dear / cost:.2f}",
                more=f"client {1000 * client:.2f} ms of processor a sentence",
            )
        )
    return rows


def offline(bench: Bench, translator: Translator) -> tuple[float, float]:
    """Sentences a second of the engine in this process, and its seconds of processor time for each."""
    sources = bench.sources
    clock, processor = time.perf_counter(), time.process_time()
    translator.translate(sources, batch=64, scores=False)
    rate = len(sources) / (time.perf_counter() - clock)
    taken = (time.process_time() - processor) / len(sources)
    bench.records.append({"phase": "engine alone", "rate": rate, "processor": taken})
    return rate, taken


def open_row(bench: Bench, server: Process, peak: float) -> dict[str, str]:
    """Latency of single sentences at random moments."""
    phase = bench.phase(server, 1, "open", LOAD * peak, 2 * bench.length)
    latencies = phase.latencies()
    p50, p99 = statistics.median(latencies), statistics.quantiles(latencies, n=100)[98]
    others = len(phase.told["status"]) - len(latencies)
    return row(
        f"service, {LOAD:.0%} load, single sentences",
        rate=f"{phase.rate:.1f}",
        processor=f"{1000 * phase.processor / max(1, phase.all_good):.2f}",
        more=f"p50 {p50:.0f} ms, p99 {p99:.0f} ms, ratio {p99 / p50:.2f}; refused {others}, "
        f"lost {phase.told['lost']}",
    )


def overload_rows(bench: Bench, server: Process, asked: argparse.Namespace) -> list[dict[str, str]]:
    """Goodput at ten times the peak, in turns with the peak itself, and how refusals come."""
    pairs = {width: list[tuple[Phase, Phase]]() for width in WIDTHS}
    for number in range(asked.rounds):
        if number and not bench.has_time(f"overload, round {number + 1}", 4 * bench.length + 15):
            break
        for width, measured in pairs.items():
            peak = bench.phase(server, width, "peak")
            # Whoever is stopped for a whole phase by others has no rate to be overloaded by.
            rate = OVERLOAD * max(peak.rate, 1.0) / width
            measured.append((peak, bench.phase(server, width, "overload", rate)))
    return [overload_row(width, measured, server, asked.deadline) for width, measured in pairs.items()]


def overload_row(
    width: int, measured: Sequence[tuple[Phase, Phase]], server: Process, deadline: float
) -> dict[str, str]:
    """What became of requests of ``width`` sentences."""
    phases = [phase for _, phase in measured]
    goods = [phase.good(deadline) / phase.seconds for phase in phases]
    ratio = Spread.of([good / max(peak.rate, 1.0) for good, (peak, _) in zip(goods, measured, strict=True)])
    refusals = [sorted(phase.refusals()) or [0.0] for phase in phases]
    asked = sum(phase.told["asked"] + phase.told["not_sent"] for phase in phases)
    told = {key: sum(phase.told[key] for phase in phases) for key in ("without_hint", "not_sent", "lost")}
    waits = [
        Spread.of([statistics.median(each) for each in refusals]).text(1),
        Spread.of([each[int(0.99 * len(each))] for each in refusals]).text(1),
        Spread.of([each[-1] for each in refusals]).text(0),
    ]
    busy = Spread.of([100 * phase.told["processor"] / phase.seconds for phase in phases])
    return row(
        f"service, {OVERLOAD} x, {_requests(width)}",
        rate=Spread.of(goods).text(1),
        processor=f"{1000 * cost(phases):.2f}",
        more=f"goodput / peak {ratio.text(2)}; offered {asked / sum(each.seconds for each in phases):,.0f} "
        f"requests/s, refused {sum(map(len, refusals)) / max(1, asked):.0%}, ms p50 {waits[0]}, "
        f"p99 {waits[1]}, slowest {waits[2]}, over 50 ms {sum(ms > 50 for each in refusals for ms in each)}, "
        f"without Retry-After {told['without_hint']}, not sent {told['not_sent']}, lost {told['lost']}; "
        f"peak memory {server.peak / 2**20:.0f} MiB; client busy {busy.text()}% of a processor, late p99 "
        f"{max(each.lateness() for each in phases):.0f} ms",
    )


def cost(phases: Sequence[Phase]) -> float:
    """Seconds of the server's processor time for each good answer, refusals and all."""
    return sum(each.processor for each in phases) / max(1, sum(each.all_good for each in phases))


def peer_rows(
    bench: Bench, ours: Process, asked: argparse.Namespace, about: dict[str, str]
) -> list[dict[str, str]]:
    """Rows of plain services, each in turns with ours."""
    rows = list[dict[str, str]]()
    with tempfile.TemporaryDirectory() as folder:
        for name, start in peer_services(asked, Path(folder), about).items():
            if not bench.has_time(name, 4 * asked.phase + 30):
                continue
            with start() as theirs:
                warm(bench, theirs)
                pairs = {width: list[tuple[Phase, Phase]]() for width in WIDTHS}
                for number in range(max(1, asked.rounds - 1)):
                    if number and not bench.has_time(f"{name}, round {number + 1}", 4 * bench.length + 5):
                        break
                    for width, measured in pairs.items():
                        mine = bench.phase(ours, width, f"ours beside {name}")
                        measured.append((mine, bench.phase(theirs, width, name)))
                rows += [peer_row(name, width, measured) for width, measured in pairs.items()]
    return rows


def peer_services(
    asked: argparse.Namespace, folder: Path, about: dict[str, str]
) -> dict[str, Callable[[], AbstractContextManager[Process]]]:
    """Services that ours is measured beside, each to be started; ``about`` is told who is left out."""
    plain = partial(started, languages=OURS)
    script = str(HERE / "plain_services.py")
    peers = dict[str, Callable[[], AbstractContextManager[Process]]]()
    peers["FastAPI around load(RUN)"] = partial(plain, [script, "whyformer", str(asked.run)])
    peers["FastAPI around load(RUN, precision='auto')"] = partial(
        plain, [script, "whyformer", str(asked.run), "auto"]
    )
    try:
        export(asked.run, folder)
    except (WhyformerError, ImportError) as error:
        about["left out"] = f"CTranslate2: {error}"
        return peers
    beam = beam_of(asked.run)
    peers["FastAPI around CTranslate2, int8"] = partial(plain, [script, "ctranslate2", str(folder), beam])
    if asked.libretranslate:
        command = [str(HERE / "argos_service.py"), str(folder), beam]
        peers["LibreTranslate"] = partial(started, command, ("en", "de"), asked.libretranslate)
    return peers


def peer_row(name: str, width: int, measured: Sequence[tuple[Phase, Phase]]) -> dict[str, str]:
    """How a plain service does by ours."""
    phases = [phase for _, phase in measured]
    theirs, ours = cost(phases), cost([phase for phase, _ in measured])
    failed = sum(len(each.told["status"]) - each.all_good // width for each in phases)
    return row(
        f"{name}, {_requests(width)}",
        rate=Spread.of([each.rate for each in phases]).text(1),
        processor=f"{1000 * theirs:.2f}",
        more=f"{times([(mine.rate, other.rate) for mine, other in measured])}; by processor "
        f"x{theirs / ours if ours else 0:.2f}; failed {failed}",
    )


def times(rates: Sequence[tuple[float, float]]) -> str:
    """How many times their rate ours is; they may have answered nothing while they were watched."""
    if not all(theirs for _, theirs in rates):
        return "nothing was answered in time"
    return f"ours is x{Spread.of([mine / theirs for mine, theirs in rates]).text(2)}"


def beam_of(run: Path) -> str:
    """The width of a run's search, as an argument."""
    settings: Any = read_recipe(run)
    return str(settings.decoding.build().width)


def export(run: Path, folder: Path) -> None:
    """The run's weights for CTranslate2.

    Raises:
        WhyformerError: the run is nothing that other toolkits know.
        ImportError: CTranslate2 is not installed.
    """
    from ctranslate2.converters import TransformersConverter

    from whyformer.huggingface.transfer import export_model

    print(export_model(run, folder / "marian"))
    TransformersConverter(str(folder / "marian")).convert(str(folder / "ctranslate2"))


def row(arm: str, *, rate: str, processor: str, engine: str = "-", more: str = "-") -> dict[str, str]:
    """A row of the table."""
    return {
        "arm": arm,
        "sentences/s": rate,
        "ms of processor a sentence": processor,
        "of the engine": engine,
        "more": more,
    }


def _requests(width: int) -> str:
    return "single sentences" if width == 1 else f"lists of {width}"


if __name__ == "__main__":
    main()
