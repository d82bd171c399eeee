"""What must hold for every combination: one function for each law.

B batch · L length · S memory length · H heads · D head dimension · M model dimension
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from conformance import reference, rows
from conformance.product import Combination, schemes, transformer_spec
from conformance.reference import Example, real, sees
from conformance.rows import LAYERS, LENGTH
from whyformer.attention import kernel, multihead
from whyformer.attention import mask as masks
from whyformer.attention.score import Dot
from whyformer.config.recipe_files import load_recipe, recipe_text
from whyformer.models.transformer import TransformerSpec
from whyformer.position import offsets, transformer_xl
from whyformer.position.layout import Layout
from whyformer.tap import record

SHIFT = 102
"""Positions to move by: a multiple of the sizes of chunks, since chunks begin where positions say."""


def is_causal(c: Combination) -> bool:
    return rows.MASKS[c.mask].causal


def is_relative(c: Combination) -> bool:
    return all(scheme.embed is None for scheme in schemes(c.positions))


def has_batch_norm(c: Combination) -> bool:
    return c.norm == "batch"


def close(actual: Tensor, expected: Tensor, tolerance: float = 1e-9) -> None:
    """Equal up to rounding, relative to the largest entry."""
    scale = max(1.0, float(expected.abs().max()))
    torch.testing.assert_close(actual / scale, expected / scale, rtol=tolerance, atol=tolerance)


def results(example: Example, output: Tensor) -> list[Tensor]:
    """The output of real tokens, and all gradients."""
    return [output[example.real].detach(), *example.gradients(output)]


def same(actual: list[Tensor], expected: list[Tensor]) -> None:
    for one, other in zip(actual, expected, strict=True):
        close(one, other)


def fast_is_slow(c: Combination) -> None:
    """The library computes the formulas: outputs, and gradients of inputs and of every parameter."""
    example = Example.of(c)
    same(results(example, example.fast()), results(example, reference.slow(example)))
    if has_batch_norm(c):
        example.stack.eval()
        same(results(example, example.fast()), results(example, reference.slow(example)))
    assert example.fast().isfinite().all()


def every_body_is_the_plain_one(c: Combination) -> None:
    """The fused kernel, or blocks where the mask is narrow, are taken wherever they can be: the same."""
    plain, other = Example.of(c), Example.of(c)
    reads_weights = any(scheme.value is not None for scheme in schemes(c.positions))
    has_bias = any(scheme.logit is not None for scheme in schemes(c.positions))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "LONG", 10**9)
        expected = results(plain, plain.fast())
        calls: list[str] = []
        for name in ("fused", "blocked"):
            patch.setattr(multihead, name, counted(name, calls))
        patch.setattr(kernel, "LONG", 0)
        patch.setattr(masks, "ROWS", 2)
        same(results(other, other.fast()), expected)
        # Where a bias has a gradient, a CPU may take the plain body; without gradients it may not.
        attentions = [plain.blocks[0].attention, plain.blocks[0].cross_attention]
        own, cross = (each is not None and isinstance(each.score, Dot) for each in attentions)
        possible = LAYERS * ((own and not reads_weights) + cross)
        assert len(calls) == possible or has_bias
        calls.clear()
        with torch.no_grad():
            close(other.fast()[other.real], expected[0])
        assert len(calls) == possible


def counted(name: str, calls: list[str]) -> Callable[..., Tensor]:
    """The body of that name, which also notes that it was called."""
    original: Callable[..., Tensor] = getattr(multihead, name)

    def body(*inputs: Any, **options: Any) -> Tensor:
        calls.append(name)
        return original(*inputs, **options)

    return body


def views_are_gathers(c: Combination) -> None:
    """Terms by offset are the same cut out at once, block by block of queries, and looked up one by one."""
    at_once = Example.of(c)
    expected = results(at_once, at_once.fast())
    for owner, name, value in ((offsets, "_ROWS", 4), (transformer_xl, "_ROWS", 4), (Layout, "start", None)):
        other = Example.of(c)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(owner, name, value)
            same(results(other, other.fast()), expected)


def steps_are_the_whole(c: Combination) -> None:
    """Piece by piece through a cache is the full pass."""
    example = Example.of(c)
    stack, layout = example.stack.eval(), example.layout
    with torch.no_grad():
        whole = example.fast()
        embedded = stack.embed(example.x, layout)
        cross = stack.read(example.memory, example.memory_axis) if c.memory == "memory" else None
        for pieces in ([1] * LENGTH, [2, 3, 1]):
            cache, first = stack.new_cache(), 0
            for length in pieces:
                part = slice(first, first + length)
                piece = stack(embedded[:, part], layout.cut(part), cache=cache, cross=cross)
                close(piece[example.real[:, part]], whole[:, part][example.real[:, part]])
                first += length


def influence_follows_the_mask(c: Combination) -> None:
    """A gradient is exactly zero where no path of allowed pairs leads, and not zero where one does.

    So nothing comes from the future, from padding, from other segments, or from other sentences. Without a
    norm, or with one that has no statistics yet, scores may grow until the softmax gives an allowed key
    exactly zero: there only the first half is asked.
    """
    example = Example.of(c)
    if has_batch_norm(c):
        example.stack.eval()
    output, layout = example.fast(), example.layout
    step = sees(rows.MASKS[c.mask], layout).int() + torch.eye(LENGTH, dtype=torch.int32)
    reached = torch.linalg.matrix_power(step.float(), LAYERS) > 0
    for row in range(rows.BATCH):
        for q in example.real[row].nonzero().flatten().tolist()[1:]:
            direction = torch.linspace(1, 2, rows.M)
            gradient, to_memory = torch.autograd.grad(
                output[row, q] @ direction.double(),
                [example.x, example.memory],
                retain_graph=True,
                allow_unused=True,
                materialize_grads=True,
            )
            expected = torch.zeros(rows.BATCH, LENGTH, dtype=torch.bool)
            expected[row] = reached[row, q]
            influence = gradient.any(-1)
            assert not (influence & ~expected).any(), f"query {q} of row {row} sees what it must not"
            if c.norm in {"layer", "rms"}:
                assert torch.equal(influence, expected), f"query {q} of row {row} misses what it may see"
            if is_causal(c):
                later = layout.position[row] > layout.position[row, q]
                assert not gradient[row, later].any()
            read = torch.zeros_like(real(example.memory_axis))
            read[row] = real(example.memory_axis)[row] & (c.memory == "memory")
            assert torch.equal(to_memory.any(-1), read)


def batch_norm_mixes_mates_in_training_only(c: Combination) -> None:
    """Statistics over the batch are the one way in which sentences may meet."""
    example = Example.of(c)
    for training in (True, False):
        output = example.stack.train(training) and example.fast()
        total = (output[0] * torch.linspace(1, 2, rows.M))[example.real[0]].sum()
        (gradient,) = torch.autograd.grad(total, example.x)
        assert gradient[1].any() == training


def shifts_matter_to_absolute_schemes_only(c: Combination) -> None:
    example = Example.of(c)
    layout = example.layout
    moved = replace(example, layout=Layout(layout.position + SHIFT, layout.valid, layout.segment))
    with torch.no_grad():
        output, expected = moved.fast()[example.real], example.fast()[example.real]
    if is_relative(c):
        close(output, expected)
    else:
        assert not torch.allclose(output, expected, rtol=1e-3, atol=1e-3)


def silence_is_zero(c: Combination) -> None:
    """A query that sees no key takes nothing from its attention, by either kernel; nothing becomes NaN."""
    for long in (10**9, 0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(kernel, "LONG", long)
            check_silence(half_empty(Example.of(c)))


def half_empty(example: Example) -> Example:
    """The second sentence and its memory are nothing but padding."""
    valid, memory_valid = example.real.clone(), real(example.memory_axis).clone()
    valid[1] = memory_valid[1] = False
    layout = Layout(example.layout.position, valid, example.layout.segment)
    return replace(example, layout=layout, memory_axis=Layout(example.memory_axis.position, memory_valid))


def check_silence(example: Example) -> None:
    heard: list[tuple[nn.Module, Tensor]] = []

    def listen(module: nn.Module, _: object, output: Tensor) -> None:
        heard.append((module, output))

    for block in example.blocks:
        for module in (block.attention, block.cross_attention):
            if module is not None:
                _ = module.register_forward_hook(listen)
    output = example.fast()
    unseeing = ~sees(rows.MASKS[example.c.mask], example.layout).any(-1)
    assert unseeing[1].all()
    for module, taken in heard:
        nothing = torch.zeros_like(taken) + dict(module.named_parameters()).get("output.bias", 0.0)
        reads_memory = module in [block.cross_attention for block in example.blocks]
        silent = ~real(example.memory_axis).any(-1) if reads_memory else unseeing
        assert torch.equal(taken[silent], nothing[silent])
    assert len(heard) == LAYERS * ((example.c.recurrence == "attention") + (example.c.memory == "memory"))
    assert output.isfinite().all()
    inputs = [example.x, *example.stack.parameters()]
    gradients = torch.autograd.grad(output.square().sum(), inputs, allow_unused=True, materialize_grads=True)
    assert all(gradient.isfinite().all() for gradient in gradients)


def evaluation_drops_nothing(c: Combination) -> None:
    """Dropout acts in training, rests in evaluation, and has no parameters."""
    plain, dropping = Example.of(c), Example.of(c, dropout=0.5)
    with torch.no_grad():
        if not has_batch_norm(c):
            assert not torch.allclose(dropping.fast(), plain.fast())
        plain.stack.eval()
        dropping.stack.eval()
        assert torch.equal(dropping.fast(), plain.fast())


def bf16_is_fp32_rounded(c: Combination) -> None:
    """Under autocast a residual path that begins in bf16 stays in it, and stays near fp32."""
    example = Example.of(c)
    example.stack.float()
    fp32 = replace(example, x=example.x.detach().float(), memory=example.memory.detach().float())
    bf16 = replace(fp32, x=fp32.x.bfloat16().requires_grad_(), memory=fp32.memory.bfloat16())
    expected = fp32.fast()[fp32.real]
    with torch.autocast("cpu", dtype=torch.bfloat16), record(bf16.stack, "*.residual") as tape:
        output = bf16.fast()
    assert {x.dtype for passed in tape.values() for x in passed} == {torch.bfloat16}
    assert output.dtype == torch.bfloat16
    assert expected.dtype == torch.float32
    distance = float(
        (output[bf16.real].detach().float() - expected.detach()).norm() / expected.detach().norm()
    )
    # Without a norm logits grow, and a softmax of large logits makes much of their rounding.
    assert distance < (0.3 if c.norm == "none" else 0.06), f"{distance:.3f} away"
    (gradient,) = torch.autograd.grad(output.float().square().sum(), bf16.x)
    assert gradient.isfinite().all()


def recipes_are_faithful(c: Combination) -> None:
    """Written to a file and read back, the spec is the same."""
    spec = transformer_spec(c, dropout=0.1)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "recipe.yaml"
        path.write_text(recipe_text(spec), encoding="utf-8")
        assert load_recipe(TransformerSpec, str(path)) == spec


def always(c: Combination) -> bool:
    return True


def steps_apply(c: Combination) -> bool:
    """Only a causal stack can be stepped; packed columns run ahead of their positions without the rule."""
    return is_causal(c) and (c.padding != "packed" or c.mask == "packed")


CHECKS: Mapping[Callable[[Combination], None], Callable[[Combination], bool]] = {
    fast_is_slow: always,
    every_body_is_the_plain_one: always,
    views_are_gathers: always,
    steps_are_the_whole: steps_apply,
    influence_follows_the_mask: always,
    batch_norm_mixes_mates_in_training_only: has_batch_norm,
    shifts_matter_to_absolute_schemes_only: always,
    silence_is_zero: always,
    evaluation_drops_nothing: always,
    bf16_is_fp32_rounded: always,
    recipes_are_faithful: always,
}
"""Every check, and to which combinations it applies."""
