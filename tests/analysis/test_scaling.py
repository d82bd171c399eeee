"""The paper model: its sums are those of real tensors, its laws those of rings and shards."""

from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from torch import nn

from rank_recipes import write_recipes
from whyformer.analysis.scaling.devices import find_device
from whyformer.analysis.scaling.ledger import GRADIENTS, OPTIMIZER, WEIGHTS
from whyformer.analysis.scaling.paper import batch_flops, step_memory, weight_shapes
from whyformer.analysis.scaling.splits import plan_scaling, rank_memory
from whyformer.analysis.scaling.traffic import bandwidth, traffic
from whyformer.analysis.scaling.workload import PlannedRecipe, read_workload
from whyformer.errors import DataError
from whyformer.kernels.place import as_on_accelerator, on_cpu
from whyformer.training.flops import training_flops
from whyformer.training.optimization.optimizer import AdamW, block_matrices

# The shape of a language model whose data are nowhere.
ROWS = """\
task: causal_lm
data: {train: [nowhere.txt], valid: 0.1}
tokenizer: {kind: bpe, vocabulary: 500}
model:
  preset: tiny
  d_model: 32
  embedding: {dropout: 0.0}
  stack: {layers: 3, block: {attention: {heads: {query: 4}, dropout: 0.0}, dropout: 0.0}}
  longest: 64
training:
  steps: 10
  batching: {tokens: 256, accumulate: 4}
  schedule: {kind: constant, peak: 0.01, warmup: 1}
"""


@pytest.fixture
def families(tmp_path: Path) -> dict[str, str]:
    return write_recipes(tmp_path)


@pytest.fixture
def rows(tmp_path: Path) -> str:
    path = tmp_path / "rows.yaml"
    path.write_text(ROWS, encoding="utf-8")
    return str(path)


def real(planned: PlannedRecipe) -> tuple[nn.Module, torch.optim.Optimizer]:
    """A model and its optimizer after a step by the gradients of ones."""
    model = planned.work.build()
    optimizer = planned.work.training.optimizer.build(model.parameters(), block_matrices(model))
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    return model, optimizer


def held(tensors: list[torch.Tensor]) -> int:
    storages = {each.untyped_storage().data_ptr(): each.untyped_storage().nbytes() for each in tensors}
    return sum(storages.values())


@pytest.mark.parametrize("family", ["translation", "causal", "muon", "adamw"])
def test_weights_gradients_and_optimizer_are_those_of_real_tensors_to_the_byte(
    families: dict[str, str], family: str
):
    planned = read_workload(families[family if family != "adamw" else "masked"], [])
    if family == "adamw":
        training = planned.work.training.model_copy(update={"optimizer": AdamW()})
        planned = replace(planned, work=replace(planned.work, training=training))
    batch = planned.sample(64).largest
    told = step_memory(planned.work, [batch, batch], "bf16", accelerator=False)
    model, optimizer = real(planned)
    assert told.of(WEIGHTS) == held(list(model.state_dict().values()))
    assert told.of(GRADIENTS) == held([p.grad for p in model.parameters() if p.grad is not None])
    states = [x for state in optimizer.state.values() for x in state.values() if isinstance(x, torch.Tensor)]
    assert told.of(OPTIMIZER) == sum(x.untyped_storage().nbytes() for x in states)
    with torch.device("meta"):
        shapes = [tuple(p.shape) for p in planned.work.build().parameters()]
    assert weight_shapes(planned.work).every == shapes


@pytest.mark.parametrize("family", ["translation", "recurrent"])
def test_what_is_held_on_paper_is_what_is_held(families: dict[str, str], family: str):
    planned = read_workload(families[family], [])
    batch = planned.sample(64).largest
    told, seen = (
        step_memory(planned.work, [batch], "bf16", accelerator=False, real=way) for way in (False, True)
    )
    assert told.by_holder == seen.by_holder


def test_operations_are_those_that_are_counted_of_real_numbers(families: dict[str, str]):
    planned = read_workload(families["causal"], [])
    assert planned.task is not None
    assert isinstance(planned.task.lengths, np.ndarray)
    batches = [planned.task.batch(indices, 0, torch.device("cpu")) for indices in planned.indices(64)]
    count = sum(batch_flops(planned.work, batch) for batch in batches)
    predictions = int(planned.task.lengths.sum())
    if len(batches) <= 8:
        exact = training_flops(planned.work.build(), planned.task, 64)
        assert count / predictions == pytest.approx(exact)
    # Six for each weight of a matrix, and some for attention.
    matrices = sum(p.numel() for p in planned.work.model().parameters() if p.dim() > 1)
    assert count / predictions > 4 * matrices


