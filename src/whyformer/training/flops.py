"""Floating-point operations of training."""

from collections.abc import Generator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from whyformer.data.batches.planning import BatchingSpec
from whyformer.data.batches.steps import TrainingBatches
from whyformer.training.objective import ModelWithObjective
from whyformer.training.task import TrainingTask

_COUNTED_BATCHES = 8


def training_flops(model: nn.Module, task: TrainingTask[Any], tokens: int) -> float:
    """Floating-point operations of training per prediction: matrix products alone, over some batches.

    A multiplication and an addition are two operations. The batches, of a maximum of ``tokens``, are the same
    for every seed.
    """
    losses, cpu = ModelWithObjective(deepcopy(model).cpu(), task.objective), torch.device("cpu")
    steps = TrainingBatches(task.lengths, BatchingSpec(tokens=tokens), seed=0).groups(0)[:_COUNTED_BATCHES]
    batches = [indices for (indices,) in steps]
    with unfused(), FlopCounterMode(display=False) as counter:
        for indices in batches:
            losses(task.batch(indices, 0, cpu)).total.backward()
    return counter.get_total_flops() / sum(task.predicted(indices, 0) for indices in batches)


@contextmanager
def unfused() -> Generator[None]:
    """Do without the CPU's fused attention and LSTM, whose products the counter does not see."""
    before = torch.backends.mkldnn.enabled
    torch.backends.mkldnn.enabled = False
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mkldnn.enabled = before
