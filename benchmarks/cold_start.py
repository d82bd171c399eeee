"""How long it takes until something happens: imports, and one sentence from the command line.

    python benchmarks/cold_start.py [RUN] [--rounds 10]

Every command is a new process; they take turns. Files are warm: one round before the others is not counted.
RUN is a trained translator (runs/demo if left out); without one the translation is left out.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from report import Spread, bars, machine, publish, ratios

SENTENCE = "a man is sleeping ."
LOADS_TORCH = "import sys, whyformer; sys.exit('torch' in sys.modules)"


def main() -> None:
    """Read the arguments, measure, tell."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", nargs="?", default=Path("runs/demo"), type=Path)
    parser.add_argument("--rounds", type=int, default=10)
    asked = parser.parse_args()
    verb = str(Path(sys.executable).with_name("whyformer"))
    code = {
        "python": "pass",
        "ours: import whyformer": "import whyformer",
        "ours: import whyformer, load": "from whyformer import load",
        "import torch": "import torch",
        "import ctranslate2": "import ctranslate2",
        "import MarianMTModel": "from transformers import MarianMTModel",
    }
    commands = {name: [sys.executable, "-c", text] for name, text in code.items()}
    commands["ours: whyformer --help"] = [verb, "--help"]
    if asked.run.exists():
        translate = [verb, "translate", str(asked.run), SENTENCE]
        commands["ours: whyformer translate, one sentence"] = translate
        native = ["--engine", "native", "--precision", "int8"]
        commands["ours: the same, native in int8"] = [*translate, *native]
    else:
        print(f"{asked.run} is not there, so nothing is translated; train it first (`make demo`).")
    for name in [name for name, command in commands.items() if seconds(command) is None]:
        print(f"{name} is left out: it failed.")
        del commands[name]
    rounds = [
        {name: seconds(command) or 0.0 for name, command in commands.items()} for _ in range(asked.rounds)
    ]
    torch_too = subprocess.run([sys.executable, "-c", LOADS_TORCH], check=False).returncode != 0
    about = machine(os.cpu_count() or 1) | {"import whyformer loads torch": "yes" if torch_too else "no"}
    times = {name: [measured[name] for measured in rounds] for name in commands}
    rows: list[dict[str, str]] = []
    for name, values in times.items():
        over = ratios(times, name, ["import torch"])
        milliseconds = Spread.of([1000 * value for value in values])
        rows.append(
            {"command": name, "ms": milliseconds.text(), "x import torch": over.text(2) if over else "-"}
        )
    chart = bars([(name, Spread.of(values)) for name, values in times.items()], "seconds", "Cold start")
    publish("cold-start", about, rows, times, chart)


def seconds(command: list[str]) -> float | None:
    """How long ``command`` takes, or None where it fails."""
    # Where this is set, every import compiles its files anew; users have them compiled.
    usual = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    began = time.perf_counter()
    done = subprocess.run(command, check=False, capture_output=True, env=usual)
    return None if done.returncode else time.perf_counter() - began


if __name__ == "__main__":
    main()
