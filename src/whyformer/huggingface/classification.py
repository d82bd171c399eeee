"""Classifiers in the format of Hugging Face: a model with a head that tells the class of a text."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from whyformer.errors import CheckpointError
from whyformer.models.backbone import BackboneSpec
from whyformer.models.classifier import ClassifierSpec

_ENDING = "ForSequenceClassification"
_BACKBONE = "backbone."


class ClassHead(NamedTuple):
    """Head of a classifier, by their names."""

    pooling: Literal["first", "last"]
    """The token that stands for a text."""
    layer: Literal["none", "tanh", "relu"]
    """Activation of the layer before the output."""
    names: Mapping[str, str]
    """Their names of our layers, without the root."""
    architecture: str
    dropout: str
    """The field of config.json with the share of components that are dropped."""

    @property
    def tensors(self) -> dict[str, str]:
        """Their names of our tensors."""
        kinds = ("weight",) if self.layer == "none" else ("weight", "bias")
        return {f"{ours}.{kind}": f"{theirs}.{kind}" for ours, theirs in self.names.items() for kind in kinds}


CLASS_HEADS: dict[str, ClassHead] = {
    "bert": ClassHead(
        "first",
        "tanh",
        {"layer": "pooler.dense", "output": "classifier"},
        f"Bert{_ENDING}",
        "classifier_dropout",
    ),
    "roberta": ClassHead(
        "first",
        "tanh",
        {"layer": "classifier.dense", "output": "classifier.out_proj"},
        f"Roberta{_ENDING}",
        "classifier_dropout",
    ),
    "distilbert": ClassHead(
        "first",
        "relu",
        {"layer": "pre_classifier", "output": "classifier"},
        f"DistilBert{_ENDING}",
        "seq_classif_dropout",
    ),
    "gpt2": ClassHead("last", "none", {"output": "score"}, f"GPT2{_ENDING}", "summary_first_dropout"),
}


def is_classifier(config: Mapping[str, Any]) -> bool:
    """Whether config.json names a classifier of texts."""
    return any(name.endswith(_ENDING) for name in architectures(config))


def architectures(config: Mapping[str, Any]) -> list[str]:
    """Names of their classes that config.json tells."""
    told = config.get("architectures")
    return [str(name) for name in told] if isinstance(told, list) else []


def parted(
    tensors: Mapping[str, Tensor], model_type: str, folder: Path
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Tensors of the head, by our names, and all others, by theirs without the root.

    Raises:
        CheckpointError: one of the head is missing.
    """
    names = CLASS_HEADS[model_type].tensors
    if missing := [name for name in names.values() if name not in tensors]:
        raise CheckpointError(f"{folder}: the weights do not fit: {missing[0]} is missing.")
    head = {ours: tensors[theirs] for ours, theirs in names.items()}
    if "output.bias" not in head:
        head["output.bias"] = torch.zeros(len(head["output.weight"]))
    others = {name: tensor for name, tensor in tensors.items() if name not in names.values()}
    return head, others


def labels_of(config: Mapping[str, Any], classes: int, folder: Path) -> tuple[str, ...]:
    """Names of the classes.

    Raises:
        CheckpointError: the model tells numbers, or several classes at a time.
    """
    problem = config.get("problem_type")
    if problem in ("regression", "multi_label_classification") or classes < 2:
        what = "a number" if problem != "multi_label_classification" else "any number of labels"
        raise CheckpointError(
            f"{folder}: the model tells {what} of a text (problem_type: {problem or 'unset'}, {classes} "
            "outputs), but a classifier here tells one of some labels; it cannot be imported."
        )
    named = config.get("id2label") or {}
    if not isinstance(named, dict) or not all(str(id).isdecimal() for id in named):
        raise CheckpointError(
            f"{folder}/config.json: id2label is {named}, but each number has to have a label; correct it."
        )
    told = {int(id): str(label) for id, label in named.items()}
    labels = tuple(told.get(id, f"LABEL_{id}") for id in range(classes))
    if len(set(labels)) < classes:
        raise CheckpointError(f"{folder}/config.json: id2label names one label twice; rename it.")
    return labels


def classifier_spec(
    backbone: BackboneSpec, config: Mapping[str, Any], model_type: str, folder: Path
) -> ClassifierSpec:
    """Our spec of a classifier over ``backbone``.

    Raises:
        CheckpointError: the dropout of its head is none.
    """
    head = CLASS_HEADS[model_type]
    told = config.get(head.dropout)
    dropout = config.get("hidden_dropout_prob", 0.1) if told is None else told
    if isinstance(dropout, bool) or not isinstance(dropout, int | float) or not 0 <= dropout < 1:
        raise CheckpointError(
            f"{folder}/config.json: {head.dropout} is {dropout}, but shares are at least 0 and below 1; "
            "correct it."
        )
    return ClassifierSpec(backbone=backbone, pooling=head.pooling, layer=head.layer, dropout=dropout)


def classifier_tensors(backbone: Mapping[str, Tensor], head: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """All tensors of our classifier."""
    return {**{f"{_BACKBONE}{name}": tensor for name, tensor in backbone.items()}, **head}


def their_classifier(
    spec: ClassifierSpec, tensors: Mapping[str, Tensor], model_type: str
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Our tensors of the backbone, and their tensors of the head.

    Raises:
        CheckpointError: their head cannot do what ours does.
    """
    head = CLASS_HEADS[model_type]
    for field, ours, theirs in (
        ("pooling", spec.pooling, head.pooling),
        ("layer", spec.layer, head.layer),
        ("layer_mix", spec.layer_mix, "last"),
    ):
        if ours != theirs:
            raise CheckpointError(
                f"model.{field} is {ours}, which the {model_type} format cannot say (there it is {theirs}); "
                "such a model cannot be exported."
            )
    if "output.bias" not in head.tensors and tensors["output.bias"].any():
        raise CheckpointError(
            f"the classes have a bias, which the {model_type} format has not; it cannot be exported."
        )
    named = {theirs: tensors[ours].contiguous() for ours, theirs in head.tensors.items()}
    backbone = {
        name.removeprefix(_BACKBONE): tensor for name, tensor in tensors.items() if name.startswith(_BACKBONE)
    }
    return backbone, named


def classifier_config(spec: ClassifierSpec, labels: tuple[str, ...], model_type: str) -> dict[str, Any]:
    """The fields of config.json that describe a classifier."""
    head = CLASS_HEADS[model_type]
    return {
        "architectures": [head.architecture],
        "id2label": dict(enumerate(labels)),
        "label2id": {label: id for id, label in enumerate(labels)},
        "problem_type": "single_label_classification",
        head.dropout: spec.dropout,
    }
