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
    load_weights,
    optimizer_tensors,
    save_tensors,
)
from whyformer.training.storage.fingerprint import fingerprints_record
from whyformer.training.storage.run import RunFolder
from whyformer.training.storage.saved import SavedState, open_state


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
        path = self._run.whole_state
        save_tensors(path, tensors_of(model, optimizer), recorded_facts(self._run, progress))
        self._run.forget_states(path)

    def load(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> Progress:
        """Put the model and the optimizer where they were; see ``StateStore``."""
        state = open_state(self._run.state)
        progress = progress_of(state.facts, state.path)
        self._run.check_assets(state.facts, state.path)
        weights = {name: _whole(state, f"model.{name}") for name in under("model.", state)}
        load_weights(model, weights, state.path)
        moments = {name: _whole(state, f"optimizer.{name}") for name in under("optimizer.", state)}
        load_optimizer(optimizer, moments, state.path)
        return progress


def tensors_of(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """All tensors of a state by name, those of the model and those of the optimizer."""
    weights = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    moments = {f"optimizer.{name}": tensor for name, tensor in optimizer_tensors(optimizer).items()}
    return weights | moments


def recorded_facts(run: RunFolder, progress: Progress) -> dict[str, Any]:
    """The facts of a state."""
    return {"assets": run.assets, "data": fingerprints_record(run.data), **_written(progress)}


def under(prefix: str, state: SavedState) -> list[str]:
    """Names of the tensors that begin with ``prefix``, without it."""
    return [name.removeprefix(prefix) for name in state.shapes if name.startswith(prefix)]


def _whole(state: SavedState, name: str) -> Tensor:
    shape = state.shapes[name]
    return state.rows(name, 0, shape[0] if shape else 1)


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


def progress_of(facts: Mapping[str, Any], path: Path) -> Progress:
    """The progress in the ``facts`` of the state at ``path``.

    Raises:
        CheckpointError: it is not the state of a training.
    """
    if "progress" not in facts:
        raise CheckpointError(
            f"{path}: these are weights alone, not the state of a training; restore the state."
        )
    told = dict(facts["progress"])
    best = Best(told.pop("best"), told.pop("best_step"), told.pop("stale"))
    sums = dict(facts.get("tally", {}))
    own = {name: sums.pop(name) for name in ("loss", "tokens", "seconds") if name in sums}
    return Progress(**told, best=best, tally=Tally(**own, figures=sums))
