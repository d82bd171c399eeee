"""Profile of a training step, or of the translation of a sentence: where it spends its time.

The work is done twice: undisturbed, which tells how fast it is, and traced, which tells what is slow.
"""

import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from typing_extensions import override

from whyformer.analysis.trace import DATA, LOSS, Cell, Trace, mark_parts, part
from whyformer.data.batches.planning import length_batches
from whyformer.data.batches.steps import Group, TrainingBatches
from whyformer.decoding.search import SearchSpec
from whyformer.machine import automatic_precision, examine, keep_freed_memory
from whyformer.runs.load import open_run
from whyformer.tasks.translation.translator import Translator
from whyformer.training.flops import training_flops
from whyformer.training.settings import TrainingSpec
from whyformer.training.step import StepSums, TrainingStep
from whyformer.training.storage.checkpoint import load_weights
from whyformer.training.task import TrainingTask

_WARM_UP = 2
"""Steps before the first that counts: they make the optimizer's state and touch new memory."""


@dataclass(frozen=True)
class Share:
    """Time that one part of the model, or one kind of operation, takes of a step or of a sentence."""

    name: str
    forward: float
    """Seconds of all that is not the backward pass."""
    backward: float
    """Seconds of the backward pass."""
    calls: float | None = None
    """Number of times that a part was entered; None for a kind of operation."""

    @property
    def seconds(self) -> float:
        """Seconds of both passes."""
        return self.forward + self.backward


@dataclass(frozen=True)
class Speed:
    """Speed of the work, undisturbed."""

    seconds: float
    """Seconds of a step or sentence."""
    tokens_per_second: float
    """Predicted tokens per second; of a classifier, examples."""
    peak_memory: int | None
    """Maximum of bytes held since the process began, data included; None where no system tells."""
    mfu: float | None = None
    """Model FLOPs utilisation: the rate of matrix products over what the machine reaches, from 0 to 1."""


@dataclass(frozen=True)
class Profile:
    """Profile: where the time goes."""

    work: Literal["training", "translation"]
    unit: Literal["step", "sentence"]
    count: int
    """Number of units that were measured."""
    conditions: str
    speed: Speed
    cells: dict[Cell, float]
    """Seconds a unit, as traced."""
    calls: dict[str, float]
    """Number of times that each part was entered in a unit."""

    @property
    def seconds(self) -> float:
        """Seconds of a unit, as traced: the sum of the shares."""
        return sum(self.cells.values())

    @property
    def parts(self) -> list[Share]:
        """The parts of the model, the dearest first."""
        return self._shares(lambda cell: cell.part, self.calls)

    @property
    def operations(self) -> list[Share]:
        """The kinds of operation, the dearest first."""
        return self._shares(lambda cell: cell.kind, {})

    def _shares(self, name: Callable[[Cell], str], calls: dict[str, float]) -> list[Share]:
        sums = {backward: defaultdict[str, float](float) for backward in (False, True)}
        for cell, seconds in self.cells.items():
            sums[cell.backward][name(cell)] += seconds
        names = dict.fromkeys(map(name, self.cells))
        shares = [Share(each, sums[False][each], sums[True][each], calls.get(each)) for each in names]
        return sorted(shares, key=lambda share: share.seconds, reverse=True)

    def record(self) -> dict[str, Any]:
        """The whole profile, ready for JSON; times in milliseconds a unit."""
        return {
            "work": self.work,
            "unit": self.unit,
            "count": self.count,
            "conditions": self.conditions,
            "ms": 1e3 * self.speed.seconds,
            "traced_ms": 1e3 * self.seconds,
            "tokens_per_second": self.speed.tokens_per_second,
            "peak_memory": self.speed.peak_memory,
            "mfu": self.speed.mfu,
            "parts": [self._row(share) for share in self.parts],
            "operations": [self._row(share) for share in self.operations],
            "cells": [{**cell._asdict(), "ms": 1e3 * seconds} for cell, seconds in self.cells.items()],
        }

    def _row(self, share: Share) -> dict[str, Any]:
        times = {
            "forward_ms": 1e3 * share.forward,
            "backward_ms": 1e3 * share.backward,
            "ms": 1e3 * share.seconds,
            "share": share.seconds / self.seconds,
        }
        return {"name": share.name, **times, "calls": share.calls}


class _TracedStep(TrainingStep[nn.Module]):
    """A step whose parts are told apart."""

    @override
    def gradient(self, group: Group, step: int, epoch: int) -> StepSums:
        with part(LOSS):
            return super().gradient(group, step, epoch)

    @override
    def _clip(self) -> Tensor:
        with part("gradient norm and clipping"):
            return super()._clip()

    @override
    def update(self, step: int, total_steps: int | None) -> float:
        with part("optimizer"):
            return super().update(step, total_steps)


