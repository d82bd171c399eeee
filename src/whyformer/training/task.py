"""The trainer's view of a task: examples to draw, an objective, a verdict on held-out data."""

from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whyformer.data.batches.by_length import ExamplesByLength
from whyformer.data.batches.planning import Lengths
from whyformer.training.objective import ModelT_contra, Objective


class Probe(NamedTuple):
    """States of a small made-up batch beside its inputs, of one graph, for the leak check."""

    embedded: Tensor
    """Inputs (B,K,M)."""
    hidden: Tensor
    """States (B,Q,M)."""
    sees: Tensor | None = None
    """(Q,K) bool, True where a state may depend on an input; its own and earlier ones if left out."""


class TrainingTask(Protocol[ModelT_contra]):
    """Ties model and data together; the trainer knows neither."""

    @property
    def objective(self) -> Objective[ModelT_contra]:
        """Objective: the losses of a model on a batch that this task has made."""
        ...

    @property
    def lengths(self) -> Lengths | ExamplesByLength:
        """(examples, sides) tokens of every training example, special tokens included; sorted where many."""
        ...

    def predicted(self, indices: NDArray[np.int64], epoch: int) -> int:
        """Number of predictions that these examples ask for, by which the loss is divided."""
        ...

    def batch(self, indices: NDArray[np.int64], epoch: int, device: torch.device) -> Any:
        """Training examples side by side, for the objective.

        What is drawn for an example depends on ``epoch`` (from 0), the example and the seed, and on nothing
        else, so that a run that was killed resumes to the same weights.
        """
        ...

    def probe(self, model: ModelT_contra) -> Probe:
        """Embedded inputs and hidden states of a small made-up batch, for the leak check."""
        ...

    def validate(
        self, model: ModelT_contra, device: torch.device, *, translate: bool | None
    ) -> dict[str, float]:
        """Figures on the validation set: ``loss``, ``nll`` (nats per prediction); scores if ``translate``.

        Where ``translate`` is None, a task that writes text scores what it writes once that means something.
        """
        ...

    def better(self, new: dict[str, float], old: dict[str, float]) -> bool:
        """Whether validation ``new`` is better than ``old``."""
        ...

    def chosen_by(self, scores: dict[str, float]) -> str:
        """Name of the figure by which ``scores`` were found better than others."""
        ...
