"""From a run folder to the object that users call."""

from pathlib import Path
from typing import TypeVar

import torch

from whyformer.data.tokenizers.pair import TokenizerPair
from whyformer.engines.select import EngineName, PrecisionName, select_engine
from whyformer.errors import CheckpointError, DecodingError
from whyformer.machine import best_device
from whyformer.models.backbone import backbone_tensors, without_heads
from whyformer.models.bert import BERTSpec
from whyformer.models.classifier import ClassifierSpec
from whyformer.models.elmo import ELMoSpec
from whyformer.models.gpt import GPTSpec
from whyformer.nn.pooling import Pooling
from whyformer.runs.registry import AnyRecipe, load_any
from whyformer.tasks.bidirectional_lm.task import BidirectionalLMRecipe
from whyformer.tasks.bidirectional_lm.word_embedder import WordEmbedder
from whyformer.tasks.causal_lm.generator import Generator
from whyformer.tasks.causal_lm.task import CausalLMRecipe
from whyformer.tasks.classification.classifier import Classifier
from whyformer.tasks.classification.task import ClassificationRecipe
from whyformer.tasks.embedding.embedder import Embedder
from whyformer.tasks.masked_lm.filler import Filler
from whyformer.tasks.masked_lm.task import MaskedLMRecipe
from whyformer.tasks.translation.task import TranslationRecipe, build_model
from whyformer.tasks.translation.translator import Translator
from whyformer.training.checkpoint import load_weights
from whyformer.training.run import RunFolder

Runner = Translator | Generator | Filler | WordEmbedder | Classifier
"""What ``load`` gives: the object that does what a run was trained for."""
AnyRunner = TypeVar("AnyRunner", bound=Runner)


def load(run: str | Path, *, device: str = "auto", weights: str | Path | None = None) -> Runner:
    """What was trained into the folder ``run``: called with a text, it translates it or writes on.

    Args:
        run: a folder that ``whyformer train`` has written.
        device: auto, cpu, cuda or mps.
        weights: other weights of the same run, such as a snapshot or an average.

    Raises:
        CheckpointError: this is no run folder, or its weights are missing, damaged, of another model, or
            were trained with another tokenizer.
        RecipeError: the recipe in the folder cannot be read.
        TokenizerError: a tokenizer is missing or damaged.
        DecodingError: this machine has no such device.
    """
    folder, tokenizers = open_run(Path(run))
    recipe = read_recipe(folder)
    path = folder.weights if weights is None else Path(weights)
    tensors, tokenizer = folder.read_weights(path), tokenizers.source
    # A new model draws weights, for nothing here: the caller's random state shall not move.
    with torch.random.fork_rng(devices=[]):
        match recipe:
            case TranslationRecipe():
                runner = Translator(build_model(recipe, tokenizers), tokenizers, recipe.decoding)
            case CausalLMRecipe():
                runner = Generator(recipe.model.build(tokenizer.size), tokenizer, recipe.decoding)
            case MaskedLMRecipe():
                runner = Filler(recipe.model.build(tokenizer.size), tokenizer)
            case BidirectionalLMRecipe():
                runner = WordEmbedder(recipe.model.build(tokenizer.size), recipe.model, tokenizer)
            case ClassificationRecipe():
                model = recipe.model.build(tokenizer.size, len(recipe.data.known))
                runner = Classifier(model, recipe.model, tokenizer, recipe.data)
    load_weights(runner.model, tensors, path)
    runner.model.to(choose_device(device))
    return runner


def load_as(
    kind: type[AnyRunner], run: str | Path, *, device: str = "auto", weights: str | Path | None = None
) -> AnyRunner:
    """What was trained into the folder ``run``, which must be of ``kind``; see ``load``.

    Raises:
        CheckpointError: also where the run does something else.
    """
    runner = load(run, device=device, weights=weights)
    if not isinstance(runner, kind):
        raise _misplaced(run, runner)
    return runner


