"""The tasks, by name: the one table that lists them. A new task is a folder in ``tasks`` and a row here."""

import json
import warnings
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from whyformer.config.defaults import merged
from whyformer.config.paths import PathKey
from whyformer.config.recipe_files import RecipeLayer, Source, differences, read, shipped
from whyformer.errors import DataError, RecipeError, WhyformerNote
from whyformer.runs.defaults import decided
from whyformer.runs.inputs import check_inputs, run_fault
from whyformer.tasks.bidirectional_lm.task import BidirectionalLMTask
from whyformer.tasks.causal_lm.task import CausalLMTask
from whyformer.tasks.classification.task import ClassificationTask
from whyformer.tasks.masked_lm.task import MaskedLMTask
from whyformer.tasks.recipe import Recipe
from whyformer.tasks.speech.task import SpeechTask
from whyformer.tasks.task import Task
from whyformer.tasks.translation.task import TranslationTask
from whyformer.tasks.video.task import VideoTask
from whyformer.training.storage.run import RunFolder

# Each has recipes, assets and runners of its own, which only it can tell apart: hence `Any`.
AnyTask = Task[Any, Any, Any]

TASKS: dict[str, AnyTask] = {
    task.name: task
    for task in (
        TranslationTask(),
        CausalLMTask(),
        MaskedLMTask(),
        BidirectionalLMTask(),
        ClassificationTask(),
        SpeechTask(),
        VideoTask(),
    )
}


def find_task(name: str) -> AnyTask:
    """The task called ``name``.

    Raises:
        RecipeError: there is none.
    """
    if name not in TASKS:
        *most, last = TASKS
        raise RecipeError(f"there is no task {name}; a recipe's `task` is {', '.join(most)} or {last}.")
    return TASKS[name]


def task_of(recipe: Recipe) -> AnyTask:
    """The task that ``recipe`` is for."""
    return find_task(recipe.task)


def load_any(
    recipe: str,
    overrides: Sequence[str] = (),
    *,
    to_train: bool = False,
    say: Callable[[str], None] = lambda _line: None,
) -> Recipe:
    """The recipe by name or file, whatever its task, with what it leaves to other files filled in.

    Args:
        recipe: its name or file.
        overrides: ``path=value`` each.
        to_train: look for all files that it names, before one of them is read, and let the data decide
            what it leaves out.
        say: told what it inherits where it names files of its own, and each decision.

    Raises:
        RecipeError: see ``load_recipe``; or what it says of the run that it starts from does not fit.
        DataError: a file that it is to be completed from cannot be read; ``to_train``, any cannot.
    """
    source = read(recipe)
    task = find_task(source.task)
    _refuse_other_task(source, overrides)
    notes = source.notes(task.recipe_type, overrides)
    paths = source.paths(task.recipe_type, overrides) if to_train or not source.written else []
    decisions = task.implied(source.said(overrides))
    overrides = [*overrides, *(decision.override for decision in decisions)]
    started = _start_of(paths)
    with _told_of_data(notes, say):
        if to_train:
            _check_files_and_keys(source, task, overrides, paths)
    # A run has written down what it took; what it started from may be gone.
    begun = read_start(started) if started is not None and not source.written else None
    below = None if begun is None or started is None else task.taken(begun, started)
    with _told_of_data(notes, say):
        if to_train:
            spec, by_data = decided(task, source, overrides, below)
        else:
            spec = task.complete(source.spec(task.recipe_type, overrides, below))
            spec, by_data = task.found(spec) if source.written and overrides else (spec, [])
    for line in (*notes, *decisions, *by_data):
        say(str(line))
    if begun is not None:
        check_kept(task, spec, begun)
    return spec


