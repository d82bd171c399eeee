"""Sums of gradients over the batches of a step, which do not tell in which order they were made."""

from itertools import permutations

import pytest
import torch
from torch import nn

from whyformer.training.ranks.gradients import OwnSums, sum_type


def summed(gradients: list[torch.Tensor], dtype: torch.dtype) -> torch.Tensor | None:
    """What a weight has after batches with these ``gradients``."""
    weight = nn.Parameter(torch.zeros(len(gradients[0])))
    sums = OwnSums([weight])
    sums.begin(dtype)
    for gradient in gradients:
        (weight * gradient).sum().backward()
        sums.add(1)
    sums.finish()
    return weight.grad


@pytest.fixture
def gradients() -> list[torch.Tensor]:
    """Gradients of four batches, of very different sizes."""
    torch.manual_seed(0)
    return [torch.randn(1000) * size for size in (1.0, 30.0, 1e-3, 5.0)]


def test_the_sum_in_fp64_is_the_same_in_any_order(gradients: list[torch.Tensor]):
    exact = torch.stack(gradients).double().sum(0).float()
    orders = [list(order) for order in permutations(gradients)]
    assert all(torch.equal(of(summed(order, torch.float64)), exact) for order in orders)
    assert not all(torch.equal(of(summed(order, torch.float32)), exact) for order in orders)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_one_batch_is_its_own_sum_in_the_weights_type(gradients: list[torch.Tensor], dtype: torch.dtype):
    found = of(summed(gradients[:1], dtype))
    assert found.dtype == torch.float32
    assert torch.equal(found, gradients[0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_step_leaves_nothing_to_the_next_and_no_gradient_where_there_was_none(dtype: torch.dtype):
    used, idle = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    sums = OwnSums([used, idle])
    for _ in range(2):
        sums.begin(dtype)
        for _ in range(3):
            used.sum().backward()
            sums.add(1)
        sums.finish()
        assert idle.grad is None
        assert torch.equal(of(used.grad), torch.full((2,), 3.0))
        used.grad = None


def test_the_wide_type_is_for_what_was_computed_in_fp32_where_there_is_one():
    cpu, apple = torch.device("cpu"), torch.device("mps")
    assert sum_type("fp32", cpu) == torch.float64
    assert sum_type("bf16", cpu) == sum_type("fp32", apple) == torch.float32


def of(gradient: torch.Tensor | None) -> torch.Tensor:
    assert gradient is not None
    return gradient
