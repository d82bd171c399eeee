"""Work that a recipe asks for: its model, and batches by which it is measured on paper."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from whyformer.analysis.scaling.paper import Workload
from whyformer.config.recipe_files import shipped
from whyformer.data.batches.by_length import ExamplesByLength
from whyformer.data.batches.planning import BatchingSpec
from whyformer.data.batches.steps import TrainingBatches
from whyformer.errors import DataError, TokenizerError
from whyformer.position.layout import Layout
from whyformer.runs.load import open_run
from whyformer.runs.registry import load_any, task_of
from whyformer.special_tokens import UNK
from whyformer.tasks.causal_lm.task import CausalLMRecipe
from whyformer.tasks.causal_lm.training import RowBatch
from whyformer.tasks.recipe import Recipe
from whyformer.tasks.task import Prepared
from whyformer.training.task import TrainingTask

_CPU = torch.device("cpu")
_SAMPLES = 4
_LOOKED_AT = 1_000
"""Batches of very many examples that the largest is sought among."""


@dataclass(frozen=True)
class Sample:
    """Batches of one budget of tokens."""

    largest: Any
    """The batch that holds the most, as the objective takes it."""
    typical: Sequence[Any]
    """Some batches, from small to large."""
    predictions: float
    """Mean number of predictions of a typical one."""


@dataclass(frozen=True)
class PlannedRecipe:
    """A recipe whose training is to be planned."""

    recipe: Recipe
    work: Workload
    task: TrainingTask[Any] | None
    """The training on its data; None where these are not at hand and batches are made up."""
    longest: int
    """Tokens of the longest example, below which no batch can be."""
    lacks: str = ""
    """The sentence on the data that are not at hand."""

    def sample(self, tokens: int) -> Sample:
        """Batches of a maximum of ``tokens``."""
        if self.task is None:
            assert isinstance(self.recipe, CausalLMRecipe), "others are not made up"
            batch, count = _rows(tokens, self.longest)
            return Sample(batch, [batch], count)
        batches = self.indices(tokens)
        places = np.linspace(0, len(batches) - 1, _SAMPLES + 2).round().astype(int)[1:-1]
        typical = [batches[place] for place in places]
        counts = [self.task.predicted(indices, 0) for indices in typical]
        made = [self.task.batch(indices, 0, _CPU) for indices in typical]
        return Sample(self.task.batch(batches[-1], 0, _CPU), made, float(np.mean(counts)))

    def indices(self, tokens: int) -> list[NDArray[np.int64]]:
        """The batches of an epoch as indices of examples, those with the most cells last."""
        assert self.task is not None, "there are data"
        task, lengths = self.task, self.task.lengths
        steps = TrainingBatches(lengths, BatchingSpec(tokens=tokens), seed=0).groups(0)
        if isinstance(lengths, ExamplesByLength):
            # So many examples that not even their batches are looked at one by one.
            places = np.unique(np.linspace(0, len(steps) - 1, _LOOKED_AT).astype(int)).tolist()
            return sorted((steps[place][0] for place in places), key=lambda batch: task.predicted(batch, 0))
        batches = [batch for (batch,) in steps]
        return sorted(batches, key=lambda batch: len(batch) * int(lengths[batch].max(axis=0).sum()))


def read_workload(recipe: str, overrides: Sequence[str]) -> PlannedRecipe:
    """The work of a recipe by name or file, or of a run's folder.

    Where the data of a language model are not at hand, its batches are full rows of made-up tokens.

    Raises:
        WhyformerError: the recipe has faults, or its data are needed and not at hand.
    """
    path = Path(recipe)
    if path.is_dir() and recipe not in shipped():
        folder, _, task, assets = open_run(path)
        spec = load_any(str(folder.recipe), overrides)
        return _of(spec, task.prepare(spec, assets))
    try:
        spec = load_any(recipe, overrides, to_train=True)
        prepared = task_of(spec).prepare(spec, None)
    except (DataError, TokenizerError) as lacking:
        spec = load_any(recipe, overrides)
        vocabulary = getattr(spec.tokenizer, "vocabulary", None) if isinstance(spec, CausalLMRecipe) else None
        if not isinstance(spec, CausalLMRecipe) or vocabulary is None:
            raise
        work = Workload(partial(spec.model.build, vocabulary), task_of(spec).objective(spec), spec.training)
        return PlannedRecipe(spec, work, None, spec.model.longest, str(lacking).splitlines()[-1].strip())
    return _of(spec, prepared)


def _of(spec: Recipe, prepared: Prepared) -> PlannedRecipe:
    spec = spec if prepared.recipe is None else prepared.recipe
    work = Workload(prepared.build, prepared.task.objective, spec.training)
    lengths = prepared.task.lengths
    each = lengths.lengths if isinstance(lengths, ExamplesByLength) else lengths
    return PlannedRecipe(spec, work, prepared.task, int(each.max()))


def _rows(tokens: int, longest: int) -> tuple[RowBatch, int]:
    """Full rows of ``longest`` tokens, as many as ``tokens`` allow, and their predictions."""
    rows = max(1, tokens // longest)
    ids = torch.full((rows, longest), UNK)
    layout = Layout.counting(rows, longest)
    return RowBatch(ids, ids, layout), rows * longest