def test_attention_on_an_accelerator_holds_no_weights_of_pairs(rows: str):
    """Of as many tokens in longer rows a CPU holds more, an accelerator as much."""
    moving: dict[bool, list[int]] = {True: [], False: []}
    for longest in (32, 256):
        planned = read_workload(rows, [f"model.longest={longest}", "model.stack.positions=[{kind: rotary}]"])
        batch = planned.sample(512).largest
        for accelerator, sizes in moving.items():
            sizes.append(step_memory(planned.work, [batch], "fp32", accelerator=accelerator).moving)
    assert moving[True][1] == pytest.approx(moving[True][0], rel=0.1)
    assert moving[False][1] > 1.5 * moving[False][0]
    x = torch.zeros(1)
    with as_on_accelerator():
        assert not on_cpu(x)
    assert on_cpu(x)


@pytest.mark.parametrize("ranks", [2, 8, 64])
def test_rings_carry_what_they_must_and_hide_what_they_can(ranks: int):
    device = find_device("h100")
    summed = traffic(device, ranks, "none", 10**9, batches=4, computing=1.0)
    assert summed.sent == pytest.approx(2 * (ranks - 1) / ranks * 4e9)
    assert summed.exposed == summed.seconds == pytest.approx(summed.sent / bandwidth(device, ranks))
    wide = traffic(device, ranks, "none", 10**9, batches=4, computing=1.0, width=8)
    assert wide.sent == 2 * summed.sent
    for computing in (0.0, 1e3):
        gathered = traffic(device, ranks, "full", 10**9, batches=4, computing=computing, units=10)
        assert gathered.sent == pytest.approx(4 * 1.5 * summed.sent)
        assert gathered.exposed == pytest.approx(
            gathered.seconds if computing == 0 else gathered.seconds / 15
        )
    assert traffic(device, 1, "full", 10**9, batches=4, computing=1.0).sent == 0


def test_shards_share_out_what_follows_from_weights_alone(rows: str):
    planned = read_workload(rows, [])
    shapes = weight_shapes(planned.work)
    batch = planned.sample(256).largest
    step = step_memory(planned.work, [batch, batch], "fp32", accelerator=True)
    assert rank_memory(step, shapes, "full", 1, 4) == step.by_holder
    parts = {ranks: rank_memory(step, shapes, "full", ranks, 4) for ranks in (2, 4, 16)}
    for ranks, mine in parts.items():
        for name in (WEIGHTS, GRADIENTS, OPTIMIZER):
            assert step.of(name) / ranks - ranks <= mine[name] <= step.of(name) / ranks * 1.6
    assert parts[2][WEIGHTS] > parts[4][WEIGHTS] > parts[16][WEIGHTS]
    whole = rank_memory(step, shapes, "none", 4, 4)
    assert all(whole[name] >= size for name, size in step.by_holder.items())
    thin, wide = (rank_memory(step, shapes, "full", 4, width)[GRADIENTS] for width in (4, 8))
    assert wide > 2 * thin


def test_sums_of_several_batches_in_fp32_are_wider_than_the_gradients_of_one(rows: str):
    planned = read_workload(rows, [])
    batch, weights = planned.sample(256).largest, 4 * sum(map(prod, weight_shapes(planned.work).every))

    def of_gradients(batches: int, precision: Literal["fp32", "bf16"]) -> int:
        return step_memory(planned.work, [batch] * batches, precision, accelerator=True).of(GRADIENTS)

    assert of_gradients(2, "bf16") == of_gradients(3, "bf16") == of_gradients(2, "fp32") == weights
    assert of_gradients(3, "fp32") == 2 * weights


def test_a_step_that_is_too_small_for_the_ranks_is_said_to_grow(rows: str):
    planned, device = read_workload(rows, []), find_device("h100")
    assert "nowhere.txt" in planned.lacks
    few, many = (plan_scaling(planned, device, ranks, "bf16", say=lambda _line: None) for ranks in (4, 64))
    assert few.best is not None
    assert many.best is not None
    assert few.best.growth == 1.0
    assert many.best.growth == 4.0  # rows of 64 tokens: no batch is smaller, and each rank has one
    assert any("times the recipe's tokens" in line for line in many.reasons())
    assert not any("times the recipe's tokens" in line for line in few.reasons())
    asked = planned.recipe.training.batching
    for plan in (few, many):
        for split in plan.splits:
            taken = split.tokens * split.batches * plan.ranks
            assert taken == split.growth * asked.tokens * asked.accumulate


def test_where_nothing_fits_it_is_said_by_how_much(rows: str):
    planned = read_workload(rows, [])
    device = replace(find_device("h100"), memory=10**5)
    plan = plan_scaling(planned, device, 2, "bf16", say=lambda _line: None)
    assert plan.best is None
    assert " more than there is room for" in next(plan.reasons())
    assert plan.splits[0].needed == min(split.needed for split in plan.splits)


def test_a_device_that_nobody_knows_is_refused():
    with pytest.raises(DataError, match="nothing is known of such a device; known are this, cpu, h100"):
        find_device("abacus")
