"""The run folder: all that a training leaves on disk, and all that is needed to go on or to use it."""

import json
import shutil
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from whyformer.errors import CheckpointError
from whyformer.files import explained, write_text
from whyformer.machine import Precision
from whyformer.training.checkpoint import (
    load_optimizer,
    load_tensors,
    load_weights,
    optimizer_tensors,
    save_tensors,
)


@dataclass
class Tally:
    """Sums since the last line of the log."""

    loss: float = 0.0
    nll: float = 0.0
    tokens: int = 0
    seconds: float = 0.0

    def add(self, loss: float, nll: float, tokens: int, seconds: float) -> None:
        """Count one more step."""
        self.loss += loss
        self.nll += nll
        self.tokens += tokens
        self.seconds += seconds


@dataclass
class Best:
    """The best validation so far."""

    scores: dict[str, float] = field(default_factory=dict)
    """Its figures; empty before the first validation."""
    step: int = 0
    """The step it came after."""
    stale: int = 0
    """Validations since."""


@dataclass
class Progress:
    """Where a run stands; with the weights and the optimizer's state it decides all that follows."""

    step: int = 0
    """Steps of the optimizer done."""
    epoch: int = 0
    """Passes over the data done, not counting the present one."""
    position: int = 0
    """Steps of the present pass done, up to all of them."""
    seconds: float = 0.0
    """Training time so far, validations included."""
    precision: Precision = "fp32"
    """Of matrix products, fixed when the run began."""
    best: Best = field(default_factory=Best)
    tally: Tally = field(default_factory=Tally)
    finished: bool = False
    """Whether the snapshots have been averaged, after which nothing is left to do."""