class _Rehearsal:
    """Takes steps in memory alone: nothing is saved, logged or validated."""

    def __init__(self, model: nn.Module, task: TrainingTask[nn.Module], spec: TrainingSpec) -> None:
        self.step = _TracedStep(model, task, spec, torch.device("cpu"))
        precision = spec.precision
        self.step.precision = automatic_precision("cpu")[0] if precision == "auto" else precision
        self._batches = TrainingBatches(task.lengths, spec.batching, seed=spec.seed)
        self._taken = 0

    def groups(self, count: int) -> list[Group]:
        """The batches of the first ``count`` steps, from the first again where an epoch has fewer."""
        return list(islice(cycle(self._batches.groups(0)), count))

    def take(self, group: Group) -> int:
        """Take a step, and return the number of tokens that it predicts."""
        self._taken += 1
        sums = self.step.gradient(group, self._taken, 0)
        self.step.update(self._taken, None)
        return sums.predictions


def profile_training(run: Path, steps: int, say: Callable[[str], None]) -> Profile:
    """Profile the first ``steps`` of training the run in the folder ``run`` on its data and by its recipe.

    They start from the run's weights and change them in memory alone. ``say`` is told what was read.

    Raises:
        DataError: the run has no data, as the model was imported, or they cannot be read any more.
        WhyformerError: as for ``whyformer.load``.
    """
    folder, recipe, task, assets = open_run(run)
    prepared = task.prepare(recipe, assets)
    say(prepared.summary)
    keep_freed_memory()
    model = prepared.build()
    load_weights(model, folder.read_weights(folder.weights), folder.weights)
    rehearsal = _Rehearsal(model, prepared.task, recipe.training)
    groups = rehearsal.groups(_WARM_UP + steps)
    for group in groups[:_WARM_UP]:
        rehearsal.take(group)
    speed = _training_speed(rehearsal, groups[_WARM_UP:])
    mark_parts(model)
    prepared.task.batch = part(DATA)(prepared.task.batch)
    trace = Trace("rest of the step")
    for group in groups[_WARM_UP:]:
        with trace.watching():
            rehearsal.take(group)
    conditions = f"{rehearsal.step.precision}, {_threads()}"
    return _profile("training", "step", steps, conditions, speed, trace)


def _training_speed(rehearsal: _Rehearsal, groups: Sequence[Group]) -> Speed:
    began = time.perf_counter()
    tokens = sum(map(rehearsal.take, groups))
    seconds = time.perf_counter() - began
    memory, arithmetic = _peak_memory(), examine().arithmetic
    assert arithmetic is not None, "torch is there"
    step = rehearsal.step
    peak = 1e9 * (arithmetic.bf16_gflops if step.precision == "bf16" else arithmetic.fp32_gflops)
    flops = training_flops(step.model, step.task, step.spec.batching.tokens)
    rate = tokens / seconds
    return Speed(seconds / len(groups), rate, memory, mfu=flops * rate / peak)


def profile_translation(
    translator: Translator, texts: Sequence[str], settings: SearchSpec, *, batch: int
) -> Profile:
    """Profile the translation of ``texts``, ``batch`` of them side by side.

    The translator is good for nothing else afterwards.

    Raises:
        DecodingError: as for ``Translator.translate``.
    """
    order = length_batches([len(text) for text in texts], batch)
    batches = [[texts[index] for index in indices] for indices in order]
    translator.translate(batches[0], settings, batch=batch, scores=False)
    began = time.perf_counter()
    found = [
        each for rows in batches for each in translator.translate(rows, settings, batch=batch, scores=False)
    ]
    seconds = time.perf_counter() - began
    tokens = sum(len(candidates[0].ids) + 1 for candidates in found)
    speed = Speed(seconds / len(texts), tokens / seconds, _peak_memory())
    mark_parts(translator.model)
    tokenizers = translator.tokenizers
    tokenizers.source.encode_all = part("tokenizer")(tokenizers.source.encode_all)
    tokenizers.target.decode = part("tokenizer")(tokenizers.target.decode)
    tokenizers.target.tokens = part("tokenizer")(tokenizers.target.tokens)
    trace = Trace("search")
    for rows in batches:
        with trace.watching():
            translator.translate(rows, settings, batch=batch, scores=False)
    conditions = ", ".join([f"{settings.kind} search", f"{batch} at a time", _threads()])
    return _profile("translation", "sentence", len(texts), conditions, speed, trace)


def _profile(
    work: Literal["training", "translation"],
    unit: Literal["step", "sentence"],
    count: int,
    conditions: str,
    speed: Speed,
    trace: Trace,
) -> Profile:
    cells = {cell: seconds / count for cell, seconds in trace.seconds.items()}
    calls = {name: number / count for name, number in trace.calls.items()}
    return Profile(work, unit, count, conditions, speed, cells, calls)


def _threads() -> str:
    threads = torch.get_num_threads()
    return "1 thread" if threads == 1 else f"{threads} threads"


def _peak_memory() -> int | None:
    """Maximum of bytes that this process has held; None on Windows, which has no ``resource``."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
