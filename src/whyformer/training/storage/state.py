"""The state of a training: all that resuming needs, and the place where it is kept."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from whyformer.errors import CheckpointError
from whyformer.machine import Precision
from whyformer.training.storage.checkpoint import (
    load_optimizer,
    load_tensors,
    load_weights,
    optimizer_tensors,
    save_tensors,
)
from whyformer.training.storage.fingerprint import fingerprints_record
from whyformer.training.storage.run import RunFolder


@dataclass
class Tally:
    """Sums since the last line of the log."""

    loss: float = 0.0
    figures: dict[str, float] = field(default_factory=dict)
    """The objective's other sums, by name."""
    tokens: int = 0
    """Number of predictions."""
    seconds: float = 0.0

    def add(self, loss: float, figures: Mapping[str, float], tokens: int, seconds: float) -> None:
        """Count one more step."""
        self.loss += loss
        for name, value in figures.items():
            self.figures[name] = self.figures.get(name, 0.0) + value
        self.tokens += tokens
        self.seconds += seconds


@dataclass
class Best:
    """The best validation so far."""

    scores: dict[str, float] = field(default_factory=dict)
    """Figures of that validation; empty before the first."""
    step: int = 0
    """Step after which it came."""
    stale: int = 0
    """Validations since then."""


@dataclass
class Progress:
    """Progress of a run; with the weights and the optimizer's state it decides all that follows."""

    step: int = 0
    """Steps of the optimizer done."""
    epoch: int = 0
    """Passes over the data done, not counting the present one."""
    position: int = 0
    """Steps of the present pass done, up to all of them."""
    seconds: float = 0.0
    """Training time so far, validations included."""
    precision: Precision = "fp32"
    """Precision of matrix products, fixed when the run began."""
    best: Best = field(default_factory=Best)
    tally: Tally = field(default_factory=Tally)
    finished: bool = False
    """Whether the snapshots have been averaged, after which nothing is left to do."""


class StateStore(Protocol):
    """A place for the state of a training."""

    def save(self, model: nn.Module, optimizer: torch.optim.Optimizer, progress: Progress) -> None:
        """Write all that resuming needs, whole or not at all.

        Raises:
            WhyformerError: the disk is full or the place cannot be written to.
        """
        ...

    def load(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> Progress:
        """Put the model and the optimizer where they were; nothing is written.

        Raises:
            CheckpointError: the state is missing, damaged, or does not fit the recipe or the assets.
        """
        ...


class SingleFileStore:
    """The state in one file of the run folder, so that its parts always fit together."""

    def __init__(self, run: RunFolder) -> None:
        self._run = run

    def save(self, model: nn.Module, optimizer: torch.optim.Optimizer, progress: Progress) -> None:
        """Write all that resuming needs, whole or not at all; see ``StateStore``."""
        weights = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
        moments = {f"optimizer.{name}": tensor for name, tensor in optimizer_tensors(optimizer).items()}
        facts = {
            "assets": self._run.assets,
            "data": fingerprints_record(self._run.data),
            **_written(progress),
        }
        save_tensors(self._run.state, weights | moments, facts)

    def load(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> Progress:
        """Put the model and the optimizer where they were; see ``StateStore``."""
        path = self._run.state
        tensors, facts = load_tensors(path)
        progress = _read(facts, path)
        self._run.check_assets(facts, path)
        load_weights(model, _under("model.", tensors), path)
        load_optimizer(optimizer, _under("optimizer.", tensors), path)
        return progress


def _written(progress: Progress) -> dict[str, Any]:
    """``progress`` as facts of a state file."""
    best, tally = progress.best, progress.tally
    return {
        "progress": {
            "step": progress.step,
            "epoch": progress.epoch,
            "position": progress.position,
            "seconds": progress.seconds,
            "precision": progress.precision,
            "best": best.scores,
            "best_step": best.step,
            "stale": best.stale,
            "finished": progress.finished,
        },
        "tally": {"loss": tally.loss, **tally.figures, "tokens": tally.tokens, "seconds": tally.seconds},
    }


def _read(facts: Mapping[str, Any], path: Path) -> Progress:
    """The progress that ``_written`` wrote."""
    if "progress" not in facts:
        raise CheckpointError(
            f"{path}: these are weights alone, not the state of a training; restore the state."
        )
    told = dict(facts["progress"])
    best = Best(told.pop("best"), told.pop("best_step"), told.pop("stale"))
    sums = dict(facts.get("tally", {}))
    own = {name: sums.pop(name) for name in ("loss", "tokens", "seconds") if name in sums}
    return Progress(**told, best=best, tally=Tally(**own, figures=sums))


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