class RunFolder:
    """The files of one run.

    ==========================  =====================================================
    ``recipe.yaml``             the whole recipe, every key written out
    ``tokenizer*.json``         one joint tokenizer, or one for each side
    ``model.safetensors``       the weights to use: the best so far
    ``snapshots/``              weights of the last validations, for averaging
    ``state/last.safetensors``  weights, optimizer and progress, for going on
    ``metrics.jsonl``           a line for every log entry and validation
    ``curves.png``              the same, drawn
    ``tensorboard/``            the same, as events
    ==========================  =====================================================
    """

    def __init__(self, path: Path, tokenizers: Sequence[str] = ()) -> None:
        self.path = path
        self.tokenizers = list(tokenizers)
        self.recipe = path / "recipe.yaml"
        self.weights = path / "model.safetensors"
        self.state = path / "state" / "last.safetensors"
        self.metrics = path / "metrics.jsonl"
        self.curves = path / "curves.png"
        self.tensorboard = path / "tensorboard"

    @property
    def snapshots(self) -> list[Path]:
        """Weights of the last validations, oldest first."""
        return sorted((self.path / "snapshots").glob("step-" + 8 * "[0-9]" + ".safetensors"))

    def snapshot(self, step: int) -> Path:
        """Where the weights of the validation after ``step`` lie."""
        return self.path / "snapshots" / f"step-{step:08d}.safetensors"

    def save_state(self, model: nn.Module, optimizer: torch.optim.Optimizer, progress: Progress) -> None:
        """Write all that going on needs, in one file, so that its parts always fit together."""
        weights = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
        moments = {f"optimizer.{name}": tensor for name, tensor in optimizer_tensors(optimizer).items()}
        save_tensors(self.state, weights | moments, {"tokenizers": self.tokenizers, **_written(progress)})

    def load_state(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> Progress:
        """Put the model and the optimizer where they were, and drop what was written after that.

        Raises:
            CheckpointError: the state is missing, damaged, or does not fit the recipe or the tokenizers.
        """
        tensors, facts = load_tensors(self.state)
        progress = _read(facts, self.state)
        self.check_tokenizers(facts, self.state)
        load_weights(model, _under("model.", tensors), self.state)
        load_optimizer(optimizer, _under("optimizer.", tensors), self.state)
        self._forget_after(progress)
        return progress

    def save_snapshot(
        self, model: nn.Module, progress: Progress, scores: Mapping[str, float], keep: int
    ) -> None:
        """Write the weights of a validation and drop all but the last ``keep``."""
        save_tensors(self.snapshot(progress.step), model.state_dict(), self._facts(progress, scores))
        for old in self.snapshots[:-keep]:
            with _explained(old):
                old.unlink()

    def save_weights(self, model: nn.Module, progress: Progress, scores: Mapping[str, float]) -> None:
        """Write the weights to use."""
        save_tensors(self.weights, model.state_dict(), self._facts(progress, scores))

    def read_weights(self, path: Path) -> dict[str, Tensor]:
        """Weights of this run, its own or others, such as a snapshot's.

        Raises:
            CheckpointError: they are missing or damaged, or were trained with another tokenizer.
        """
        tensors, facts = load_tensors(path)
        self.check_tokenizers(facts, path)
        return tensors

    def check_tokenizers(self, facts: Mapping[str, Any], path: Path) -> None:
        """Refuse weights that were trained with other tokenizers than those of this folder.

        Raises:
            CheckpointError: the fingerprints in the ``facts`` of ``path`` are not those of the tokenizers.
        """
        if facts.get("tokenizers") != self.tokenizers:
            raise CheckpointError(
                f"{path}: these weights were trained with another tokenizer than the one in {self.path}; "
                "put the right tokenizer.json back, or take the weights of this run."
            )

    def log(self, record: Mapping[str, Any]) -> None:
        """Add a line to the metrics."""
        with _explained(self.metrics), self.metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def records(self) -> list[dict[str, Any]]:
        """The lines of the metrics; one that a power failure cut off or damaged is skipped."""
        if not self.metrics.exists():
            return []
        with _explained(self.metrics):
            lines = self.metrics.read_text(encoding="utf-8", errors="replace").splitlines()
        return [record for line in lines if (record := _record(line)) is not None]

    def _facts(self, progress: Progress, scores: Mapping[str, float]) -> dict[str, Any]:
        return {"tokenizers": self.tokenizers, "step": progress.step, "scores": dict(scores)}

    def _forget_after(self, progress: Progress) -> None:
        """Drop what a killed process wrote after ``progress``, and what it did not write to the end."""
        kept = [record for record in self.records() if _belongs(record, progress)]
        write_text(self.metrics, "".join(json.dumps(record) + "\n" for record in kept))
        later = [path for path in self.snapshots if path > self.snapshot(progress.step)]
        for path in [*later, *self.path.rglob(".*.tmp")]:
            with _explained(path):
                path.unlink(missing_ok=True)


def check_free(path: Path, *, overwrite: bool) -> None:
    """Refuse a folder that a new run may not be written to.

    Raises:
        CheckpointError: it holds a run already (and may not be overwritten), or something else.
    """
    if RunFolder(path).recipe.exists():
        if not overwrite:
            raise CheckpointError(
                f"{path}: a run lies here already; go on with it by `whyformer train {path}`, "
                "replace it with --overwrite, or choose another --run."
            )
    elif path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise CheckpointError(f"{path}: this is neither empty nor a run; choose another --run.")


def new_run(path: Path, *, overwrite: bool) -> Path:
    """An empty folder for a run, in place of the run that lies there with ``overwrite``.

    Raises:
        CheckpointError: as ``check_free``.
        WhyformerError: the folder cannot be made or emptied.
    """
    check_free(path, overwrite=overwrite)
    with _explained(path):
        if RunFolder(path).recipe.exists():
            shutil.rmtree(path)
        path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def _explained(path: Path) -> Generator[None]:
    """Say in a sentence what the system has against writing ``path``."""
    try:
        yield
    except OSError as error:
        raise explained(error, path) from error


def _written(progress: Progress) -> dict[str, Any]:
    """``progress`` as facts of a state file."""
    best = progress.best
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
        "tally": asdict(progress.tally),
    }


def _read(facts: Mapping[str, Any], path: Path) -> Progress:
    """What ``_written`` wrote."""
    if "progress" not in facts:
        raise CheckpointError(
            f"{path}: these are weights alone, not the state of a training; restore the state."
        )
    told = dict(facts["progress"])
    best = Best(told.pop("best"), told.pop("best_step"), told.pop("stale"))
    return Progress(**told, best=best, tally=Tally(**facts.get("tally", {})))


def _belongs(record: Mapping[str, Any], progress: Progress) -> bool:
    """Whether a line of the metrics was written before the state of ``progress`` was saved."""
    if record["step"] == progress.step and record["event"] == "average":
        return progress.finished
    return record["step"] <= progress.step


def _record(line: str) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except json.JSONDecodeError:
        return None
    return record if isinstance(record, dict) and {"step", "event"} <= record.keys() else None


def _under(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