def load_undecided(
    recipe: str, overrides: Sequence[str] = (), say: Callable[[str], None] = lambda _line: None
) -> tuple[Recipe, bool]:
    """The recipe by name or file before its data have decided anything, and whether it is a run's.

    What its data would decide stands in it provisionally. Unless it is a run's, its files are looked for.
    ``say`` is told what it inherits where it names files of its own.

    Raises:
        RecipeError: see ``load_recipe``.
        DataError: a file that it names is not there or cannot be opened.
    """
    source = read(recipe)
    task = find_task(source.task)
    if source.written:
        return load_any(recipe, overrides), True
    _refuse_other_task(source, overrides)
    notes = source.notes(task.recipe_type, overrides)
    paths = source.paths(task.recipe_type, overrides)
    with _told_of_data(notes, say):
        _check_files_and_keys(source, task, overrides, paths)
    decisions = task.implied(source.said(overrides))
    provisional = _provisional(source, task, overrides, paths)
    changes = [*overrides, *(decision.override for decision in decisions)]
    spec, found = task.found(source.spec(task.recipe_type, changes, provisional))
    for line in (*notes, *decisions, *found):
        say(str(line))
    return task.complete(spec), False


def _check_files_and_keys(
    source: Source, task: AnyTask, overrides: Sequence[str], paths: Sequence[PathKey]
) -> None:
    """Refuse files of a recipe that cannot be read, and tell faults of its keys in the same breath.

    Where all files are sound the keys are checked later, when the data have decided what it leaves open.

    Raises:
        DataError: a file is not there or cannot be read.
    """
    try:
        check_inputs(paths, source.recipe)
    except DataError as error:
        started = _start_of(paths)
        if started is not None and run_fault(started):
            raise  # what it would bring is not known
        try:
            source.spec(task.recipe_type, overrides, _provisional(source, task, overrides, paths))
        except RecipeError as fault:
            raise DataError(f"{fault}\n{error}") from None
        raise


def _start_of(paths: Sequence[PathKey]) -> Path | None:
    """Folder of the run that a recipe starts from."""
    return next((path for key, path, holds in paths if (key, holds) == ("start", "run")), None)


def _provisional(
    source: Source, task: AnyTask, overrides: Sequence[str], paths: Sequence[PathKey]
) -> RecipeLayer | None:
    """Keys that stand where a recipe says nothing and its data have not decided; None if there are none.

    Raises:
        RecipeError: what it starts from is no run.
    """
    started = _start_of(paths)
    below = {} if started is None else task.taken(read_start(started), started)
    return merged(task.provisional(source.said(overrides)), below) or None


def _refuse_other_task(source: Source, overrides: Sequence[str]) -> None:
    """Refuse an override of the task, which all other keys of a recipe belong to.

    Raises:
        RecipeError: there is one.
    """
    asked = source.said(overrides).get("task", source.task)
    # What is no name of a task at all is a fault of the recipe like others.
    if isinstance(asked, str) and asked != source.task:
        find_task(asked)
        ours = [name for name in shipped() if read(name).task == asked]
        among = f"({', '.join(ours)}) " if ours else ""
        raise RecipeError(
            f"task={asked}: recipe {source.recipe} is of task {source.task}, and so are all its keys; take a "
            f"recipe of task {asked} {among}or write one, which may begin with a trained run (start: RUN)."
        )


@contextmanager
def _told_of_data(notes: Sequence[str], say: Callable[[str], None]) -> Generator[None]:
    """Say of faulty data what a recipe has inherited; of a faulty recipe its error says it."""
    try:
        yield
    except DataError:
        for note in notes:
            say(note)
        raise


def read_start(folder: Path) -> Recipe:
    """The recipe of the run that another starts from.

    Raises:
        RecipeError: this is no run, or its recipe cannot be read.
    """
    if fault := run_fault(folder):
        raise RecipeError(f"start: {fault}")
    with warnings.catch_warnings():
        # A run is what it is: nobody is asked to rename the keys of its recipe.
        warnings.simplefilter("ignore", WhyformerNote)
        return load_any(str(RunFolder(folder).recipe))


def check_kept(task: AnyTask, spec: Recipe, begun: Recipe) -> None:
    """Refuse a recipe that describes other assets than those of the run, ``begun``, that it starts from.

    Raises:
        RecipeError: it does; it names the keys.
    """
    ours, theirs = spec.model_dump(mode="json"), begun.model_dump(mode="json")
    for name in task.asset_keys:
        for key, (new, old) in differences(ours[name], theirs[name], name).items():
            raise RecipeError(
                f"{key}: is {json.dumps(new)}, but the run in {spec.start} was trained with "
                f"{json.dumps(old)}, and its weights know no other; leave {name} out, or start from no run."
            )
