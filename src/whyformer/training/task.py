"""What the trainer asks of a task: sentences to draw, a loss, a verdict on held-out data."""

from typing import NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

ModelT = TypeVar("ModelT", bound=nn.Module)
ModelT_contra = TypeVar("ModelT_contra", bound=nn.Module, contravariant=True)


class Prediction(NamedTuple):
    """What a model makes of a batch, and what it should have been.

    An output bias is one more column of the table, and a one behind every hidden state.
    """

    hidden: Tensor
    """(N,M) states that predict tokens."""
    table: Tensor
    """(V,M) output table."""
    gold: Tensor
    """(N,) the tokens to predict."""
    extra: Tensor | None = None
    """A scalar in nats, minimised besides; it too is divided by the number of predicted tokens."""


class Probe(NamedTuple):
    """What a model makes of a small made-up batch, of one graph, for the leak check."""

    embedded: Tensor
    """(B,K,M) inputs."""
    hidden: Tensor
    """(B,Q,M) states."""
    sees: Tensor | None = None
    """(Q,K) bool, True where a state may depend on an input; its own and earlier ones if left out."""


class Task(Protocol[ModelT_contra]):
    """Ties model and data together; the trainer knows neither."""

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(sentences, sides) tokens of every training example, marks included."""
        ...

    def predicted(self, indices: NDArray[np.int64], epoch: int) -> int:
        """How many tokens of these examples are predicted: what the loss is divided by."""
        ...

    def predict(
        self, model: ModelT_contra, indices: NDArray[np.int64], epoch: int, device: torch.device
    ) -> Prediction:
        """Run ``model`` on training examples.

        What is drawn for an example depends on ``epoch`` (from 0), the example and the seed, and on nothing
        else, so that a run that was killed goes on to the same weights.
        """
        ...

    def probe(self, model: ModelT_contra) -> Probe:
        """Embedded inputs and hidden states of a small made-up batch, for the leak check."""
        ...

    def validate(self, model: ModelT_contra, device: torch.device, *, translate: bool) -> dict[str, float]:
        """Figures on held-out data: ``loss`` and ``nll`` in nats per token, and scores if ``translate``."""
        ...

    def better(self, new: dict[str, float], old: dict[str, float]) -> bool:
        """Whether validation ``new`` is better than ``old``."""
        ...
