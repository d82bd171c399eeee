"""Ranks beside threads: two processes of one thread each, and one process with two threads.

    python benchmarks/ranks.py [--recipe cldr-en-de] [--sizes tiny base] [--shards none full] [--rounds 3]
        [--steps 24] [--tokens 2048] [--batches 4] [--seconds 600]

The program trains the same steps of the same recipe, in turns: by itself with two threads, and started by
torchrun as two ranks of a thread, with whole weights and with spread ones. A step is so many batches, which
ranks share out. Told are tokens a second by the runs' own logs, without the first lines, their ratio round by
round, and the peak memory of each process.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from report import Spread, machine, publish
from store import peaks

_LOG_EVERY = 4


def main() -> None:
    """Read the arguments, measure, tell."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recipe", default="cldr-en-de")
    parser.add_argument("--sizes", nargs="+", default=["tiny", "base"])
    parser.add_argument("--shards", nargs="+", default=["none", "full"])
    for name, default in (("rounds", 3), ("steps", 24), ("tokens", 2048), ("batches", 4)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--seconds", type=float, default=600, help="begin no round that would end later")
    asked = parser.parse_args()
    began = time.monotonic()
    rows, records = list[dict[str, str]](), list[dict[str, object]]()
    for size in asked.sizes:
        rates, largest, lasted = dict[str, list[float]](), dict[str, float](), 0.0
        for number in range(asked.rounds):
            start = time.monotonic()
            if number and start - began + lasted > asked.seconds:
                break
            for arm in ("one process", *(f"two ranks, {shard}" for shard in asked.shards)):
                rate, peak = trained(asked, size, arm)
                rates.setdefault(arm, []).append(rate)
                largest[arm] = max(largest.get(arm, 0), peak)
                records.append({"size": size, "arm": arm, "tokens_per_second": rate, "peak": peak})
            lasted = time.monotonic() - start
        for arm, found in rates.items():
            pairs = zip(found, rates["one process"], strict=True)
            rows.append(
                {
                    "size": size,
                    "arm": arm,
                    "tokens/s": Spread.of(found).text(),
                    "of one process": Spread.of([mine / alone for mine, alone in pairs]).text(2),
                    "MiB of a process": f"{largest[arm]:,.0f}",
                }
            )
        publish("ranks", machine(2), rows, records, done=size == asked.sizes[-1])


def trained(asked: argparse.Namespace, size: str, arm: str) -> tuple[float, float]:
    """Tokens a second of a training, and the peak memory in MiB of the largest process."""
    ranks = 1 if arm == "one process" else 2
    overrides = [
        *(f"model.preset={size}", "training.epochs=null", f"training.steps={asked.steps}"),
        *(f"training.batching.tokens={asked.tokens}", f"training.batching.accumulate={asked.batches}"),
        *(f"training.log_every={_LOG_EVERY}", "training.validation.every=1000000"),
        "training.validation.translate_from=1000000",
    ]
    if ranks > 1:
        overrides.append(f"training.shard={arm.partition(', ')[2]}")
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "--"]
        program = [*(torchrun if ranks > 1 else ["-m"]), "whyformer", "train", asked.recipe, *overrides]
        process = subprocess.Popen(
            [sys.executable, *program, "--run", str(run)],
            env={**os.environ, "OMP_NUM_THREADS": str(2 // ranks)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        with peaks(process.pid) as most:
            _, told = process.communicate()
        if process.returncode:
            sys.exit(f"{arm}: {told.strip()[-500:]}")
        records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    rates = [each["tokens_per_second"] for each in records if each["event"] == "train"]
    return statistics.median(rates[2:]), max(most.values())


if __name__ == "__main__":
    main()