def load_translator(
    run: str | Path,
    *,
    device: str = "auto",
    weights: str | Path | None = None,
    precision: PrecisionName = "fp32",
    engine: EngineName = "torch",
) -> Translator:
    """The translator that was trained into the folder ``run``; see ``load``.

    Args:
        run: its folder.
        device: auto, cpu, cuda or mps; engines other than torch, and precisions below fp32, want the CPU.
        weights: other weights of the same run.
        precision: of the products; fp32 is exact, ``auto`` takes what pays on this CPU.
        engine: what computes; ``native`` is our C++ program for Transformers, ``ctranslate2`` is
            another library, for which the run is converted once.

    Raises:
        CheckpointError: also where the run does something else, or the engine cannot take the model.
        DecodingError: also where the CPU cannot compute so.
    """
    translator = load_as(Translator, run, device=device, weights=weights)
    path = RunFolder(Path(run)).weights if weights is None else Path(weights)
    translator.use(*select_engine(translator.model, Path(run), path, engine, precision))
    return translator


def load_embedder(
    run: str | Path,
    *,
    pooling: Pooling = "mean",
    layer: int | None = None,
    device: str = "auto",
    weights: str | Path | None = None,
) -> Embedder:
    """The embedder by the BERT, GPT or ELMo in the folder ``run``, or by what a classifier has made of it.

    See ``Embedder`` for ``pooling`` and ``layer``, and ``load`` for the rest.

    Raises:
        CheckpointError: also where the run has another model.
        DecodingError: also where layer or pooling do not suit the model.
    """
    folder, tokenizers = open_run(Path(run))
    spec = read_recipe(folder).model
    path = folder.weights if weights is None else Path(weights)
    tensors = folder.read_weights(path)
    if isinstance(spec, ClassifierSpec):
        spec = spec.whole_backbone
        named = ((name.partition("."), tensor) for name, tensor in tensors.items())
        tensors = {name: tensor for (part, _, name), tensor in named if part == "backbone"}
    if not isinstance(spec, BERTSpec | GPTSpec | ELMoSpec):
        raise CheckpointError(f"{run}: a {spec.kind} makes no vectors of texts; name a BERT, GPT or ELMo.")
    with torch.random.fork_rng(devices=[]):
        model = without_heads(spec).build(tokenizers.source.size)
    load_weights(model, backbone_tensors(tensors), path)
    model.to(choose_device(device))
    return Embedder(model, spec, tokenizers.source, pooling=pooling, layer=layer)


def _misplaced(run: str | Path, runner: Runner) -> CheckpointError:
    """What the run does instead, and how to have it do that."""
    match runner:
        case Translator():
            does = f"translates and does not write freely; use `whyformer translate {run}`"
        case Generator():
            does = f"generates text; use `whyformer generate {run}`"
        case Filler():
            does = f"fills holes in texts; use `whyformer fill {run}`"
        case WordEmbedder():
            does = f"makes vectors of words; use `whyformer embed {run}`"
        case Classifier():
            does = f"tells classes; use `whyformer classify {run}`"
    return CheckpointError(f"{run}: this run {does}.")


def open_run(path: Path) -> tuple[RunFolder, TokenizerPair]:
    """The run folder at ``path`` and its tokenizers.

    Raises:
        CheckpointError: this is no run folder.
        TokenizerError: a tokenizer is missing or damaged.
    """
    if not RunFolder(path).recipe.is_file():
        raise CheckpointError(
            f"{path}: this is not the folder of a run (it has no recipe.yaml); train one first."
        )
    tokenizers = TokenizerPair.load(path)
    return RunFolder(path, tokenizers.fingerprints), tokenizers


def read_recipe(run: RunFolder) -> AnyRecipe:
    """The recipe that ``run`` was started with."""
    return load_any(str(run.recipe))


def choose_device(name: str) -> torch.device:
    """The device called ``name``: auto, cpu, cuda or mps.

    Raises:
        DecodingError: this machine has no such device.
    """
    present = {
        "auto": True,
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if not present.get(name, False):
        here = ", ".join(device for device, usable in present.items() if usable)
        raise DecodingError(f"there is no device {name} here; --device takes: {here}.")
    return torch.device(best_device() if name == "auto" else name)
