"""The parts of a trained model: its recipe in a few lines, and every tensor."""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from whyformer.runs.load import open_run
from whyformer.training.storage.checkpoint import load_tensors


@dataclass(frozen=True)
class Weight:
    """One tensor of weights."""

    name: str
    shape: tuple[int, ...]
    numbers: int
    """Number of numbers that it holds."""


@dataclass(frozen=True)
class ModelSummary:
    """A run, described."""

    recipe: dict[str, str]
    """The recipe and its training, in words."""
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
    """The parts of the run in the folder ``run``; see ``whyformer.load`` for arguments and errors."""
    folder, recipe, task, assets = open_run(run)
    tensors, facts = load_tensors(folder.find_weights(weights))
    words = dict(task.summary(recipe).words)
    described = {
        "task": f"{task.name}, data from {words.pop('data')}",
        "tokenizer": assets.description,
        **words,
        "trained": _training_words(facts),
    }
    names = sorted(tensors, key=lambda name: re.sub(r"\d+", lambda number: number[0].zfill(6), name))
    held = [Weight(name, tuple(tensors[name].shape), tensors[name].numel()) for name in names]
    return ModelSummary(described, held)


def _training_words(facts: dict[str, Any]) -> str:
    scores = [f"{name} {value:.4g}" for name, value in facts["scores"].items()]
    return ", ".join([f"{facts['step']:,} steps", *scores])
