"""The mean of a run's snapshots: often better than each of them (Vaswani et al. 2017, section 6.1)."""

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from whyformer.errors import CheckpointError
from whyformer.runs.load import open_run
from whyformer.training.storage.checkpoint import average_weights, load_tensors, save_tensors
from whyformer.training.storage.lock import RunLock
from whyformer.training.storage.run import RunFolder


def last_snapshots(run: Path, count: int | None = None) -> list[Path]:
    """The last ``count`` snapshots of the run in the folder ``run``, oldest first; all if it is None.

    Raises:
        CheckpointError: this is no run, or it has fewer snapshots.
    """
    folder = open_run(run).folder
    present = folder.snapshots
    if not present:
        raise CheckpointError(f"{run}: has no snapshots; a run gets one with each validation.")
    if count is not None and count > len(present):
        raise CheckpointError(
            f"{run}: has {len(present)} snapshots, not {count}; ask for fewer, or train with a larger "
            "training.validation.average."
        )
    return present if count is None else present[-count:]


def write_average(run: Path, snapshots: Sequence[Path], output: Path | None = None) -> Path:
    """Write the mean of the weights in ``snapshots`` so that the run can use it; the file comes back.

    Without an ``output`` it is ``average.safetensors`` in the folder of the run.

    Raises:
        CheckpointError: a snapshot cannot be read, is of another model, or was trained with other tokenizers;
            or the file is to lie in the run while another process writes into that.
    """
    folder = open_run(run).folder
    path = folder.path / "average.safetensors" if output is None else output
    inside = path.resolve().is_relative_to(run.resolve())
    with RunLock(run) if inside else nullcontext():
        _write(folder, snapshots, path)
    return path


def _write(folder: RunFolder, snapshots: Sequence[Path], path: Path) -> None:
    step = max(_step(folder, snapshot) for snapshot in snapshots)
    facts = {
        "assets": folder.assets,
        "step": step,
        "scores": {},
        "averaged": [snapshot.name for snapshot in snapshots],
    }
    save_tensors(path, average_weights(snapshots), facts)


def _step(folder: RunFolder, snapshot: Path) -> int:
    """The step after which ``snapshot`` was taken, if it belongs to the run in ``folder``."""
    _, facts = load_tensors(snapshot)
    folder.check_assets(facts, snapshot)
    return int(facts["step"])
