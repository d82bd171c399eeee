"""Loading: from a run folder to the object that users call."""

import warnings
from pathlib import Path
from shlex import quote
from typing import NamedTuple, TypeVar

import torch

from whyformer.data.tokenizers.single import SingleTokenizer
from whyformer.engines.engine import TakesEngine
from whyformer.engines.select import select_engine
from whyformer.engines.shortlist.table import ShortlistTable
from whyformer.errors import CheckpointError, DecodingError, WhyformerNote
from whyformer.machine import EngineName, PrecisionName
from whyformer.models.backbone import backbone_tensors, without_heads
from whyformer.models.bert import BERTSpec
from whyformer.models.classifier import ClassifierSpec
from whyformer.models.elmo import ELMoSpec
from whyformer.models.gpt import GPTSpec
from whyformer.nn.vectors.pooling import Pooling
from whyformer.runs.execution import Execution
from whyformer.runs.registry import AnyTask, load_any, task_of
from whyformer.runs.shortlist_file import load_shortlist
from whyformer.tasks.embedding.embedder import Embedder
from whyformer.tasks.recipe import Recipe
from whyformer.tasks.task import Assets, Runner
from whyformer.training.storage.checkpoint import load_weights
from whyformer.training.storage.run import RunFolder

RunnerT = TypeVar("RunnerT", bound=Runner)


class OpenRun(NamedTuple):
    """Folder of a run, its recipe, task and assets; the weights are still to be read."""

    folder: RunFolder
    recipe: Recipe
    task: AnyTask
    assets: Assets


def open_run(path: Path) -> OpenRun:
    """The run in the folder ``path``.

    Raises:
        CheckpointError: this is no run folder.
        RecipeError: its recipe cannot be read.
        TokenizerError: a tokenizer is missing or damaged.
    """
    recipe = read_recipe(path)
    task = task_of(recipe)
    assets = task.load_assets(path)
    return OpenRun(RunFolder(path, assets.fingerprints), recipe, task, assets)


def read_recipe(path: Path) -> Recipe:
    """The recipe that the run in the folder ``path`` was started with.

    Raises:
        CheckpointError: this is no run folder.
        RecipeError: the recipe cannot be read.
    """
    file = RunFolder(path).recipe
    if not file.is_file():
        raise CheckpointError(
            f"{path}: this is not the folder of a run (it has no recipe.yaml); train one first."
        )
    with warnings.catch_warnings():
        # A run is what it is: nobody is asked to rename the keys of its recipe.
        warnings.simplefilter("ignore", WhyformerNote)
        return load_any(str(file))


def load(
    run: str | Path,
    *,
    device: str = "auto",
    weights: str | Path | None = None,
    precision: PrecisionName = "fp32",
    engine: EngineName = "auto",
) -> Runner:
    """The object that does what the run in the folder ``run`` was trained for, called with a text.

    Args:
        run: a folder that ``whyformer train`` has written.
        device: auto, cpu, cuda or mps.
        weights: other weights of the same run, such as a snapshot or an average.
        precision: of a translator's products on a CPU; fp32 is exact, auto takes what pays there.
        engine: what computes a translator's searches, see ``Execution``.

    Raises:
        CheckpointError: this is no run folder, or its weights are missing, damaged, of another model, or
            were trained with another tokenizer; or the engine cannot take the model.
        RecipeError: the recipe in the folder cannot be read.
        TokenizerError: a tokenizer is missing or damaged.
        DecodingError: this machine has no such device, or the run takes no engine, or the CPU cannot compute
            so.
    """
    return load_runner(run, Execution(device, None, precision, engine), weights)


def load_runner(
    run: str | Path, execution: Execution | None = None, weights: str | Path | None = None
) -> Runner:
    """The object that ``load`` gives, computing as ``execution`` says.

    Raises:
        CheckpointError: also where the engine cannot take the model.
        DecodingError: also where the run takes no engine, or the CPU cannot compute so.
    """
    return runner_of(open_run(Path(run)), Execution() if execution is None else execution, weights)


def load_as(
    kind: type[RunnerT],
    run: str | Path,
    execution: Execution | None = None,
    weights: str | Path | None = None,
) -> RunnerT:
    """The runner of ``run``, which must be of ``kind``; see ``load_runner``.

    Raises:
        CheckpointError: also where the run does something else.
    """
    opened = open_run(Path(run))
    task = opened.task
    # What a run does is known before its weights are read.
    if not issubclass(task.runner_type, kind):
        raise CheckpointError(f"{run}: this run {task.does}; use `whyformer {task.verb} {quote(str(run))}`.")
    runner = runner_of(opened, Execution() if execution is None else execution, weights)
    assert isinstance(runner, kind)
    return runner


def runner_of(opened: OpenRun, execution: Execution, weights: str | Path | None = None) -> Runner:
    """The runner of a run that is ``opened`` already; see ``load_runner``."""
    folder, recipe, task, assets = opened
    execution.apply_threads()
    path = folder.find_weights(weights)
    tensors = folder.read_weights(path)
    # A new model draws weights, for nothing here: the caller's random state shall not move.
    with torch.random.fork_rng(devices=[]):
        runner: Runner = task.runner(recipe, assets)
    load_weights(runner.model, tensors, path)
    runner.model.to(execution.torch_device())
    if not execution.usual:
        if not isinstance(runner, TakesEngine):
            raise DecodingError(
                f"{folder.path}: this run {task.does}; --engine, --precision and --shortlist are for runs "
                "that translate."
            )
        table = load_shortlist(folder) if execution.shortlist else None
        _use_engine(runner, folder.path, path, execution, table)
    return runner


def _use_engine(
    runner: TakesEngine, run: Path, weights: Path, execution: Execution, table: ShortlistTable | None
) -> None:
    runner.use(*select_engine(runner.model, run, weights, execution.engine, execution.precision, table))


def load_embedder(
    run: str | Path,
    execution: Execution | None = None,
    weights: str | Path | None = None,
    *,
    pooling: Pooling = "mean",
    layer: int | None = None,
) -> Embedder:
    """The embedder by the BERT, GPT or ELMo in the folder ``run``, or by what a classifier has made of it.

    See ``Embedder`` for ``pooling`` and ``layer``, and ``load_runner`` for the rest.

    Raises:
        CheckpointError: also where the run has another model.
        DecodingError: also where layer or pooling do not suit the model.
    """
    execution = Execution() if execution is None else execution
    execution.apply_threads()
    folder, recipe, task, assets = open_run(Path(run))
    spec = recipe.model
    path = folder.find_weights(weights)
    tensors = folder.read_weights(path)
    if isinstance(spec, ClassifierSpec):
        spec = spec.whole_backbone
        named = ((name.partition("."), tensor) for name, tensor in tensors.items())
        tensors = {name: tensor for (part, _, name), tensor in named if part == "backbone"}
    if not (isinstance(spec, BERTSpec | GPTSpec | ELMoSpec) and isinstance(assets, SingleTokenizer)):
        raise CheckpointError(
            f"{run}: this run {task.does} and makes no vectors of texts; use "
            f"`whyformer {task.verb} {quote(str(run))}`, or name a BERT, GPT or ELMo."
        )
    with torch.random.fork_rng(devices=[]):
        model = without_heads(spec).build(assets.tokenizer.size)
    load_weights(model, backbone_tensors(tensors), path)
    model.to(execution.torch_device())
    return Embedder(model, spec, assets.tokenizer, pooling=pooling, layer=layer)
