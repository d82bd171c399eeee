"""Training as a whole: from a recipe to a run folder, anew or resumed."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import torch
from torch import nn

from whyformer.config.recipe_files import recipe_text
from whyformer.errors import RecipeError
from whyformer.files import write_text
from whyformer.machine import Device, automatic_precision, keep_freed_memory
from whyformer.runs.execution import choose_device
from whyformer.runs.load import open_run
from whyformer.runs.registry import load_any, task_of
from whyformer.runs.start import check_going_on, prepare_anew
from whyformer.tasks.recipe import Recipe
from whyformer.tasks.task import Prepared
from whyformer.training.storage.run import RunFolder, check_free, new_run
from whyformer.training.trainer import Trainer


def start_run(
    recipe: str,
    overrides: Sequence[str],
    run: Path | None,
    *,
    device: str,
    overwrite: bool,
    say: Callable[[str], None],
) -> Trainer[nn.Module]:
    """Prepare a new run: read the data, train the tokenizers, check for leaks, write the first state.

    Nothing is written, and no older run is replaced, before recipe and data are known to be sound.
    ``say`` is told what was read.

    Raises:
        WhyformerError: recipe, data or folder are not fit; the sentence says which and why.
    """
    spec = load_any(recipe, overrides, to_train=True, say=say)
    path = Path("runs") / Path(recipe).stem if run is None else run
    check_free(path, overwrite=overwrite)
    prepared = prepare_anew(spec, path, say)
    trainer = _trainer(spec, prepared, path, device, say)
    trainer.check()
    new_run(path, overwrite=overwrite)
    write_text(trainer.run.recipe, recipe_text(spec))
    prepared.assets.save(path)
    precision = spec.training.precision
    if precision == "auto":
        precision, _ = automatic_precision(cast(Device, trainer.device.type))
    trainer.start(precision)
    return trainer


def resume_run(
    path: Path, overrides: Sequence[str], *, device: str, say: Callable[[str], None]
) -> Trainer[nn.Module]:
    """Prepare to resume the run in ``path``; ``overrides`` may only change the recipe's training.

    ``say`` is told what was read.

    Raises:
        RecipeError: an override changes more than training, or what a run must keep.
        CheckpointError: the folder or its state cannot be used.
    """
    folder = RunFolder(path)
    if folder.recipe.exists() and not (folder.state.exists() or folder.weights.exists()):
        # Stopped before its first state was written: nothing is lost by beginning anew.
        return start_run(str(folder.recipe), overrides, path, device=device, overwrite=True, say=say)
    folder, before, task, assets = open_run(path)
    spec = load_any(str(folder.recipe), overrides)
    check_going_on(folder, spec, before)
    if fixed := spec.training.fixed_changes(before.training):
        raise RecipeError(
            f"{path}: a run that goes on keeps its {', '.join(fixed)}; start a new one for others."
        )
    trainer = _trainer(spec, task.prepare(spec, assets), path, device, say)
    trainer.resume()
    if spec != before:
        write_text(folder.recipe, recipe_text(spec))
    return trainer


def _trainer(
    spec: Recipe, prepared: Prepared, path: Path, device: str, say: Callable[[str], None]
) -> Trainer[nn.Module]:
    say(prepared.summary)
    keep_freed_memory()
    torch.manual_seed(spec.training.seed)
    folder = RunFolder(path, prepared.assets.fingerprints)
    curves = task_of(spec).summary(spec).curves
    return Trainer(
        prepared.build(), prepared.task, spec.training, folder, choose_device(device), curves=curves
    )
