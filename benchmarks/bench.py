"""All that is measured, one script after the other, each with a time of its own, and a page that tells of it.

    python benchmarks/bench.py [--quick] [--only training-tiny ...]

25 minutes on two cores, with --quick 5. A script that has used up its time is asked to end (it then tells
what it has), and one that does not is ended. After every script, and whatever happens, `results/bench.md` and
`bench.json` say what was measured, what was not, and why. Ctrl-C ends the script that runs and all the
others. Scripts that want a trained run measure runs/demo where that is.
"""

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from report import RESULTS, machine, table

HERE = Path(__file__).parent
MINUTES = {False: 25, True: 5}
"""Longest time of all, by whether it is quick."""
GRACE = 15.0
"""Seconds in which a script that was asked to end may write down what it has."""
START = 12.0
"""Seconds of a script's time in which it only starts or ends."""
DEMO = Path("runs") / "demo"
PAGES = ("bench", "gpu")
"""Tables of tables."""
PEERS = ("transformers", "x-transformers", "ctranslate2")
Status = Literal["done", "cut short", "failed", "not run"]


@dataclass(frozen=True)
class Step:
    """A script, and how long it may take, besides what others have left."""

    name: str
    command: str
    """With {best} for the precision in which this processor trains fastest."""
    seconds: float
    paced: bool = True
    """Whether it takes ``--seconds``, and then begins nothing that would take longer."""
    needs: Path | None = None
    """What it measures."""

    def line(self, best: str, seconds: float) -> list[str]:
        """The command, for a processor that trains fastest in ``best``, with so many seconds left for it."""
        words = [sys.executable, *shlex.split(self.command.format(best=best))]
        # A name with a dot is a script of this folder, and any other a module.
        words[1:2] = [str(HERE / words[1])] if words[1].endswith(".py") else ["-m", words[1]]
        return words + ([f"--seconds={max(1.0, seconds - START):.0f}"] if self.paced else [])


@dataclass
class Outcome:
    """What became of a step."""

    name: str
    status: Status
    reason: str
    seconds: float
    tables: list[str]
    """Stems of the files in results/ that it wrote."""


BEST = "--arms ours-{best} marian-fp32 marian-{best}-eager torch-{best} xtransformers-{best}"
COMPILED = "--arms ours-{best} marian-{best}-eager marian-{best}-compile torch-{best}-compile " + (
    "xtransformers-{best}-compile --name compiled"
)
BEAM = "--beam 5 --arms 'ours-int8-native-[sp]2' 'ct2-int8-[sp]2' 'hf-*'"
# At base an arm takes half a minute to say what it writes.
FEW = "--arms 'ours-int8-native-p2' 'ct2-int8-[sp]2'"
ONE = "--arms 'ours-int8-native-t?' 'ours-int8-torch-t1' 'ct2-int8-t1'"
PREPARE = "multi30k.py tiny base"
FULL = (
    Step("prepare", PREPARE, 60, paced=False),
    Step("training-tiny", "training.py --size tiny --steps 10", 160),
    Step("training-base", f"training.py --size base --steps 5 {BEST}", 180),
    Step("translation-tiny", "translation.py --size tiny --batch 128 --sentences 256 --rounds 2", 70),
    Step("translation-tiny-one", "translation.py --size tiny --batch 1 --sentences 30 --rounds 3", 55),
    Step("translation-base", f"translation.py --size base --batch 128 --sentences 128 --rounds 2 {FEW}", 140),
    Step("translation-base-one", f"translation.py --size base --batch 1 --sentences 12 --rounds 2 {ONE}", 80),
    Step("translation-tiny-beam", f"translation.py --size tiny --batch 128 --sentences 256 {BEAM}", 70),
    Step(
        "translation-base-beam", f"translation.py --size base --batch 64 --sentences 64 --beam 5 {FEW}", 130
    ),
    Step("training-compiled", f"training.py --size tiny --steps 6 {COMPILED}", 125),
    Step("time-to-quality", "time_to_quality.py --steps 140 --looks 1", 150),
    Step(
        "attention",
        "attention.py --masks causal window chunk padding --lengths 512 2048 --dtypes {best} --rounds 1",
        55,
    ),
    Step("cold-start", "cold_start.py --rounds 3", 50, paced=False),
    Step("batch-invariance", f"batch_invariance.py {DEMO} --sentences 200", 25, paced=False, needs=DEMO),
    Step("position-cost", "position_cost.py --rounds 7", 25, paced=False),
    Step("service", f"service.py {DEMO} --sentences 500 --rounds 2 --phase 3", 110, needs=DEMO),
)
QUICK = (
    Step("prepare", PREPARE, 50, paced=False),
    Step("training-tiny", f"training.py --size tiny --steps 4 {BEST}", 70),
    Step("training-base", "training.py --size base --steps 2 --arms ours-{best} marian-{best}-eager", 55),
    Step(
        "translation-tiny",
        "translation.py --size tiny --batch 128 --sentences 128 --rounds 2 "
        "--arms 'ours-int8-native-[sp]2' 'ct2-int8-[sp]2' 'hf-*'",
        35,
    ),
    Step(
        "translation-base-one",
        "translation.py --size base --batch 1 --sentences 6 --rounds 2 "
        "--arms 'ours-int8-native-t?' 'ct2-int8-t1' 'hf-*'",
        45,
    ),
    Step("cold-start", "cold_start.py --rounds 1", 25, paced=False),
)


