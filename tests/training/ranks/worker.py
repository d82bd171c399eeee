"""One rank of trainings, as torchrun starts it: ``worker.py SETTINGS.json``, see ``Settings``."""

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypedDict

from torch import nn

from whyformer.data.batches.steps import Group
from whyformer.errors import WhyformerError
from whyformer.plots import curves
from whyformer.runs.train import resume_run, start_run
from whyformer.training.ranks.group import RankGroup, join_ranks
from whyformer.training.step import StepSums
from whyformer.training.trainer import Trainer

LARGEST = 4096
"""Bytes of a file on a full disk: more than a line of a log, less than a state."""


class Settings(TypedDict):
    """What the ranks are to do."""

    runs: dict[str, tuple[str, list[str]]]
    """By folder: a recipe to train or, empty, to resume, and overrides."""
    timeout: float
    fate: tuple[str, int, int] | None
    """What comes over a rank at a step, once; see ``meet``."""


def train(folder: Path, recipe: str, overrides: Sequence[str], group: RankGroup, settings: Settings) -> None:
    if recipe:
        trainer = start_run(
            recipe, overrides, folder, device="cpu", overwrite=False, say=lambda _: None, group=group
        )
    else:
        trainer = resume_run(folder, overrides, device="cpu", say=lambda _: None, group=group)
    watch(trainer, settings)
    trainer.train()


def watch(trainer: Trainer[nn.Module], settings: Settings) -> None:
    """Write down the examples of each batch with its place in the step, and meet one's fate."""
    gradient, batch, ranks = trainer.step.gradient, trainer.task.batch, trainer.group.ranks
    log = trainer.run.path.parent / f"{trainer.run.path.name}.examples.{ranks.rank}.jsonl"
    places = list[int]()
    """Places in the step of the batches that this rank is still to have."""

    def look_out(step: int) -> None:
        fate, met = settings["fate"], Path(sys.argv[1]).with_suffix(".met")
        if fate is not None and tuple(fate[1:]) == (ranks.rank, step) and not met.exists():
            met.touch()
            meet(fate[0])

    def watched_gradient(group: Group, step: int, epoch: int) -> StepSums:
        places[:] = ranks.share(range(len(group)))
        if not places:
            look_out(step)
        sums = gradient(group, step, epoch)
        assert not places
        return sums

    def watched_batch(indices: Any, epoch: int, device: Any) -> Any:
        step = trainer.progress.step + 1
        if places:
            with log.open("a", encoding="utf-8") as file:
                file.write(json.dumps([step, places.pop(0), epoch, indices.tolist()]) + "\n")
        look_out(step)
        return batch(indices, epoch, device)

    trainer.step.gradient, trainer.task.batch = watched_gradient, watched_batch


def meet(fate: str) -> None:
    """Let one's own disk be full, cut one's own link, or send oneself a signal."""
    if fate == "FULL":
        resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST, LARGEST))
    elif fate == "CUT":
        subprocess.run(["ip", "link", "set", os.environ["GLOO_SOCKET_IFNAME"], "down"], check=True)
    else:
        os.kill(os.getpid(), signal.Signals[fate])


def main() -> None:
    settings: Settings = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    # A picture costs as much as all the rest of a toy run.
    curves.save_curves = lambda *_: None
    try:
        with join_ranks("cpu", settings["timeout"]) as group:
            for folder, (recipe, overrides) in settings["runs"].items():
                train(Path(folder), recipe, overrides, group, settings)
    except WhyformerError as error:
        print(f"SENTENCE {error}", flush=True)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
