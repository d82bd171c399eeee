"""Training as a whole: from a recipe to a run folder, anew or resumed."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote
from typing import cast

import torch
from torch import nn

from whyformer.config.recipe_files import read, recipe_text
from whyformer.errors import DataError, RecipeError
from whyformer.files import write_text
from whyformer.machine import Device, automatic_precision, keep_freed_memory
from whyformer.runs.beginning.start import check_going_on, prepare_anew
from whyformer.runs.defaults import warmup_decision
from whyformer.runs.execution import choose_device
from whyformer.runs.load import open_run
from whyformer.runs.registry import load_any, task_of
from whyformer.tasks.recipe import Recipe
from whyformer.tasks.task import Prepared
from whyformer.training.ranks.group import RankGroup
from whyformer.training.settings import TrainingSpec, rate_jump
from whyformer.training.storage.fingerprint import Fingerprint, data_differences
from whyformer.training.storage.lock import LOCK, RunLock
from whyformer.training.storage.manifest import state_facts
from whyformer.training.storage.run import RunFolder, check_free, new_run
from whyformer.training.storage.state import Best
from whyformer.training.trainer import Trainer


@dataclass(frozen=True)
class _Launch:
    """Where a training computes, with whom, and who is told of it."""

    device: str
    say: Callable[[str], None]
    group: RankGroup


def start_run(
    recipe: str,
    overrides: Sequence[str],
    run: Path | None,
    *,
    device: str,
    overwrite: bool,
    say: Callable[[str], None],
    group: RankGroup | None = None,
) -> Trainer[nn.Module]:
    """Prepare a new run: read the data, train the tokenizers, check for leaks, write the first state.

    Nothing is written, and no older run is replaced, before recipe and data are known to be sound. The
    trainer holds the lock of the folder until its training ends. ``say`` is told what was read and decided.

    Rank 0 of a ``group`` does so, and the others read what it has written. Ranks that were started anew go on
    with what the run has come to.

    Raises:
        WhyformerError: recipe, data or folder are not fit; the sentence says which and why.
        CheckpointError: another process writes into the folder.
    """
    launch = _Launch(device, say, RankGroup() if group is None else group)
    path = Path("runs") / Path(recipe).stem if run is None else run
    if launch.group.is_restarted and launch.group.told(lambda: RunFolder(path).recipe.exists()):
        return resume_run(path, (), device=device, say=say, group=group)

    def begin() -> Trainer[nn.Module]:
        if run is None:
            read(recipe)  # which says that there is no such recipe, and not what lies in a folder of its name
        _check_place(path, overwrite=overwrite)
        # Reads the data where they decide something, which may take long.
        spec = load_any(recipe, overrides, to_train=True, say=say)
        _check_place(path, overwrite=overwrite)
        with ExitStack() as stack:
            lock = stack.enter_context(RunLock(path))
            trainer = _started(spec, lock, launch, overwrite=overwrite)
            stack.pop_all()
            return trainer

    return launch.group.first(begin) or _followed(path, (), launch)


def _followed(path: Path, overrides: Sequence[str], launch: _Launch) -> Trainer[nn.Module]:
    """The run in ``path`` as another rank has made it ready, for this one, which only computes."""
    return _resumed(RunLock(path), overrides, replace(launch, say=list[str]().append), accept_data=True)


def _check_place(path: Path, *, overwrite: bool) -> None:
    """Refuse a folder that is not free for a new run, unless somebody holds its lock, who is named later."""
    if not (path / LOCK).exists():
        # What is no run shall not even get a lock.
        check_free(path, overwrite=overwrite)


def _started(spec: Recipe, lock: RunLock, launch: _Launch, *, overwrite: bool) -> Trainer[nn.Module]:
    """A new run in the folder of the ``lock``, which is held."""
    path, say = lock.folder, launch.say
    check_free(path, overwrite=overwrite)
    prepared = prepare_anew(spec, path, say)
    spec = spec if prepared.recipe is None else prepared.recipe
    trainer = _trainer(spec, prepared, lock, launch)
    if warmup := warmup_decision(spec.training, trainer.total_steps):
        say(str(warmup))
    trainer.check()
    new_run(path, overwrite=overwrite)
    write_text(trainer.run.recipe, recipe_text(spec.model_copy(update={"training": trainer.spec})))
    prepared.assets.save(path)
    precision = spec.training.precision
    if precision == "auto":
        precision, _ = automatic_precision(cast(Device, trainer.device.type))
    trainer.start(precision)
    return trainer


def resume_run(
    path: Path,
    overrides: Sequence[str],
    *,
    device: str,
    say: Callable[[str], None],
    accept_data: bool = False,
    group: RankGroup | None = None,
) -> Trainer[nn.Module]:
    """Prepare to resume the run in ``path``; ``overrides`` may only change the recipe's training.

    Nothing is written before the training goes on, not even the changed recipe. The trainer holds the lock of
    the folder until its training ends. ``say`` is told what was read.

    Args:
        path: the run's folder.
        overrides: ``path=value`` each.
        device: auto, cpu, cuda or mps.
        say: told a line at a time.
        accept_data: go on even where the data is not what the training began with.
        group: ranks that train together, as many as one likes, whatever the number was before.

    Raises:
        RecipeError: an override changes more than training, or what a run must keep, or leaves nothing to do.
        DataError: the data has changed.
        CheckpointError: the folder or its state cannot be used, or another process writes into it.
    """
    launch = _Launch(device, say, RankGroup() if group is None else group)
    folder = RunFolder(path)

    def prepare() -> Trainer[nn.Module]:
        if not folder.recipe.exists():
            open_run(path)  # says that this is no run
        with ExitStack() as stack:
            lock = stack.enter_context(RunLock(path))
            if folder.state.exists() or folder.weights.exists():
                trainer = _resumed(lock, overrides, launch, accept_data=accept_data)
            else:
                # Stopped before its first state was written: nothing is lost by beginning anew.
                trainer = _started(load_any(str(folder.recipe), overrides), lock, launch, overwrite=True)
            stack.pop_all()
            return trainer

    return launch.group.first(prepare) or _followed(path, overrides, launch)


def _resumed(
    lock: RunLock, overrides: Sequence[str], launch: _Launch, *, accept_data: bool
) -> Trainer[nn.Module]:
    """The run in the folder of the ``lock``, which is held by rank 0, where its state stands."""
    path, say = lock.folder, launch.say
    folder, before, task, assets = open_run(path)
    spec = load_any(str(folder.recipe), overrides)
    check_going_on(folder, spec, before)
    if fixed := spec.training.fixed_changes(before.training):
        raise RecipeError(
            f"{path}: a run that goes on keeps its {', '.join(fixed)}; start a new one for others."
        )
    prepared = task.prepare(spec, assets)
    changed = _data_changes(folder, prepared.data, say)
    words = "; ".join(changed.values())
    if changed and not accept_data:
        raise DataError(
            f"{path}: its data is not what the training began with ({words}); put the old data "
            f"back, or go on with what is there now by `whyformer train {quote(str(path))} --accept-data`."
        )
    spec = spec if prepared.recipe is None else prepared.recipe
    trainer = _trainer(spec, prepared, lock, launch)
    trainer.resume()
    _refuse_nothing_to_do(trainer, before.training, new_data=bool(changed))
    if changed:
        say(f"going on with other data, as accepted ({words})")
    if "valid" in changed:
        # What was best on the old validation set cannot be compared with what comes.
        trainer.progress.best = Best()
    _tell_rate(trainer, before.training, say)
    spec = spec.model_copy(update={"training": trainer.spec})
    if spec != before:
        trainer.recipe = recipe_text(spec)
    return trainer


def _data_changes(
    folder: RunFolder, now: Mapping[str, Fingerprint], say: Callable[[str], None]
) -> dict[str, str]:
    """Changes of the data since the state of ``folder`` was saved, in words by side."""
    before = state_facts(folder.state).get("data")
    if before is None:
        say("this run is older than fingerprints of data: whether its data has changed cannot be told")
        return {}
    return data_differences(before, now)


def _refuse_nothing_to_do(trainer: Trainer[nn.Module], before: TrainingSpec, *, new_data: bool) -> None:
    """Refuse limits that were changed and leave nothing to do, or ones that new data has brought near.

    Raises:
        RecipeError: they do.
    """
    progress, reached = trainer.progress, trainer.limits_reached()
    if reached and (new_data or trainer.spec.limits() != before.limits()):
        raise RecipeError(
            f"{trainer.run.path}: {progress.step:,} steps are done in {progress.seconds / 60:.3g} minutes "
            f"({trainer.steps_per_epoch:,} steps are an epoch), and {' and '.join(reached)} leaves nothing "
            "to do; ask for more."
        )


def _tell_rate(trainer: Trainer[nn.Module], before: TrainingSpec, say: Callable[[str], None]) -> None:
    """Say where the learning rate jumps because the schedule is laid over another number of steps."""
    progress, now = trainer.progress, trainer.total_steps
    # Of other data the old number of steps is known from the first epoch on.
    per_epoch = (
        (progress.step - progress.position) // progress.epoch if progress.epoch else trainer.steps_per_epoch
    )
    then = before.total_steps(per_epoch)
    if jump := rate_jump(before.schedule, trainer.spec.schedule, progress.step, then, now):
        say(jump)


def _trainer(spec: Recipe, prepared: Prepared, lock: RunLock, launch: _Launch) -> Trainer[nn.Module]:
    launch.group.check_enough(spec.training.batching.accumulate)
    for line in (prepared.summary, *prepared.decisions):
        launch.say(line)
    keep_freed_memory()
    torch.manual_seed(spec.training.seed)
    folder = RunFolder(lock.folder, prepared.assets.fingerprints, prepared.data)
    curves = task_of(spec).summary(spec).curves
    return Trainer(
        prepared.build(),
        prepared.task,
        spec.training,
        folder,
        choose_device(launch.device),
        curves=curves,
        lock=lock,
        group=launch.group,
    )