def main() -> None:
    """Read the arguments, run the scripts, tell; ends with status 1 where one has failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="less of it, in 5 minutes")
    parser.add_argument("--only", nargs="+", choices=sorted({step.name for step in (*FULL, *QUICK)}))
    asked = parser.parse_args()
    steps = [step for step in (QUICK if asked.quick else FULL) if not asked.only or step.name in asked.only]
    # A polite request to end is heard like Ctrl-C, and Ctrl-C even where a shell had it ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    outcomes = measure(steps, 60.0 * MINUTES[asked.quick])
    sys.exit(any(outcome.status == "failed" for outcome in outcomes))


def measure(
    steps: Sequence[Step], seconds: float, *, name: str = "bench", device: str = "cpu"
) -> list[Outcome]:
    """Run ``steps`` in their order within so many ``seconds``, and tell of them on a page after each.

    ``name`` is that of the page.
    """
    from whyformer.machine import bf16_is_fast

    about, ends = machine(os.cpu_count() or 1, device), time.monotonic() + seconds
    about |= {"not installed": ", ".join(name for name in PEERS if not installed(name)) or "nothing"}
    best = "bf16" if bf16_is_fast() else "fp32"
    outcomes: list[Outcome] = []
    interrupted = False
    with tempfile.TemporaryDirectory() as prepared:
        for step in steps:
            # What those before have saved is for who comes next.
            later = sum(other.seconds for other in steps[len(outcomes) + 1 :])
            left = ends - time.monotonic() - GRACE
            left = min(left, max(step.seconds, left - later))
            if interrupted:
                outcome = Outcome(step.name, "not run", "interrupted before it began", 0.0, [])
            elif left < START:
                outcome = Outcome(step.name, "not run", "no time was left", 0.0, [])
            elif step.needs is not None and not step.needs.exists():
                outcome = Outcome(step.name, "not run", f"{step.needs} is not there", 0.0, [])
            else:
                outcome, interrupted = run(step, step.line(best, left), left, Path(prepared))
            outcomes.append(outcome)
            tell(name, about, outcomes, [later.name for later in steps[len(outcomes) :]])
    return outcomes


def installed(package: str) -> bool:
    """Whether a package is there."""
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def run(step: Step, line: list[str], seconds: float, prepared: Path) -> tuple[Outcome, bool]:
    """Run one script by its command ``line``, for ``seconds`` at most.

    What scripts have in common they leave in ``prepared``. The second value is whether Ctrl-C was heard.
    """
    print(f"\n== {step.name}: {shlex.join(line[1:])}", flush=True)
    before, clock = written(), time.monotonic()
    # In a session of its own, so that Ctrl-C reaches it from here alone, and all it started can be ended.
    process = subprocess.Popen(
        line,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
        env=environment(prepared),
    )
    said: deque[str] = deque(maxlen=200)
    reader = threading.Thread(target=echo, args=(process, said), daemon=True)
    reader.start()
    reason, interrupted = "", False
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        reason = f"its {seconds:.0f} seconds were over"
    except KeyboardInterrupt:
        reason, interrupted = "interrupted", True
    if reason:
        end(process)
    reader.join(timeout=5)
    stems = sorted(stem for stem, at in written().items() if before.get(stem) != at)
    notes = [note for stem in stems for note in notes_of(stem)]
    status: Status = "cut short" if reason or any(key == "cut short" for key, _ in notes) else "done"
    last = next((text for text in reversed(said) if text), f"status {process.returncode}")
    if not reason and process.returncode:
        status, reason = "failed", last
    elif not reason and not stems:
        # A script without a table tells its result in its last line.
        reason = last
    reason = "; ".join(filter(None, [reason, *(text for _, text in notes)]))
    return Outcome(step.name, status, reason, time.monotonic() - clock, stems), interrupted


def written() -> dict[str, int]:
    """When each table in results/ was written, by its stem."""
    tables = RESULTS.glob("*.md")
    return {path.stem: path.stat().st_mtime_ns for path in tables if path.stem not in PAGES}


def notes_of(stem: str) -> list[tuple[str, str]]:
    """Keys and texts by which a table tells what is not in it."""
    lines = (RESULTS / f"{stem}.md").read_text(encoding="utf-8").splitlines()
    pairs = [line.partition(": ") for line in lines]
    return [(key, text) for key, _, text in pairs if key in ("cut short", "left out", "state")]


def environment(prepared: Path) -> dict[str, str]:
    """What scripts are told."""
    # Where this is set, every process compiles what it imports anew, for many seconds.
    usual = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return usual | {"WHYFORMER_BENCH_PREPARED": str(prepared)}


def echo(process: "subprocess.Popen[str]", said: deque[str]) -> None:
    """Show what a script says, and keep its last lines."""
    assert process.stdout is not None
    with process.stdout as lines:
        for text in lines:
            print(text, end="", flush=True)
            said.append(text.strip())


def end(process: "subprocess.Popen[str]") -> None:
    """Ask a script to end, and end it and all that it started."""
    process.send_signal(signal.SIGINT)
    with suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
        process.wait(timeout=GRACE)
    # Its arms are processes of its session, and some may be left.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def tell(page: str, about: dict[str, str], outcomes: Sequence[Outcome], to_come: Sequence[str]) -> None:
    """Write the page of that name and the figures behind it."""
    from whyformer.files import write_text

    rows = [
        {
            "script": outcome.name,
            "status": outcome.status,
            "seconds": f"{outcome.seconds:.0f}",
            "tables": ", ".join(outcome.tables) or "-",
            "why": outcome.reason.replace("|", "/") or "-",
        }
        for outcome in outcomes
    ]
    rows += [
        {"script": name, "status": "to come", "seconds": "-", "tables": "-", "why": "-"} for name in to_come
    ]
    text = "# What was measured\n\n" + "".join(f"- {key}: {value}\n" for key, value in about.items())
    text += f"\n{table(rows)}\n"
    for stem in dict.fromkeys(stem for outcome in outcomes for stem in outcome.tables):
        text += f"\n## {stem}\n\n{in_markdown((RESULTS / f'{stem}.md').read_text(encoding='utf-8'))}"
    told = {"about": about, "steps": [asdict(outcome) for outcome in outcomes], "to_come": list(to_come)}
    write_text(RESULTS / f"{page}.md", text)
    write_text(RESULTS / f"{page}.json", json.dumps(told, ensure_ascii=False, indent=1) + "\n")
    if not to_come:
        print(f"\n{table(rows)}\n{RESULTS / page}.md and .json", flush=True)


def in_markdown(text: str) -> str:
    """A table as scripts write it, what it is about as a list."""
    about, _, rest = text.partition("\n\n")
    return "".join(f"- {line}\n" for line in about.splitlines()) + f"\n{rest}"


if __name__ == "__main__":
    main()
