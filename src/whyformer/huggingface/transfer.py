"""Models of other toolkits: a folder of Hugging Face becomes a run, and a run becomes such a folder."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors.torch import save
from torch import Tensor, nn

from whyformer.config.recipe_files import recipe_text
from whyformer.data.tokenizers.imported import Imported
from whyformer.data.tokenizers.kinds import TokenizerSpec
from whyformer.data.tokenizers.pair import JointTokenizer, TokenizerPair
from whyformer.data.tokenizers.single import SingleTokenizer
from whyformer.data.tokenizers.tokenizer import Tokenizer
from whyformer.errors import CheckpointError, TokenizerError
from whyformer.files import write_bytes, write_text
from whyformer.huggingface.bert import HuggingFaceBert
from whyformer.huggingface.format import CheckpointFormat, Config, read_config
from whyformer.huggingface.gpt2 import HuggingFaceGPT2
from whyformer.huggingface.marian import HuggingFaceMarian
from whyformer.huggingface.tokenizers.conversion import framing, from_theirs, pieces_of, to_theirs
from whyformer.huggingface.tokenizers.files import read_foreign, read_json
from whyformer.huggingface.tokenizers.token_ids import TokenIds
from whyformer.models.transformer import TransformerSpec
from whyformer.runs.load import open_run
from whyformer.spec import Spec
from whyformer.special_tokens import BOS, EOS, NAMES, PAD, UNK
from whyformer.tasks.causal_lm.task import CausalLMRecipe
from whyformer.tasks.masked_lm.task import MaskedLMRecipe
from whyformer.tasks.recipe import Recipe
from whyformer.tasks.task import Assets
from whyformer.tasks.translation.task import TranslationRecipe
from whyformer.training.settings import TrainingSpec
from whyformer.training.storage.checkpoint import load_weights, read_safetensors, save_tensors
from whyformer.training.storage.lock import LOCK, RunLock
from whyformer.training.storage.run import RunFolder, check_free, new_run

ConfigT = TypeVar("ConfigT", bound=Config)
SpecT = TypeVar("SpecT", bound=Spec)

_WEIGHTS = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_GENERATION = ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id")
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")


def import_model(folder: Path, run: Path | None = None, *, overwrite: bool = False) -> str:
    """Make a run of the model in ``folder``; it lies in ``runs/`` under the folder's name if not in ``run``.

    Returns:
        One sentence on what was imported.

    Raises:
        CheckpointError: the folder holds no model that can be imported, or weights that do not fit it.
        TokenizerError: its tokenizer is missing or cannot be used.
    """
    path = Path("runs") / folder.resolve().name if run is None else run
    if not (folder / "config.json").is_file():
        raise CheckpointError(f"{folder}: has no config.json; name the folder of a Hugging Face model.")
    data = read_json(folder / "config.json")
    # What a recipe has to say and an imported model has not: how it would be trained.
    unused = TrainingSpec(epochs=1)
    match data.get("model_type"):
        case "bert":
            model, tensors, tokenizer = _read(HuggingFaceBert(), folder, data)
            recipe: Recipe = MaskedLMRecipe(
                data=None, tokenizer=_spec(tokenizer), model=model, training=unused
            )
        case "gpt2":
            model, tensors, tokenizer = _read(HuggingFaceGPT2(), folder, data)
            recipe = CausalLMRecipe(data=None, tokenizer=_spec(tokenizer), model=model, training=unused)
        case "marian":
            model, tensors, tokenizer = _read(HuggingFaceMarian(), folder, data)
            both = JointTokenizer(both=_spec(tokenizer))
            recipe = TranslationRecipe(data=None, tokenizers=both, model=model, training=unused)
        case other:
            raise CheckpointError(
                f"{folder}: this is a model of type {other}; bert, gpt2 and marian can be imported."
            )
    assets = SingleTokenizer(tokenizer)
    if not (path / LOCK).exists():
        check_free(path, overwrite=overwrite)
    with RunLock(path):
        new_run(path, overwrite=overwrite)
        write_text(RunFolder(path).recipe, recipe_text(recipe))
        assets.save(path)
        facts = {"assets": assets.fingerprints, "step": 0, "scores": {}}
        save_tensors(RunFolder(path).weights, tensors, facts)
    weights = sum(tensor.numel() for tensor in tensors.values())
    return f"{path}: a {data['model_type']} of {weights:,} weights and {tokenizer.size:,} tokens"


def export_model(run: Path, folder: Path, *, weights: Path | None = None) -> str:
    """Write the model of ``run`` to ``folder`` as Hugging Face transformers reads it.

    Returns:
        One sentence on what was written.

    Raises:
        CheckpointError: the run cannot be read, its model has no such format, or the folder is not empty.
    """
    opened, recipe, _, assets = open_run(run)
    tokenizer = _only_tokenizer(assets)
    if tokenizer is None:
        raise CheckpointError(f"{run}: source and target have a tokenizer each; only one can be exported.")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CheckpointError(f"{folder}: this is not an empty folder; choose another.")
    source = _Source(opened, tokenizer, opened.find_weights(weights))
    match recipe:
        case MaskedLMRecipe():
            return _write(HuggingFaceBert(), recipe.model, source, (), folder)
        case CausalLMRecipe():
            return _write(HuggingFaceGPT2(), recipe.model, source, recipe.decoding.forbidden, folder)
        case TranslationRecipe(model=TransformerSpec() as model):
            return _write(HuggingFaceMarian(), model, source, recipe.decoding.forbidden, folder)
        case _:
            raise CheckpointError(
                f"{run}: a {recipe.model.kind} has no format there; a transformer, a gpt and a bert have one."
            )


def _only_tokenizer(assets: Assets) -> Tokenizer | None:
    """The one tokenizer of a run; None where each side has its own."""
    match assets:
        case SingleTokenizer(tokenizer):
            return tokenizer
        case TokenizerPair(source, _) as pair if pair.joint:
            return source
        case _:
            return None


class _Source(NamedTuple):
    """The run that is exported."""

    run: RunFolder
    tokenizer: Tokenizer
    weights: Path

    def tensors(self, model: nn.Module) -> dict[str, Tensor]:
        """The weights, which have to be those of ``model``."""
        tensors = self.run.read_weights(self.weights)
        load_weights(model, tensors, self.weights)
        return tensors


def _write(
    exchange: CheckpointFormat[ConfigT, SpecT],
    spec: SpecT,
    source: _Source,
    forbidden: Sequence[int],
    folder: Path,
) -> str:
    """Write all files of the folder."""
    token_ids, names = _numbering(exchange, source.tokenizer)
    with torch.random.fork_rng(devices=[]):
        tensors = source.tensors(exchange.build(spec, source.tokenizer.size))
    config, theirs, token_ids = exchange.exported(spec, tensors, token_ids)
    if token_ids.first[BOS] != token_ids.first[EOS] and names[BOS] == names[EOS]:
        names = (*names[:BOS], NAMES[BOS], *names[EOS:])
    document = to_theirs(read_json(source.run.path / "tokenizer.json"), token_ids, names)
    framed = framing(document, [names[mark] for mark in exchange.framed])
    told = config.model_dump(mode="json")
    files: dict[str, Any] = {
        "config.json": told,
        "tokenizer.json": {**document, "post_processor": framed},
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": config.longest,
            "model_input_names": exchange.inputs,
            "clean_up_tokenization_spaces": False,
            **{role: names[mark] for role, mark in exchange.roles.items() if token_ids.has(mark)},
        },
    }
    if exchange.writes:
        silent = {token_ids.first[mark] for mark in (PAD, *forbidden) if mark < len(NAMES)}
        files["generation_config.json"] = {
            **{key: told[key] for key in _GENERATION if told.get(key) is not None},
            "max_length": config.longest,
            "suppress_tokens": sorted(id for id in silent - {token_ids.first[EOS]} if id is not None),
        }
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        write_text(folder / name, json.dumps(content, ensure_ascii=False, indent=2) + "\n")
    write_bytes(folder / _WEIGHTS, save(exchange.named(spec, theirs), {"format": "pt"}))
    return f"{folder}: {told['architectures'][0]} of {token_ids.their_size:,} tokens"


def _numbering(
    exchange: CheckpointFormat[ConfigT, SpecT], tokenizer: Tokenizer
) -> tuple[TokenIds, tuple[str, ...]]:
    """The ids and names of our tokens there: those they came with, where they came from such a model."""
    if tokenizer.spec["kind"] == "imported":
        imported = Imported.model_validate(tokenizer.spec)
        if imported.model == exchange.model_type:
            return TokenIds(imported.ids, tokenizer.size), imported.names
    token_ids = exchange.own_token_ids(tokenizer.size)
    serves_as_pad = token_ids.first[PAD] is None
    return token_ids, (NAMES[PAD], NAMES[UNK], NAMES[PAD] if serves_as_pad else NAMES[BOS], NAMES[EOS])


def _read(
    exchange: CheckpointFormat[ConfigT, SpecT], folder: Path, data: dict[str, Any]
) -> tuple[SpecT, dict[str, Tensor], Tokenizer]:
    """Our spec, our tensors and our tokenizer of the model in ``folder``."""
    config = read_config(exchange.config_type, data, folder / "config.json")
    document, roles = read_foreign(folder, data["model_type"])
    marks, size = exchange.marks(config, roles), len(pieces_of(document))
    if beyond := [id for id in marks if id is not None and not 0 <= id < size]:
        raise CheckpointError(
            f"{folder}: config.json names token {beyond[0]}, but the tokenizer ends at {size - 1}."
        )
    ours, token_ids = from_theirs(document, marks, data["model_type"])
    spec, tensors = exchange.imported(config, _tensors(folder), token_ids, folder)
    try:
        return spec, tensors, Tokenizer(ours)
    except Exception as error:  # the library raises nothing more specific
        raise TokenizerError(f"{folder}/tokenizer.json: cannot be used ({error}).") from error


def _tensors(folder: Path) -> dict[str, Tensor]:
    """All tensors in fp32, in one file or in several."""
    names = [_WEIGHTS]
    if not (folder / _WEIGHTS).is_file() and (folder / _INDEX).is_file():
        names = sorted(set(read_json(folder / _INDEX)["weight_map"].values()))
    elif not (folder / _WEIGHTS).is_file():
        pickles = [path.name for pattern in _PICKLES for path in sorted(folder.glob(pattern))]
        if pickles:
            raise CheckpointError(
                f"{folder}: has no {_WEIGHTS} but a pickle ({pickles[0]}), which can run code when it is "
                "opened, so it is never read; convert it to safetensors first."
            )
        raise CheckpointError(f"{folder}: has no {_WEIGHTS}; name the folder of a whole model.")
    tensors: dict[str, Tensor] = {}
    for name in names:
        tensors |= read_safetensors(folder / name)[0]
    return {name: tensor.float() for name, tensor in tensors.items()}


def _spec(tokenizer: Tokenizer) -> TokenizerSpec:
    try:
        return TypeAdapter[TokenizerSpec](TokenizerSpec).validate_python(tokenizer.spec)
    except ValidationError:
        raise TokenizerError("tokenizer.json was written by another Whyformer; import it by that.") from None
