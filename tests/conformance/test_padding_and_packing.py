"""What may not matter does not: padding on either side, batch mates, and how sentences are packed into rows.

B batch · L length · M model dimension
"""

from collections.abc import Sequence
from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from conformance.product import Combination, stack_spec
from conformance.rows import M
from whyformer.nn.stack import Stack
from whyformer.position.layout import Layout

PLAIN = Combination(
    score="scaled_dot",
    heads="grouped",
    keys="own",
    query_key_norm="rms_heads",
    gate="gated",
    positions="none",
    mask="packed",
    value_residual="first_values",
    norm="layer",
    placement="pre",
    residual="weighted_embedded",
    feed_forward="relu",
    recurrence="attention",
    memory="alone",
    padding="unpadded",
)
SCHEMES = pytest.mark.parametrize(
    "positions",
    ["sinusoidal", "learned_and_rotary", "alibi", "t5", "shaw_keys", "shaw_values", "transformer_xl"],
)
LENGTHS = st.lists(st.integers(1, 70), min_size=1, max_size=5)
SIDES = st.sampled_from(["left", "right"])


@cache
def stack(c: Combination) -> Stack:
    torch.manual_seed(0)
    built = stack_spec(c).build(M).double()
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return built.eval()


def sentences(lengths: Sequence[int]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(sum(lengths))
    return [torch.randn(length, M, generator=generator).double() for length in lengths]


def alone(c: Combination, x: Tensor) -> Tensor:
    """A sentence (L,M) by itself."""
    return passed(c, x[None], Layout(torch.arange(len(x))[None]))[0]


def passed(c: Combination, x: Tensor, layout: Layout) -> Tensor:
    with torch.no_grad():
        return stack(c)(stack(c).embed(x, layout), layout)


@SCHEMES
@pytest.mark.parametrize("mask", ["packed", "either"])
@settings(max_examples=8)
@given(lengths=LENGTHS, side=SIDES, extra=st.integers(0, 5))
def test_padding_and_mates_do_not_matter(
    positions: str, mask: str, lengths: list[int], side: str, extra: int
):
    c, rows = PLAIN._replace(positions=positions, mask=mask), sentences(lengths)
    width = max(lengths) + extra
    column, length = torch.arange(width), torch.tensor(lengths)[:, None]
    valid = column >= width - length if side == "left" else column < length
    # What stands in padding is large, so that it would be noticed.
    x = torch.full((len(rows), width, M), 100.0).double()
    for row, sentence in enumerate(rows):
        x[row, valid[row]] = sentence
    together = passed(c, x, Layout.of(valid))
    for row, sentence in enumerate(rows):
        torch.testing.assert_close(together[row, valid[row]], alone(c, sentence), rtol=1e-9, atol=1e-9)


@SCHEMES
@settings(max_examples=8)
@given(packs=st.lists(LENGTHS, min_size=1, max_size=5), side=SIDES)
def test_packed_is_unpacked(positions: str, packs: list[list[int]], side: str):
    c, rows = PLAIN._replace(positions=positions), [sentences(pack) for pack in packs]
    width = max(sum(pack) for pack in packs)
    x = torch.full((len(packs), width, M), 100.0).double()
    valid, position = torch.zeros(len(packs), width, dtype=torch.bool), torch.zeros(len(packs), width).long()
    segment = torch.zeros_like(position)
    places: list[tuple[int, slice, Tensor]] = []
    for row, pack in enumerate(rows):
        first = width - sum(map(len, pack)) if side == "left" else 0
        for number, sentence in enumerate(pack):
            place = slice(first, first + len(sentence))
            x[row, place], valid[row, place] = sentence, True
            position[row, place], segment[row, place] = torch.arange(len(sentence)), number
            places.append((row, place, sentence))
            first += len(sentence)
    together = passed(c, x, Layout(position, valid, segment))
    for row, place, sentence in places:
        torch.testing.assert_close(together[row, place], alone(c, sentence), rtol=1e-9, atol=1e-9)


def test_one_real_token_may_train_under_batch_norm():
    c = PLAIN._replace(mask="everything", norm="batch")
    alone = stack_spec(c).build(M)
    valid = torch.tensor([[False, True], [False, False]])
    x = torch.randn(2, 2, M, requires_grad=True)
    (gradient,) = torch.autograd.grad(alone(x, Layout.of(valid))[valid].square().sum(), x)
    assert torch.equal(gradient.any(-1), valid)
    statistics = [buffer for name, buffer in alone.named_buffers() if "running" in name]
    assert {float(buffer.std()) for buffer in statistics} == {0.0}
