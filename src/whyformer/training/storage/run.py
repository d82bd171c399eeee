"""The run folder: all that a training leaves on disk, and all that is needed to resume or to use it."""

import json
import shutil
from collections.abc import Container, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import Any

from torch import Tensor, nn

from whyformer.errors import CheckpointError
from whyformer.files import check_writable, explained, write_text
from whyformer.training.storage.checkpoint import (
    load_tensors,
    save_tensors,
)
from whyformer.training.storage.fingerprint import Fingerprint
from whyformer.training.storage.lock import is_lock_file
from whyformer.training.storage.manifest import state_facts


class RunFolder:
    """The files of one run.

    ==========================  =====================================================
    ``recipe.yaml``             the whole recipe, every key written out
    ``tokenizer*.json``         one joint tokenizer, or one for each side
    ``model.safetensors``       the weights to use: the best so far
    ``snapshots/``              weights of the last validations, for averaging
    ``state/last.safetensors``  weights, optimizer and progress, for resuming
    ``state/last.json``         the same of ranks that spread them: names their files beside it
    ``metrics.jsonl``           a line for every log entry and validation
    ``curves.png``              the same, drawn
    ``tensorboard/``            the same, as events
    ``.lock``                   there while a process writes into the folder
    ==========================  =====================================================
    """

    def __init__(
        self, path: Path, assets: Sequence[str] = (), data: Mapping[str, Fingerprint] | None = None
    ) -> None:
        """Name the files.

        Args:
            path: the folder.
            assets: fingerprints of the files without which the weights mean nothing.
            data: fingerprints of the data that is trained on, and judged by.
        """
        self.path = path
        self.assets = list(assets)
        self.data = dict(data or {})
        self.recipe = path / "recipe.yaml"
        self.weights = path / "model.safetensors"
        self.whole_state = path / "state" / "last.safetensors"
        self.state_manifest = path / "state" / "last.json"
        self.metrics = path / "metrics.jsonl"
        self.curves = path / "curves.png"
        self.tensorboard = path / "tensorboard"

    @property
    def state(self) -> Path:
        """The state that stands, as one file or as the manifest of several."""
        present = [path for path in (self.whole_state, self.state_manifest) if path.exists()]
        # Both are there where a training changed from one to the other and was killed at it.
        return max(present, key=_age) if len(present) > 1 else present[0] if present else self.whole_state

    @property
    def snapshots(self) -> list[Path]:
        """Weights of the last validations, oldest first."""
        return sorted((self.path / "snapshots").glob("step-" + 8 * "[0-9]" + ".safetensors"))

    @property
    def state_parts(self) -> list[Path]:
        """Files that hold parts of states, or of one that was not finished."""
        return sorted(self.state_manifest.parent.glob("step-*.safetensors"))

    def forget_states(self, present: Path, keep: Container[str] = ()) -> None:
        """Remove every state but the ``present`` one, and of its parts all but those to ``keep``, by name."""
        # Manifests first, so that none is ever without its parts.
        whole = [path for path in (self.state_manifest, self.whole_state) if path != present]
        for path in [*whole, *(path for path in self.state_parts if path.name not in keep)]:
            with _explained(path):
                path.unlink(missing_ok=True)

    def snapshot(self, step: int) -> Path:
        """Path of the weights of the validation after ``step``."""
        return self.path / "snapshots" / f"step-{step:08d}.safetensors"

    def save_snapshot(self, model: nn.Module, step: int, scores: Mapping[str, float], keep: int) -> None:
        """Write the weights of a validation after ``step`` and drop all but the last ``keep``."""
        save_tensors(self.snapshot(step), model.state_dict(), self._facts(step, scores))
        for old in self.snapshots[:-keep]:
            with _explained(old):
                old.unlink()

    def save_weights(self, model: nn.Module, step: int, scores: Mapping[str, float]) -> None:
        """Write the weights to use, those after ``step``."""
        save_tensors(self.weights, model.state_dict(), self._facts(step, scores))

    def find_weights(self, chosen: str | Path | None = None) -> Path:
        """The file of the weights to use: the ``chosen`` one, else the run's own.

        Raises:
            CheckpointError: there is no such file; the message names those that there are.
        """
        path = self.weights if chosen is None else Path(chosen)
        if path.is_file():
            return path
        present = [*sorted(self.path.glob("*.safetensors")), *self.snapshots]
        if chosen is None or not present:
            raise CheckpointError(
                f"{path}: there is no such file, and the run has no weights without it; "
                f"go on with `whyformer train {quote(str(self.path))}`."
            )
        raise CheckpointError(
            f"{path}: there is no such file of weights; the run has {', '.join(map(str, present))}."
        )

    def read_weights(self, path: Path) -> dict[str, Tensor]:
        """Weights of this run, its own or others, such as a snapshot's.

        Raises:
            CheckpointError: they are missing or damaged, or were trained with another tokenizer.
        """
        tensors, facts = load_tensors(path)
        self.check_assets(facts, path)
        return tensors

    def check_assets(self, facts: Mapping[str, Any], path: Path) -> None:
        """Refuse weights that were trained with other assets (tokenizers) than those of this folder.

        Raises:
            CheckpointError: the fingerprints in the ``facts`` of ``path`` are not those of its files.
        """
        # Older files name both sides of a translation, even where one tokenizer served.
        told = facts.get("assets", facts.get("tokenizers", ()))
        if list(dict.fromkeys(told)) != list(dict.fromkeys(self.assets)):
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

    def forget_after(self, step: int, *, finished: bool) -> None:
        """Drop what was written after the state of ``step``, and unfinished files.

        A run that is ``finished`` has also measured the average of its snapshots.
        """
        kept = [record for record in self.records() if _belongs(record, step, finished=finished)]
        write_text(self.metrics, "".join(json.dumps(record) + "\n" for record in kept))
        later = [path for path in self.snapshots if path > self.snapshot(step)]
        for path in [*later, *self.path.rglob(".*.tmp")]:
            with _explained(path):
                path.unlink(missing_ok=True)

    def _facts(self, step: int, scores: Mapping[str, float]) -> dict[str, Any]:
        return {"assets": self.assets, "step": step, "scores": dict(scores)}


