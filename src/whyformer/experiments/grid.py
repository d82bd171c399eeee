"""Comparisons: one recipe under changes, each trained from several seeds, alike in everything else.

The values of the axes multiply to *cells*; a cell and a seed are a *trial*: an ordinary run in the folder
``<cell>/seed-<n>``, its figures in ``result.json`` there, its output in ``<cell>/seed-<n>.log``. A comparison
that was killed resumes: finished trials are read, half-done ones go on. For example::

    axes = [Variation.of("model.encoder.block.attention.heads.query=1,2,4")]
    trials = plan_trials("demo", axes, [1, 2, 3], Path("runs/heads"), equal_steps(500))
    results = run(trials, Conditions(), jobs=2)
    for row in rows(results, "nll"):  # from experiments.results
        print(row.cell, row.estimate, row.difference)
"""

import json
import os
import re
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import count, product
from pathlib import Path
from signal import strsignal

import yaml

from whyformer.config.recipe_files import recipe_text
from whyformer.errors import DataError, RecipeError
from whyformer.experiments.trial import Conditions, Measured, read_result
from whyformer.files import write_text
from whyformer.progress import progress
from whyformer.runs.registry import load_any
from whyformer.tasks.recipe import Recipe
from whyformer.training.storage.lock import RunLock
from whyformer.training.storage.run import RunFolder


@dataclass(frozen=True)
class Variation:
    """Keys of the recipe that take the same value, and the values they take in turn, written as YAML."""

    keys: tuple[str, ...]
    values: tuple[str, ...]

    @staticmethod
    def of(text: str) -> "Variation":
        """Read ``key,key=value,value``; a comma within brackets or quotes belongs to the value.

        Raises:
            RecipeError: the text is not of this form.
        """
        keys, _, values = text.partition("=")
        listed = f"[{values}]"
        try:
            nodes = yaml.compose(listed, yaml.SafeLoader).value
        except yaml.YAMLError:
            nodes = []
        if not nodes:
            raise RecipeError(f"`{text}` should read key=value,value with values in YAML; quote odd ones.")
        found = (listed[node.start_mark.index : node.end_mark.index] for node in nodes)
        return Variation(tuple(key.strip() for key in keys.split(",")), tuple(found))


@dataclass(frozen=True, eq=False)
class Trial:
    """One run of a comparison."""

    cell: str
    settings: Mapping[str, str]
    """Changes of the cell to the recipe: YAML by key."""
    seed: int
    recipe: Recipe
    folder: Path

    def __str__(self) -> str:
        return f"{self.cell}, seed {self.seed}"

    @property
    def log(self) -> Path:
        """File of the run's output."""
        return Path(f"{self.folder}.log")


Results = dict[Trial, Measured | str]
"""Measured figures by trial, in the order of the plan; or, in a sentence, why nothing was measured."""


def equal_steps(steps: int) -> list[str]:
    """Changes to a recipe by which training takes so many steps, and nothing else ends it."""
    return [f"training.steps={steps}", "training.minutes=null", *_ENDLESS]


def equal_minutes(minutes: float) -> list[str]:
    """Changes by which training takes so long; a schedule that decays needs an override of its steps, too."""
    return [f"training.minutes={minutes}", "training.steps=null", *_ENDLESS]


_ENDLESS = ("training.epochs=null", "training.validation.patience=null")


def plan_trials(
    recipe: str,
    axes: Sequence[Variation],
    seeds: Sequence[int],
    folder: Path,
    overrides: Sequence[str] = (),
    *,
    say: Callable[[str], None] = lambda _line: None,
) -> list[Trial]:
    """All trials, seed by seed; the axes go over the ``overrides``, of which a later goes over an earlier.

    What the recipe leaves out is decided for each cell as for a run by itself; ``say`` is told each decision.

    All train in the same precision: where the recipe leaves it to the machine (auto), in fp32.

    Raises:
        RecipeError: cells do not fit, or their folders hold other runs; it names all of them.
    """
    keys = [key for axis in axes for key in axis.keys]
    if twice := [key for key in keys if keys.count(key) > 1 or key == "training.seed"]:
        raise RecipeError(f"{twice[0]} is varied twice (training.seed: by the seeds); vary each key once.")
    trials: list[Trial] = []
    faults: dict[str, str] = {}
    told: dict[str, None] = {}
    cells = _cells(axes)
    for seed, (cell, settings) in product(seeds, cells.items()):
        changes = (f"{key}={value}" for key, value in settings.items())
        try:
            spec = load_any(
                recipe, [*overrides, *changes, f"training.seed={seed}"], to_train=True, say=told.setdefault
            )
            trials.append(
                Trial(cell, settings, seed, _in_fixed_precision(spec), folder / cell / f"seed-{seed}")
            )
            _check_unchanged(trials[-1])
        except (RecipeError, DataError) as error:
            faults.setdefault(cell, str(error).replace("\n", "\n  "))
    if faults:
        listed = "".join(f"\n  {cell}: {fault}" for cell, fault in faults.items())
        raise RecipeError(f"{len(faults)} of {len(cells)} cells cannot be trained:{listed}")
    for line in told:
        say(line)
    return trials


