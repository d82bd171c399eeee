"""Streams: piece by piece an encoder gives what one masked pass over the whole gives."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from streams import (
    BRANCHES,
    NORMS,
    PLACEMENTS,
    SCHEMES,
    Shape,
    difference,
    encoder,
    in_pieces,
    signals,
    whole,
)
from whyformer.attention.mask import Chunk

SHAPES = st.builds(
    Shape,
    scheme=st.sampled_from(sorted(SCHEMES)),
    branch=st.sampled_from(BRANCHES),
    norm=st.sampled_from(sorted(NORMS)),
    placement=st.sampled_from(sorted(PLACEMENTS)),
    strides=st.sampled_from([(2, 2), (2,), (1, 3), (3, 2)]),
    over=st.sampled_from(["time", "time_frequency"]),
)


@settings(max_examples=150)
@given(
    shape=SHAPES,
    size=st.integers(1, 12),
    left=st.sampled_from([0, 1, 4, None]),
    rows=st.lists(st.tuples(st.integers(1, 90), st.integers(0, 4)), min_size=1, max_size=4),
)
@torch.no_grad()
def test_pieces_give_what_the_whole_gives(
    shape: Shape, size: int, left: int | None, rows: list[tuple[int, int]]
):
    model, rule = encoder(shape, dtype=torch.float32), Chunk(size=size, left_chunks=left)
    lengths, starts = [length for length, _ in rows], [start for _, start in rows]
    frames = signals(lengths, dtype=torch.float32)
    expected = whole(model, frames, lengths, rule)
    assert difference(in_pieces(model, frames, lengths, rule, starts=starts), expected) <= 1e-5
    alone = [
        whole(model, frames[row : row + 1, :length], [length], rule)[0] for row, length in enumerate(lengths)
    ]
    assert difference(alone, expected) <= 1e-5