def check_free(path: Path, *, overwrite: bool) -> None:
    """Refuse a folder that a new run may not or cannot be written to.

    Raises:
        CheckpointError: it holds a run already (and may not be overwritten), or something else.
        WhyformerError: it cannot be made or written to, or the disk is full.
    """
    check_writable(path)
    if RunFolder(path).recipe.exists():
        if not overwrite:
            raise CheckpointError(
                f"{path}: a run lies here already; go on with it by `whyformer train {quote(str(path))}`, "
                "replace it with --overwrite, or choose another --run."
            )
    elif path.exists() and not all(map(is_lock_file, path.iterdir())):
        raise CheckpointError(f"{path}: this is neither empty nor a run; choose another --run.")


def new_run(path: Path, *, overwrite: bool) -> Path:
    """An empty folder for a run, in place of the run that lies there with ``overwrite``.

    Whoever calls it holds the folder's lock, which stays.

    Raises:
        CheckpointError: as ``check_free``.
        WhyformerError: the folder cannot be made or emptied.
    """
    check_free(path, overwrite=overwrite)
    with _explained(path):
        if RunFolder(path).recipe.exists():
            # The recipe last: until then, what a killed process leaves is still a run that may be replaced.
            for old in sorted(path.iterdir(), key=lambda old: old == RunFolder(path).recipe):
                _remove(old)
        path.mkdir(parents=True, exist_ok=True)
    return path


def _remove(path: Path) -> None:
    if is_lock_file(path):
        return
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


@contextmanager
def _explained(path: Path) -> Generator[None]:
    """Say in a sentence why the system refuses to write ``path``."""
    try:
        yield
    except OSError as error:
        raise explained(error, path) from error


def _belongs(record: Mapping[str, Any], step: int, *, finished: bool) -> bool:
    """Whether a line of the metrics was written before the state of ``step`` was saved."""
    if record["step"] == step and record["event"] == "average":
        return finished
    return record["step"] <= step


def _age(state: Path) -> tuple[float, ...]:
    """Order of states of a run: step, end, seconds; all grow from one to the next."""
    progress = state_facts(state)["progress"]
    return progress["step"], progress["finished"], progress["seconds"]


def _record(line: str) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except json.JSONDecodeError:
        return None
    return record if isinstance(record, dict) and {"step", "event"} <= record.keys() else None
