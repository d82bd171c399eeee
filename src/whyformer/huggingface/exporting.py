"""From a run to the files of a folder of Hugging Face."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from safetensors.torch import save
from torch import Tensor, nn

from whyformer.data.tokenizers.imported import MASK_NAME, Imported, opens_with_bos, separators
from whyformer.data.tokenizers.pair import TokenizerPair
from whyformer.data.tokenizers.single import SingleTokenizer
from whyformer.data.tokenizers.tokenizer import Tokenizer
from whyformer.decoding.search import SearchSpec
from whyformer.errors import CheckpointError
from whyformer.huggingface.classification import classifier_config, their_classifier
from whyformer.huggingface.formats.bert import EncoderFormat, HuggingFaceBert
from whyformer.huggingface.formats.distilbert import HuggingFaceDistilBert
from whyformer.huggingface.formats.format import CheckpointFormat, Config
from whyformer.huggingface.formats.gpt2 import HuggingFaceGPT2
from whyformer.huggingface.formats.marian import HuggingFaceMarian
from whyformer.huggingface.formats.roberta import HuggingFaceRoberta
from whyformer.huggingface.generation import written_search
from whyformer.huggingface.tokenizers.conversion import framing, to_theirs
from whyformer.huggingface.tokenizers.json_files import read_object
from whyformer.huggingface.tokenizers.token_ids import TokenIds
from whyformer.models.bert import BERTSpec
from whyformer.models.classifier import ClassifierSpec
from whyformer.models.gpt import GPTSpec
from whyformer.models.transformer import TransformerSpec
from whyformer.runs.load import OpenRun
from whyformer.spec import Spec
from whyformer.special_tokens import BOS, EOS, NAMES, PAD, UNK
from whyformer.tasks.causal_lm.task import CausalLMRecipe
from whyformer.tasks.classification.task import ClassificationRecipe
from whyformer.tasks.masked_lm.task import MaskedLMRecipe
from whyformer.tasks.task import Assets
from whyformer.tasks.translation.task import TranslationRecipe
from whyformer.training.storage.checkpoint import load_weights

ConfigT = TypeVar("ConfigT", bound=Config)
SpecT = TypeVar("SpecT", bound=Spec)

_GENERATION = ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id")


class ExportedFiles(NamedTuple):
    """Everything that their folder holds."""

    files: dict[str, Any]
    """JSON files by name."""
    weights: bytes
    architecture: str
    tokens: int


def exported_files(opened: OpenRun, weights: Path) -> ExportedFiles:
    """The files of the run that was ``opened``, with the weights in the file ``weights``.

    Raises:
        CheckpointError: the weights cannot be read, or the model has no such format.
    """
    run, recipe, task, assets = opened
    if task.recognises_streams:
        raise CheckpointError(
            f"{run.path}: this run {task.does}; no other toolkit's format has such a model."
        )
    tokenizer = _only_tokenizer(assets)
    if tokenizer is None:
        raise CheckpointError(
            f"{run.path}: source and target have a tokenizer each; only one can be exported."
        )
    source = _Source(opened, tokenizer, weights)
    match recipe:
        case MaskedLMRecipe():
            return source.files(_encoder_format(tokenizer), recipe.model, None)
        case CausalLMRecipe():
            return source.files(HuggingFaceGPT2(), recipe.model, recipe.decoding)
        case TranslationRecipe(model=TransformerSpec() as model):
            return source.files(HuggingFaceMarian(), model, recipe.decoding)
        case ClassificationRecipe():
            return source.classifier(recipe)
        case _:
            raise CheckpointError(
                f"{run.path}: a {recipe.model.kind} has no format there; a transformer, a gpt, a bert and a "
                "classifier of one of these have one."
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


def _origin(tokenizer: Tokenizer) -> Imported | None:
    """Settings of a tokenizer that was imported."""
    return Imported.model_validate(tokenizer.spec) if tokenizer.spec["kind"] == "imported" else None


def _encoder_format(tokenizer: Tokenizer) -> EncoderFormat[Any]:
    """The format that an encoder came in, or else BERT's."""
    match _origin(tokenizer):
        case Imported(model="roberta", ids=(int(pad), *_)):
            return HuggingFaceRoberta(pad)
        case Imported(model="distilbert"):
            return HuggingFaceDistilBert()
        case _:
            return HuggingFaceBert()


