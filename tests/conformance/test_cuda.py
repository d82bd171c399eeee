"""Every combination on a CUDA GPU is what it is on the CPU in fp64: in fp32, and in bf16 by autocast.

The same comparison runs on the CPU for some of them, so that it is right where there is no GPU.
"""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from conformance.product import REDUCED, Combination
from conformance.reference import Example, real
from whyformer.position.layout import Layout

SOME = REDUCED[:: max(1, len(REDUCED) // 12)]
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
NEAR = {"fp32": (1e-3, 1e-2), "bf16": (0.06, 0.3)}
"""Distance from fp64, relative to its norm: with a norm in the stack, and without, where logits grow."""


def moved(layout: Layout, device: torch.device) -> Layout:
    """The same on ``device``, with what the maker of a batch knows and a look would have to find out."""
    valid = real(layout)
    position, known = layout.position.to(device), valid.to(device)
    if layout.segment is not None:
        return Layout(position, known, layout.segment.to(device))
    if bool((valid[:, 1:] > valid[:, :-1]).any()):
        return Layout.of(known)
    return Layout.right_padded(known, valid.sum(1).tolist())


def on(example: Example, device: torch.device) -> Example:
    """A copy in fp32 on ``device``."""
    x, memory = (each.detach().float().to(device).requires_grad_() for each in (example.x, example.memory))
    stack = example.stack.float().to(device)
    layouts = {"layout": moved(example.layout, device)}
    layouts["memory_axis"] = moved(example.memory_axis, device)
    return replace(example, stack=stack, x=x, memory=memory, **layouts)


def distance(actual: Tensor, expected: Tensor) -> float:
    return float((actual.double().cpu() - expected).norm() / expected.norm().clamp_min(1e-3))


def conforms_on(device: torch.device, kind: str, c: Combination) -> None:
    """Outputs of real tokens are near those in fp64; gradients are, too, in fp32, and are finite in bf16."""
    plain = Example.of(c)
    output = plain.fast()
    expected, gradients = output.detach()[plain.real], plain.gradients(output)
    near = NEAR[kind][c.norm == "none"]
    there = on(Example.of(c), device)
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=kind == "bf16"):
        output = there.fast()
    assert output.device.type == device.type
    assert distance(output.detach()[there.real], expected) < near
    # The same random direction on every device.
    direction = torch.randn(output.shape, generator=torch.Generator().manual_seed(1)).to(device)
    total = (output * direction * there.real[..., None]).sum()
    inputs = [there.x, there.memory, *there.stack.parameters()]
    found = torch.autograd.grad(total, inputs, allow_unused=True, materialize_grads=True)
    for one, other in zip(found, gradients, strict=True):
        assert one.isfinite().all()
        assert kind == "bf16" or distance(one, other) < 10 * near


@pytest.mark.parametrize("kind", DTYPES)
@pytest.mark.parametrize("c", SOME, ids=str)
def test_the_comparison_holds_on_a_cpu(kind: str, c: Combination):
    conforms_on(torch.device("cpu"), kind, c)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU on this machine")
@pytest.mark.parametrize("kind", DTYPES)
@pytest.mark.parametrize("c", REDUCED, ids=str)
def test_a_combination_conforms_on_cuda(kind: str, c: Combination):
    conforms_on(torch.device("cuda"), kind, c)
