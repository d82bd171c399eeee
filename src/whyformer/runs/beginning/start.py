"""Beginnings of a training: a model made anew, or one that takes over the weights of another run."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

import torch
from torch import nn

from whyformer.config.paths import alike_but_for_files, paths_of
from whyformer.config.recipe_files import differences
from whyformer.errors import CheckpointError, RecipeError
from whyformer.runs.inputs import check_inputs_of_run
from whyformer.runs.registry import check_kept, read_start, task_of
from whyformer.tasks.recipe import Recipe, require_data
from whyformer.tasks.task import Assets, Prepared
from whyformer.training.storage.run import RunFolder
from whyformer.training.task import TrainingTask


def prepare_anew(spec: Recipe, path: Path, say: Callable[[str], None]) -> Prepared:
    """Data, assets and model of a new run of ``spec``; where it starts from another run, those of that.

    ``path`` is the folder of the new run.

    ``say`` is told what is taken over.

    Raises:
        WhyformerError: see ``Task.prepare``.
        RecipeError: the run to start from does not fit the recipe; it names the keys that say so.
        CheckpointError: that run has no weights, or damaged ones.
    """
    task = task_of(spec)
    if spec.start is None:
        return task.prepare(spec, None)
    if spec.start.resolve() == path.resolve():
        raise RecipeError(f"start: {spec.start} is also where the new run is to lie; choose another --run.")
    begun = read_start(spec.start)
    check_kept(task, spec, begun)
    assets = task.load_assets(spec.start)
    start = RunFolder(spec.start, assets.fingerprints)
    if not start.weights.is_file():
        raise CheckpointError(
            f"start: {spec.start} has no weights yet ({start.weights.name}), which its first validation "
            "writes; train it further, or name another run."
        )
    prepared = task.prepare(spec, assets)
    taken = task.taken(begun, spec.start)["model"]
    changed = _changes(spec.model.model_dump(mode="json"), cast(Mapping[str, object], taken))

    def build() -> nn.Module:
        model = prepared.build()
        try:
            task.load_start(spec, model, start)
        except CheckpointError:
            if not changed:
                raise
            raise _refusal(changed, start) from None
        if changed and begun.task == spec.task and _computes_otherwise(model, prepared.task, begun, assets):
            raise _refusal(changed, start)
        return model

    keys = ", ".join((*task.asset_keys, *task.taken_keys))
    say(f"starts from {spec.start}: weights, and where the recipe says nothing else {keys}")
    return replace(prepared, build=build)


def check_going_on(folder: RunFolder, spec: Recipe, before: Recipe) -> None:
    """Refuse to resume the run in ``folder`` as ``spec``, if more than its training is not as ``before``.

    Its files may have been moved; what is in them is not looked at here.

    Raises:
        CheckpointError: there is no state of a training, as where a model was imported.
        DataError: there is no data either.
        RecipeError: other keys have changed.
        DataError: files are missing.
    """
    path = folder.path
    if not folder.state.exists():
        require_data(spec.data)
        raise CheckpointError(
            f"{folder.state}: there is no such file, so that this run cannot be resumed, as when it was "
            f"imported; to train it further, train a recipe of your own with `start: {path}`."
        )
    if not alike_but_for_files(spec.model_copy(update={"training": before.training}), before):
        raise RecipeError(
            f"{path}: a run that goes on can change training.* only, and where its files lie; for other text "
            f"or keys, train a recipe of your own with `start: {path}`."
        )
    check_inputs_of_run(paths_of(spec), path, "train")


def _changes(new: Mapping[str, object], old: Mapping[str, object]) -> dict[str, tuple[object, object]]:
    """The keys of the network that differ from ``old``, which may name a part of it alone."""
    return differences({key: value for key, value in new.items() if key in old}, old, "model")


def _computes_otherwise(
    model: nn.Module, training: TrainingTask[nn.Module], begun: Recipe, assets: Assets
) -> bool:
    """Whether a ``model`` with weights of the run ``begun`` computes something else than its own model.

    They fit another number of heads, another place of the norms, another activation: but they mean nothing.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        before = task_of(begun).runner(begun, assets).model
        before.load_state_dict(model.state_dict())
        in_training = model.training
        states = [training.probe(each.eval()).hidden for each in (before, model)]
        model.train(in_training)
    return states[0].shape != states[1].shape or not torch.allclose(*states, rtol=1e-3, atol=1e-4)


def _refusal(changed: Mapping[str, tuple[object, object]], start: RunFolder) -> RecipeError:
    told = ", ".join(f"{key} is {_shown(new)} and not {_shown(old)}" for key, (new, old) in changed.items())
    return RecipeError(
        f"the weights of {start.path} are of another network ({told}); take such keys out of the recipe, or "
        "start from no run."
    )


def _shown(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