@dataclass(frozen=True)
class _Source:
    """The run that is exported."""

    opened: OpenRun
    tokenizer: Tokenizer
    weights: Path

    def tensors(self, model: nn.Module) -> dict[str, Tensor]:
        """The weights, which have to be those of ``model``."""
        tensors = self.opened.folder.read_weights(self.weights)
        load_weights(model, tensors, self.weights)
        return tensors

    def files(
        self, exchange: CheckpointFormat[ConfigT, SpecT], spec: SpecT, search: SearchSpec | None
    ) -> ExportedFiles:
        """All files of a model that is no classifier; ``search`` is its way to write, if it does."""
        with torch.random.fork_rng(devices=[]):
            tensors = self.tensors(exchange.build(spec, self.tokenizer.size))
        config, theirs, token_ids = exchange.exported(spec, tensors, self.numbering(exchange)[0])
        told = config.model_dump(mode="json", by_alias=True)
        files = {"config.json": told, **self.tokenizer_files(exchange, config.longest, token_ids)}
        if search is not None:
            files["generation_config.json"] = {
                **{key: told[key] for key in _GENERATION if told.get(key) is not None},
                **written_search(
                    search, token_ids, prompted=exchange.model_type == "gpt2", longest=config.longest
                ),
            }
        named = exchange.named(spec, theirs)
        return ExportedFiles(
            files, save(named, {"format": "pt"}), told["architectures"][0], token_ids.their_size
        )

    def classifier(self, recipe: ClassificationRecipe) -> ExportedFiles:
        """All files of a classifier."""
        spec = recipe.model
        match spec.whole_backbone:
            case BERTSpec() as backbone:
                return self.headed(_encoder_format(self.tokenizer), backbone, spec, recipe.data.known)
            case GPTSpec() as backbone:
                return self.headed(HuggingFaceGPT2(), backbone, spec, recipe.data.known)
            case other:
                raise CheckpointError(
                    f"{self.opened.folder.path}: a classifier over a {other.kind} has no format there."
                )

    def headed(
        self,
        exchange: CheckpointFormat[ConfigT, SpecT],
        backbone: SpecT,
        spec: ClassifierSpec,
        labels: tuple[str, ...],
    ) -> ExportedFiles:
        """All files of a ``backbone`` with a head for classes."""
        with torch.random.fork_rng(devices=[]):
            tensors = self.tensors(spec.build(self.tokenizer.size, len(labels)))
        ours, head = their_classifier(spec, tensors, exchange.model_type)
        config, theirs, token_ids = exchange.exported(backbone, ours, self.numbering(exchange)[0])
        told = config.model_dump(mode="json", by_alias=True)
        told |= classifier_config(spec, labels, exchange.model_type)
        files = {"config.json": told, **self.tokenizer_files(exchange, config.longest, token_ids)}
        named = {f"{exchange.root}{name}": tensor for name, tensor in theirs.items()}
        inside = "pooler."  # BERT's, which is a part of the network there
        named |= {f"{exchange.root}{n}" if n.startswith(inside) else n: t for n, t in head.items()}
        return ExportedFiles(
            files, save(named, {"format": "pt"}), told["architectures"][0], token_ids.their_size
        )

    def numbering(self, exchange: CheckpointFormat[ConfigT, SpecT]) -> tuple[TokenIds, tuple[str, ...]]:
        """Ids and names of our tokens there: those they came with, if they came from such a model."""
        size, origin = self.tokenizer.size, _origin(self.tokenizer)
        if origin is not None and origin.model == exchange.model_type:
            return TokenIds(origin.ids, size, origin.strays), origin.names
        token_ids = exchange.own_token_ids(size)
        serves_as_pad = token_ids.first[PAD] is None
        return token_ids, (NAMES[PAD], NAMES[UNK], NAMES[PAD] if serves_as_pad else NAMES[BOS], NAMES[EOS])

    def tokenizer_files(
        self, exchange: CheckpointFormat[ConfigT, SpecT], longest: int, token_ids: TokenIds
    ) -> dict[str, Any]:
        """tokenizer.json and tokenizer_config.json."""
        _, names = self.numbering(exchange)
        if token_ids.first[BOS] != token_ids.first[EOS] and names[BOS] == names[EOS]:
            names = (*names[:BOS], NAMES[BOS], *names[EOS:])
        path = self.opened.folder.path / "tokenizer.json"
        document = to_theirs(read_object(path), token_ids, names)
        opens = BOS in exchange.framed and (EOS in exchange.framed or opens_with_bos(self.tokenizer))
        framed = framing(
            document,
            names[BOS] if opens else None,
            names[EOS] if EOS in exchange.framed else None,
            separators(self.tokenizer),
        )
        roles = {role: names[mark] for role, mark in exchange.roles.items() if token_ids.has(mark)}
        return {
            "tokenizer.json": {**document, "post_processor": framed},
            "tokenizer_config.json": {
                "tokenizer_class": "PreTrainedTokenizerFast",
                "model_max_length": longest,
                "model_input_names": exchange.inputs,
                "clean_up_tokenization_spaces": False,
                **roles,
                **_mask_role(self.tokenizer, names),
            },
        }


def _mask_role(tokenizer: Tokenizer, names: tuple[str, ...]) -> Mapping[str, str]:
    """The role of the token that hides another, if there is one, by its name there."""
    origin = _origin(tokenizer)
    name = MASK_NAME if origin is None or origin.mask not in names else origin.mask
    return {"mask_token": name} if MASK_NAME in tokenizer.pieces else {}
