"""What the trainer asks of a task: sentences to draw, a loss, a verdict on held-out data."""

from typing import Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Model = TypeVar("Model", bound=nn.Module)
Model_contra = TypeVar("Model_contra", bound=nn.Module, contravariant=True)


class Task(Protocol[Model_contra]):
    """Ties model and data together; the trainer knows neither."""

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(sentences, sides) tokens of every training example, marks included."""
        ...

    def predicted(self, indices: NDArray[np.int64]) -> int:
        """How many tokens of these examples are predicted: what the loss is divided by."""
        ...

    def predict(
        self, model: Model_contra, indices: NDArray[np.int64], device: torch.device
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Run ``model`` on training examples: hidden states (N,M), output table (V,M), gold tokens (N,)."""
        ...

    def probe(self, model: Model_contra) -> tuple[Tensor, Tensor]:
        """Embedded inputs and hidden states (B,T,M) of a small made-up batch, for the leak check."""
        ...

    def validate(self, model: Model_contra, device: torch.device, *, translate: bool) -> dict[str, float]:
        """Figures on held-out data: ``loss`` and ``nll`` in nats per token, and scores if ``translate``."""
        ...

    def better(self, new: dict[str, float], old: dict[str, float]) -> bool:
        """Whether validation ``new`` is better than ``old``."""
        ...