def run(
    trials: Sequence[Trial],
    conditions: Conditions,
    jobs: int = 1,
    done: Callable[[Trial, Measured | str], None] = lambda _trial, _result: None,
) -> Results:
    """Run all that is not finished, ``jobs`` trials at a time, each in a process of its own.

    A trial that fails does not stop the others. Trials that are at work when this process is interrupted
    or killed save their state and end. ``done`` hears of each trial.
    """
    results: Results = {}
    waiting = deque(trials)
    working: dict[Trial, subprocess.Popen[str]] = {}
    try:
        with progress("training", len(trials), "runs") as advance:
            while len(results) < len(trials):
                while waiting and len(working) < jobs:
                    trial = waiting.popleft()
                    if measured := read_result(trial.folder, conditions):
                        results[trial] = measured
                        done(trial, measured)
                        advance(1)
                    else:
                        working[trial] = _start(trial, conditions)
                for trial in [trial for trial, process in working.items() if process.poll() is not None]:
                    results[trial] = _outcome(trial, working.pop(trial), conditions)
                    done(trial, results[trial])
                    advance(1)
                advance(0)
                time.sleep(0.05)
    finally:
        for process in working.values():
            process.terminate()
        for process in working.values():
            process.wait()
            process.communicate()
    return {trial: results[trial] for trial in trials}


def _cells(axes: Sequence[Variation]) -> dict[str, dict[str, str]]:
    """The settings of each cell, by a name that can be a folder."""
    # The end of an axis's first key, as short as tells it from the others.
    ends = ([".".join(axis.keys[0].split(".")[-depth:]) for axis in axes] for depth in count(1))
    names = next(found for found in ends if len(set(found)) == len(axes))
    labels = [
        [f"{name}={label}" for label in _labels(axis.values)] for name, axis in zip(names, axes, strict=True)
    ]
    cells: dict[str, dict[str, str]] = {}
    for parts, values in zip(product(*labels), product(*(axis.values for axis in axes)), strict=True):
        pairs = zip(axes, values, strict=True)
        cells[",".join(parts) or "unchanged"] = {key: value for axis, value in pairs for key in axis.keys}
    return cells


def _labels(values: Sequence[str]) -> list[str]:
    """Short names without odd characters for YAML values, numbered where they would not differ."""
    plain = ["-".join(re.findall(r"[\w.+-]+", value.replace("kind:", "")))[:60] or "none" for value in values]
    if len({label.casefold() for label in plain}) == len(plain):
        return plain
    return [f"{number}-{label}" for number, label in enumerate(plain, start=1)]


def _in_fixed_precision(recipe: Recipe) -> Recipe:
    """Automatic precision is fp32 here: else each run would measure what is faster, beside the others."""
    if recipe.training.precision != "auto":
        return recipe
    return recipe.model_copy(update={"training": recipe.training.model_copy(update={"precision": "fp32"})})


def _check_unchanged(trial: Trial) -> None:
    path = RunFolder(trial.folder).recipe
    if not path.exists():
        return
    planned, found = (each.model_dump(mode="json") for each in (trial.recipe, load_any(str(path))))
    if trial.recipe.training.schedule.warmup is None:
        # Its start has counted the steps, of which warm-up is a share.
        found["training"]["schedule"]["warmup"] = None
    if not _agree(planned, found):
        raise RecipeError(f"{trial.folder} holds a run of another recipe; remove it or choose another --run.")


def _agree(planned: object, found: object) -> bool:
    """Whether a run's recipe is what was planned, but for what its start has decided.

    That is where "auto" was planned, or no warm-up.
    """
    if isinstance(planned, dict) and isinstance(found, dict):
        return planned.keys() == found.keys() and all(
            _agree(value, found[key]) or (key == "warmup" and value is None) for key, value in planned.items()
        )
    return planned == found or planned == "auto"


def _start(trial: Trial, conditions: Conditions) -> subprocess.Popen[str]:
    path = RunFolder(trial.folder).recipe
    if not path.exists():
        with RunLock(trial.folder):
            write_text(path, recipe_text(trial.recipe))
    threads = str(conditions.threads)
    # -P: a file beside the user's recipe must not pass for a module. A session of its own: Ctrl-C ends this
    # process, which then ends the trial.
    with trial.log.open("a", encoding="utf-8") as log:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", Measured.__module__, trial.folder, json.dumps(asdict(conditions))],
            env={**os.environ, "OMP_NUM_THREADS": threads, "RAYON_NUM_THREADS": threads},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            encoding="utf-8",
            start_new_session=True,
        )


def _outcome(trial: Trial, process: subprocess.Popen[str], conditions: Conditions) -> Measured | str:
    said, _ = process.communicate()
    code = process.returncode
    if code == 0 and (measured := read_result(trial.folder, conditions)):
        return measured
    if code == 2:
        return said.strip()
    if code < 0:
        return f"its process was ended from outside ({strsignal(-code)}), perhaps because memory ran out."
    return f"it met a bug, whose traceback stands at the end of {trial.log}."
