"""Ways to share one step out among ranks: what each needs, how fast it is, and the best."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from whyformer.analysis.scaling.devices import DeviceFacts
from whyformer.analysis.scaling.ledger import GRADIENTS, OPTIMIZER, WEIGHTS
from whyformer.analysis.scaling.paper import (
    StepMemory,
    WeightShapes,
    Workload,
    batch_flops,
    step_memory,
    weight_shapes,
)
from whyformer.analysis.scaling.traffic import Sharding, Traffic, traffic
from whyformer.analysis.scaling.workload import PlannedRecipe, Sample
from whyformer.machine import Precision
from whyformer.training.objective import ModelWithObjective
from whyformer.training.ranks.gradients import BUCKET, sum_type

COMMUNICATION = "communication"
_HALVINGS = 3
_BYTES = 4
"""Of a weight, a gradient, a number of the optimizer."""
_UPDATE = 7 * _BYTES
"""Bytes of memory that Adam reads and writes for a weight: four numbers read, three written."""


@dataclass(frozen=True)
class StepSplit:
    """One way to share a step out."""

    shard: Sharding
    tokens: int
    """Maximum number of tokens of a batch."""
    batches: int
    """Batches of a step, of one rank."""
    growth: float
    """Tokens of a step as a multiple of the recipe's."""
    memory: Mapping[str, int]
    """Bytes of a rank when it holds the most, by part."""
    room: int
    """Bytes that the device has for them."""
    traffic: Traffic
    tokens_per_second: float
    """Predictions a second of all ranks, as training reports them."""

    @property
    def needed(self) -> int:
        """Bytes of a rank in all."""
        return sum(self.memory.values())

    @property
    def fits(self) -> bool:
        """Whether the device has them."""
        return self.needed <= self.room


@dataclass(frozen=True)
class ScalingPlan:
    """All ways that were looked at, the best first."""

    device: DeviceFacts
    ranks: int
    precision: Precision
    parameters: int
    flops: float
    """Operations of matrix products per prediction."""
    measured: bool
    """Whether the speed of a rank was measured here, by steps of this training."""
    splits: tuple[StepSplit, ...]

    @property
    def best(self) -> StepSplit | None:
        """The best that fits; None where none does."""
        return self.splits[0] if self.splits[0].fits else None

    def reasons(self) -> Iterator[str]:
        """Sentences on the choice, the verdict first."""
        best, first = self.best, self.splits[0]
        if best is None:
            more = (first.needed - first.room) / 2**30
            yield (
                f"it fits no {self.device.name}: the least is {first.needed / 2**30:,.1f} GiB a rank "
                f"({first.tokens:,} tokens a batch, shard {first.shard}), {more:,.1f} GiB more than there is "
                "room for; take more ranks, a smaller model or shorter rows."
            )
            return
        yield (
            f"best: {self.ranks} ranks of {best.batches} batches of {best.tokens:,} tokens, shard "
            f"{best.shard}: {best.tokens_per_second:,.0f} tokens/s, {best.needed / 2**30:.2f} of "
            f"{best.room / 2**30:.1f} GiB a rank"
        )
        others = (split for split in self.splits if split.tokens == best.tokens)
        other = next((split for split in others if split.shard != best.shard), None)
        if other is not None and not other.fits:
            yield f"shard {other.shard} lacks {(other.needed - other.room) / 2**30:,.1f} GiB a rank"
        elif other is not None:
            share = other.tokens_per_second / best.tokens_per_second
            yield f"shard {other.shard} would be at {share:.1%} of that speed"
        if best.growth > 1.01:
            yield (
                f"a step has {best.growth:.3g} times the recipe's tokens, as the recipe's step has too few "
                "for so many ranks: it is another training, whose learning rate wants a look"
            )


