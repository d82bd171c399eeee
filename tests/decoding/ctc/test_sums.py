"""Sums over alignments are those of all alignments, one by one."""

import math

import pytest
import torch

from decoding.ctc.brute_force import random_frames, texts
from whyformer.decoding.ctc.sums import (
    best_alignment,
    frame_log_probabilities,
    frames_needed,
    text_log_probabilities,
)

SHAPES = [(0, 3), (1, 2), (1, 4), (2, 3), (4, 3), (5, 3), (6, 2), (4, 4)]


@pytest.mark.parametrize(("length", "symbols"), SHAPES)
@pytest.mark.parametrize("seed", range(3))
def test_every_text_has_the_sum_and_the_best_of_its_alignments(length: int, symbols: int, seed: int):
    frames = random_frames(seed, length, symbols)
    every = texts(frames)
    log_probs = torch.from_numpy(frames)
    batch = log_probs.expand(len(every), -1, -1)
    totals = text_log_probabilities(batch, [length] * len(every), list(every))
    for (text, (total, best, times)), ours in zip(every.items(), totals.tolist(), strict=True):
        assert ours == pytest.approx(total, abs=1e-9)
        alignment = best_alignment(log_probs, text)
        assert alignment.score == pytest.approx(best, abs=1e-9)
        assert alignment.times == times
    # Together they are everything there is.
    assert float(totals.exp().sum()) == pytest.approx(1.0, abs=1e-9)


def test_texts_that_need_more_frames_have_no_alignment():
    frames = torch.from_numpy(random_frames(0, 3, 3))
    possible = texts(frames.numpy())
    for text in [(), (1,), (1, 2), (1, 1), (2, 2, 1), (1, 2, 1), (1, 1, 1), (1, 2, 1, 2)]:
        total = text_log_probabilities(frames[None], [3], [text])
        assert (frames_needed(text) <= 3) == (text in possible) == bool(total > -torch.inf)
        assert (best_alignment(frames, text).score > -math.inf) == (text in possible)
    assert best_alignment(frames, (1, 1, 1)).times == ()


def test_a_batch_is_its_rows():
    frames = torch.from_numpy(random_frames(1, 7, 4)).expand(5, -1, -1).clone()
    frames += torch.arange(5)[:, None, None] * 0.01
    lengths, each = [7, 0, 4, 3, 0], [(1, 2, 2), (), (3,), (1, 1, 1, 1), (2,)]
    frames[2, 4:] = torch.nan
    together = text_log_probabilities(frames, lengths, each)
    for row, (length, text) in enumerate(zip(lengths, each, strict=True)):
        alone = text_log_probabilities(frames[row : row + 1, :length], [length], [text])
        torch.testing.assert_close(together[row : row + 1], alone, rtol=0, atol=1e-12)
    assert together[[1, 3, 4]].tolist() == [0.0, -math.inf, -math.inf]


@pytest.mark.parametrize(
    ("lengths", "each", "word"),
    [
        ([3], [(1,), (2,)], "not one of each"),
        ([4], [(1,)], "between 0 and the 3"),
        ([3], [(0,)], "between 1 and 3"),
        ([3], [(4,)], r"\[4\]"),
    ],
)
def test_no_batch_is_refused(lengths: list[int], each: list[tuple[int, ...]], word: str):
    with pytest.raises(ValueError, match=word):
        text_log_probabilities(torch.zeros(1, 3, 4), lengths, each)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float32, torch.float64])
def test_log_probabilities_are_at_least_fp32_whatever_autocast_says(kind: torch.dtype):
    logits = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0)).to(kind)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        log_probs = frame_log_probabilities(logits)
    assert log_probs.dtype == (torch.float64 if kind == torch.float64 else torch.float32)
    torch.testing.assert_close(log_probs.double(), logits.double().log_softmax(-1), rtol=1e-6, atol=1e-6)
