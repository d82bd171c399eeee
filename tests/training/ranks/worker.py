"""One rank of trainings, as torchrun starts it: ``worker.py SETTINGS.json``, see ``Settings``."""

import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypedDict

from torch import nn

from whyformer.errors import WhyformerError
from whyformer.plots import curves
from whyformer.runs.train import resume_run, start_run
from whyformer.training.ranks.group import RankGroup, join_ranks
from whyformer.training.trainer import Trainer


class Settings(TypedDict):
    """What the ranks are to do."""

    runs: dict[str, tuple[str, list[str]]]
    """By folder: a recipe to train or, empty, to resume, and overrides."""
    timeout: float
    fate: tuple[str, int, int] | None
    """A signal that a rank sends itself at a step, in the first life of the job."""


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
    """Write down the examples of each batch, and meet one's fate."""
    batch, rank = trainer.task.batch, trainer.group.ranks.rank

    def watched(indices: Any, epoch: int, device: Any) -> Any:
        step = trainer.progress.step + 1
        with (trainer.run.path.parent / f"{trainer.run.path.name}.examples.{rank}.jsonl").open("a") as file:
            file.write(json.dumps([step, epoch, indices.tolist()]) + "\n")
        fate = settings["fate"]
        if fate is not None and not trainer.group.is_restarted and tuple(fate[1:]) == (rank, step):
            (trainer.run.path.parent / f"met-{trainer.group.ranks.count}").touch()
            os.kill(os.getpid(), signal.Signals[fate[0]])
        return batch(indices, epoch, device)

    trainer.task.batch = watched


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