def plan_scaling(
    planned: PlannedRecipe,
    device: DeviceFacts,
    ranks: int,
    precision: Precision,
    *,
    rate: float | None = None,
    say: Callable[[str], None],
) -> ScalingPlan:
    """The ways to train ``planned`` on so many ``ranks`` of a ``device``.

    Args:
        planned: the recipe's work.
        device: what each rank computes with.
        ranks: how many share out each step.
        precision: of products.
        rate: predictions a second of one rank by itself, where that is known; else a CPU that fits it takes
            some steps, and of other devices it follows from their peak.
        say: told what is looked at.
    """
    shapes = weight_shapes(planned.work)
    width = sum_type(precision, torch.device("cpu")).itemsize
    batching = planned.recipe.training.batching
    whole, splits, flops, measured = batching.tokens * batching.accumulate, list[StepSplit](), 0.0, False
    for tokens in _budgets(batching.tokens, planned.longest):
        say(f"on paper: batches of {tokens:,} tokens")
        sample = planned.sample(tokens)
        batches = max(1, round(whole / (tokens * ranks)))
        memory = step_memory(
            planned.work, [sample.largest] * min(batches, 3), precision, accelerator=device.is_accelerator
        )
        operations = sum(batch_flops(planned.work, batch) for batch in sample.typical) / len(sample.typical)
        pace = device.pace
        seconds = max(operations / (device.peak[precision] * pace.mfu), memory.operations * pace.latency)
        if rate is not None:
            seconds = sample.predictions / rate
        elif pace.is_measured and memory.total <= device.room:
            seconds, measured = step_seconds(planned.work, sample, precision), True
        flops = flops or operations / sample.predictions
        for shard in ("none", "full") if ranks > 1 else ("none",):
            sent = rank_pace(device, ranks, shard, shapes, batches=batches, seconds=seconds, width=width)
            splits.append(
                StepSplit(
                    shard,
                    tokens,
                    batches,
                    growth=tokens * batches * ranks / whole,
                    memory=rank_memory(memory, shapes, shard, ranks, width),
                    room=device.room,
                    traffic=sent,
                    tokens_per_second=ranks * batches * sample.predictions / (sent.computing + sent.exposed),
                )
            )
    splits.sort(key=_preference)
    count = _count(shapes.every)
    return ScalingPlan(device, ranks, precision, count, flops, measured, tuple(splits))


def rank_pace(
    device: DeviceFacts,
    ranks: int,
    shard: Sharding,
    shapes: WeightShapes,
    *,
    batches: int,
    seconds: float,
    width: int = _BYTES,
) -> Traffic:
    """Traffic of a rank in a step of so many ``batches`` of ``seconds``, whose sums have ``width`` bytes."""
    count, units = _count(shapes.every), len(shapes.blocks) + 1
    computing = batches * seconds
    if device.bandwidth is not None:
        computing += _UPDATE * count / (ranks if shard == "full" else 1) / device.bandwidth
    return traffic(
        device, ranks, shard, count, batches=batches, computing=computing, units=units, width=width
    )


def _preference(split: StepSplit) -> tuple[float, ...]:
    """Key to sort by: the recipe's step, then the fastest; of what does not fit, the smallest."""
    if not split.fits:
        return 1.0, float(split.needed), 0.0
    return 0.0, round(max(1.0, split.growth), 2), -split.tokens_per_second


def _budgets(tokens: int, longest: int) -> Iterator[int]:
    """The recipe's ``tokens`` of a batch, and halves of it that still hold the ``longest`` example."""
    yield tokens
    for halving in range(1, _HALVINGS + 1):
        if tokens >> halving >= longest:
            yield tokens >> halving


def rank_memory(
    step: StepMemory, shapes: WeightShapes, shard: Sharding, ranks: int, width: int
) -> dict[str, int]:
    """Bytes of a rank when it holds the most, by part: those of ``step``, spread over ``ranks``.

    Without shards a rank copies some of its gradients at a time, to send them together. With shards it holds
    its part of each weight, cut along the first axis, and of each sum that is wider than a weight; what no
    block has is gathered all the time, and of blocks the one that computes, the next, and the gradients of
    one.
    """
    held = dict(step.by_holder)
    if ranks == 1:
        return held
    static = {name: step.of(name) for name in (WEIGHTS, GRADIENTS, OPTIMIZER)}
    weights = _count(shapes.every)
    if shard == "none":
        # Gradients are sent when activations are gone.
        static[GRADIENTS] = max(_BYTES * weights, static[GRADIENTS])
        sent = min(weights, BUCKET + max(map(math.prod, shapes.every), default=0))
        copied = sum(static.values()) + 2 * width * sent
        return {**held, COMMUNICATION: max(0, copied - step.total)}
    share = sum(-(-shape[0] // ranks) * math.prod(shape[1:]) for shape in shapes.every if shape) / weights
    sums = 0 if width == _BYTES else width * weights
    static[GRADIENTS] = max(static[GRADIENTS], _BYTES * weights + sums)
    largest = max(map(_count, shapes.blocks), default=0)
    rest = weights - sum(map(_count, shapes.blocks))
    return {
        **held,
        **{name: int(share * size) for name, size in static.items()},
        COMMUNICATION: _BYTES * (rest + 3 * largest),
    }


def _count(shapes: list[tuple[int, ...]]) -> int:
    return sum(math.prod(shape) for shape in shapes)


def step_seconds(work: Workload, sample: Sample, precision: Precision) -> float:
    """Mean seconds of a typical batch on this CPU, forward and backward, after one that does not count."""
    losses = ModelWithObjective(work.build().train(), work.objective)

    def take(batch: Any) -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
            found = losses(batch)
        (found.total / found.predictions).backward()

    take(sample.typical[-1])
    began = time.perf_counter()
    for batch in sample.typical:
        take(batch)
    return (time.perf_counter() - began) / len(sample.typical)
