"""Floating-point operations of training."""

from collections.abc import Generator
from contextlib import contextmanager
from copy import deepcopy

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from whyformer.data.batches.planning import plan_batches
from whyformer.training.loss import prediction_loss
from whyformer.training.task import ModelT
from whyformer.training.trainer import Trainer

_COUNTED_BATCHES = 8


def training_flops(trainer: Trainer[ModelT]) -> float:
    """Floating-point operations of training per target token: matrix products alone, over some batches.

    A multiplication and an addition are two operations. The batches are the same for every seed.
    """
    task, model, cpu = trainer.task, deepcopy(trainer.model).cpu(), torch.device("cpu")
    batches = plan_batches(task.lengths, trainer.spec.batching.tokens, seed=0, epoch=0)[:_COUNTED_BATCHES]
    with _unfused(), FlopCounterMode(display=False) as counter:
        for indices in batches:
            made = task.predict(model, indices, 0, cpu)
            prediction_loss(made, trainer.spec.loss.label_smoothing).loss.backward()
    return counter.get_total_flops() / sum(task.predicted(indices, 0) for indices in batches)


@contextmanager
def _unfused() -> Generator[None]:
    """Do without the CPU's fused attention and LSTM, whose products the counter does not see."""
    before = torch.backends.mkldnn.enabled
    torch.backends.mkldnn.enabled = False
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mkldnn.enabled = before
