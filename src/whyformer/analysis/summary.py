"""What a trained model is made of: its recipe in a few lines, and every tensor."""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from whyformer.data.corpora.documents import DocumentsSpec
from whyformer.data.corpora.labelled import LabelledSpec
from whyformer.data.tokenizers.pair import TokenizerPair
from whyformer.models.backbone import BackboneSpec
from whyformer.models.bert import BERTSpec
from whyformer.models.classifier import ClassifierSpec
from whyformer.models.elmo import ELMoSpec
from whyformer.models.gpt import GPTSpec
from whyformer.models.recurrent import RecurrentSpec
from whyformer.models.transformer import TransformerSpec
from whyformer.nn.stack import StackSpec
from whyformer.runs.load import open_run, read_recipe
from whyformer.runs.registry import AnyRecipe
from whyformer.tasks.causal_lm.task import CausalLMRecipe
from whyformer.tasks.translation.task import TranslationRecipe
from whyformer.training.checkpoint import load_tensors


@dataclass(frozen=True)
class Weight:
    """One tensor of weights."""

    name: str
    shape: tuple[int, ...]
    numbers: int
    """How many numbers it holds."""


@dataclass(frozen=True)
class ModelSummary:
    """A run, described."""

    recipe: dict[str, str]
    """What matters of the recipe and of its training, in words."""
    weights: list[Weight]

    @property
    def numbers(self) -> int:
        """Parameters in all; a tensor that two parts share counts once."""
        return sum(weight.numbers for weight in self.weights)

    @property
    def parts(self) -> dict[str, int]:
        """Parameters of each part of the model: the embeddings, the encoder, the decoder."""
        sums: Counter[str] = Counter()
        for weight in self.weights:
            sums[weight.name.partition(".")[0]] += weight.numbers
        return dict(sums)


def summarize(run: Path, weights: Path | None = None) -> ModelSummary:
    """What the run in the folder ``run`` is made of; see ``whyformer.load`` for arguments and errors."""
    folder, tokenizers = open_run(run)
    recipe = read_recipe(folder)
    tensors, facts = load_tensors(folder.weights if weights is None else weights)
    model = recipe.model
    described = {
        "task": f"{recipe.task}, data from {_data_words(recipe)}",
        "tokenizer": _tokenizer_words(tokenizers),
        **_model_words(model),
        **_decoding_words(recipe),
        "trained": _training_words(facts),
    }
    names = sorted(tensors, key=lambda name: re.sub(r"\d+", lambda number: number[0].zfill(6), name))
    held = [Weight(name, tuple(tensors[name].shape), tensors[name].numel()) for name in names]
    return ModelSummary(described, held)


def _data_words(recipe: AnyRecipe) -> str:
    match recipe.data:
        case None:
            return "elsewhere: the model was imported"
        case DocumentsSpec():
            return "documents"
        case LabelledSpec():
            return "labelled texts"
        case pairs:
            return pairs.kind


def _decoding_words(recipe: AnyRecipe) -> dict[str, str]:
    decodes = isinstance(recipe, TranslationRecipe | CausalLMRecipe)
    return {"decoding": recipe.decoding.kind} if decodes else {}


def _tokenizer_words(tokenizers: TokenizerPair) -> str:
    sides = [tokenizers.source] if tokenizers.joint else [tokenizers.source, tokenizers.target]
    each = [f"{side.spec['kind']} of {side.size:,} pieces" for side in sides]
    return f"joint, {each[0]}" if tokenizers.joint else f"source {each[0]}, target {each[1]}"


def _model_words(model: TransformerSpec | RecurrentSpec | BackboneSpec | ClassifierSpec) -> dict[str, str]:
    if isinstance(model, ClassifierSpec):
        head = f"{model.pooling} of layers: {model.layer_mix}; training changes: {model.update}"
        return {**_model_words(model.whole_backbone), "classifier": head}
    named = f"{model.kind}, d_model {model.d_model}"
    if isinstance(model, ELMoSpec):
        return {"model": named, "encoder": f"{model.layers} of {model.cell.kind}, both ways apart"}
    told = {"model": f"{named}, embeddings tied: {model.embedding.tie}"}
    match model:
        case TransformerSpec():
            return {**told, "encoder": _stack_words(model.encoder), "decoder": _stack_words(model.decoder)}
        case BERTSpec():
            return {**told, "encoder": _stack_words(model.stack)}
        case GPTSpec():
            return {**told, "decoder": _stack_words(model.stack)}
        case RecurrentSpec():
            layers = f"{model.layers} of {model.cell.kind}"
            attention = "no" if model.attention is None else model.attention.score.kind
            return {**told, "encoder": f"{layers}, both ways", "decoder": f"{layers}, {attention} attention"}


def _stack_words(stack: StackSpec) -> str:
    block = stack.block
    positions = " and ".join(scheme.kind for scheme in stack.positions) or "no"
    heads, norm = block.attention.heads.query, f"{block.placement.kind}-norm ({block.norm.kind})"
    layers = "1 layer" if stack.layers == 1 else f"{stack.layers} layers"
    return f"{layers} of {heads} heads, {norm}, {block.feed_forward.kind}, {positions} positions"


def _training_words(facts: dict[str, Any]) -> str:
    scores = [f"{name} {value:.4g}" for name, value in facts["scores"].items()]
    return ", ".join([f"{facts['step']:,} steps", *scores])
