"""One trial of a comparison in a process of its own: train or resume, measure, write ``result.json``.

Its arguments are the folder and the conditions as JSON. Standard input stays open as long as the process
that compares lives; when it closes, the trial saves its state and stops. What stops it is on standard output
in one sentence, with exit code 2.
"""

import json
import math
import os
import signal
import sys
import threading
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from filelock import FileLock

from whyformer.data.store.pair_data import held_out_pairs
from whyformer.errors import RecipeError, WhyformerError
from whyformer.files import write_text
from whyformer.runs.evaluate import evaluate_run
from whyformer.runs.execution import Execution
from whyformer.runs.load import load_runner, read_recipe
from whyformer.runs.registry import task_of
from whyformer.runs.train import resume_run
from whyformer.tasks.recipe import Recipe, require_data
from whyformer.training.flops import training_flops
from whyformer.training.storage.lock import RunLock

COSTS = ("parameters", "flops_per_token", "tokens_per_second", "seconds", "steps")
"""Names of the figures that every trial has, whatever its task."""


@dataclass(frozen=True)
class Conditions:
    """Conditions that all trials of a comparison share, besides the recipe."""

    device: str = "auto"
    """auto, cpu, cuda or mps."""
    threads: int = 1
    """CPU threads of a trial."""
    test: bool = False
    """Whether the test sets are translated too, in the recipe's way to search."""


@dataclass(frozen=True)
class Measured:
    """Measured figures of a trial."""

    valid: dict[str, float]
    """Figures of the best weights on the validation set, as the task reports them, and the perplexity."""
    test: dict[str, dict[str, Any]]
    """Summaries by test set; empty without tests."""
    parameters: int
    flops_per_token: float
    """FLOPs of the matrix products of training, both passes, per target token; padding costs, too."""
    tokens_per_second: float
    """Target tokens in training, the median of the log."""
    seconds: float
    """Seconds of training, validations included."""
    steps: int
    threads: int

    @property
    def figures(self) -> dict[str, float]:
        """Every number that can be compared, by name; those of test sets as in ``test.bleu``."""
        tested = {
            f"{name}.{score['name']}": float(score["value"])
            for name, summary in self.test.items()
            for score in summary["scores"]
        }
        spent = (self.parameters, self.flops_per_token, self.tokens_per_second, self.seconds, self.steps)
        return self.valid | tested | dict(zip(COSTS, spent, strict=True))


def read_result(folder: Path, conditions: Conditions) -> Measured | None:
    """Result of the trial in ``folder``; None if it is not finished, or if its tests are missing."""
    path = folder / "result.json"
    if not path.exists():
        return None
    measured = Measured(**json.loads(path.read_text(encoding="utf-8")))
    return None if conditions.test and not measured.test else measured


def run_trial(folder: Path, conditions: Conditions) -> Measured:
    """Train the run in ``folder`` to its end, resuming where it stands, and measure it.

    Raises:
        WhyformerError: as for ``whyformer train`` and ``whyformer evaluate``.
    """
    execution = Execution(conditions.device, conditions.threads)
    execution.apply_threads()
    if conditions.test:
        # Before training, which would be in vain without them.
        check_test_sets(read_recipe(folder))
    trainer = resume_run(folder, [], device=conditions.device, say=lambda line: print(line, file=sys.stderr))
    if trainer.progress.finished:
        trainer.lock.release()
    else:
        trainer.train()
    model = load_runner(folder, execution).model
    with torch.no_grad():
        valid = trainer.task.validate(model.eval(), trainer.device, translate=True)
    tests = evaluate_run(folder, execution=execution) if conditions.test else ()
    tested = {name: {"name": name, **metrics.record()} for name, metrics in tests}
    tally = trainer.progress.tally
    speeds = [record["tokens_per_second"] for record in trainer.run.records() if record["event"] == "train"]
    return Measured(
        # Where it is beyond all floating-point numbers, nobody misses it.
        valid=valid | ({"perplexity": math.exp(valid["nll"])} if valid["nll"] < 700.0 else {}),
        test=tested,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        flops_per_token=training_flops(trainer.model, trainer.task, trainer.spec.batching.tokens),
        # A training that ends before its first line of the log has a tally instead.
        tokens_per_second=median(speeds or [tally.tokens / tally.seconds]),
        seconds=trainer.progress.seconds,
        steps=trainer.progress.step,
        threads=torch.get_num_threads(),
    )


def check_test_sets(recipe: Recipe) -> list[str]:
    """Read the test sets of ``recipe`` once, and give their names.

    Raises:
        RecipeError: such a run makes no text to be scored.
        DataError: they cannot be read.
    """
    if not task_of(recipe).writes_text:
        raise RecipeError("--test scores translations, and such a run makes none; leave it out.")
    return [*held_out_pairs(require_data(recipe.data))]


def _stop_with_parent() -> None:
    # Not sys.stdin: a thread that waits in it holds a lock which the interpreter wants on its way out.
    while os.read(0, 1024):
        pass
    # On Windows this ends the process at once; such a trial goes on from the last state that it saved.
    os.kill(os.getpid(), signal.SIGTERM)


def main(folder: Path, conditions: Conditions) -> None:
    """Run the trial in ``folder``, unless another process does so in the meantime."""
    threading.Thread(target=_stop_with_parent, daemon=True).start()
    # One that was left by a killed comparison may still be saving its state; the lock ends with its process.
    with FileLock(f"{folder}.lock"):
        if read_result(folder, conditions) is None:
            measured = run_trial(folder, conditions)
            with RunLock(folder):
                write_text(folder / "result.json", json.dumps(asdict(measured), ensure_ascii=False, indent=2))


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), Conditions(**json.loads(sys.argv[2])))
    except WhyformerError as error:
        print(f"error: {error}", file=sys.stderr)
        with suppress(BrokenPipeError):  # nobody listens any more
            os.write(1, str(error).encode())
        raise SystemExit(2) from None
