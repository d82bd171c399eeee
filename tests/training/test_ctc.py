"""The losses are the sums over all alignments, and torch's are ours."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from decoding.ctc.brute_force import random_frames, texts
from whyformer.decoding.ctc.sums import best_alignment
from whyformer.training.ctc.losses import CTCLosses, ctc_losses, delayed, reference_ctc_losses

Body = Callable[..., CTCLosses]
BODIES: list[Body] = [reference_ctc_losses, ctc_losses]
LENGTHS = [9, 4, 0, 7, 9, 0, 2, 3]
TEXTS = [(1, 2, 2, 3), (), (), (3, 3, 3), (4,), (1,), (2, 2), (1, 2, 3)]
IMPOSSIBLE = (5, 6)


def example(normalised: bool = True, dtype: torch.dtype = torch.float64) -> Tensor:
    """Scores (8,9,5) with a gradient."""
    scores = torch.randn(8, 9, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 2
    return (scores.log_softmax(-1) if normalised else scores).to(dtype).requires_grad_()


def graded(losses: CTCLosses, scores: Tensor) -> Tensor:
    """Gradient of a sum in which every row has a weight of its own."""
    weights = torch.arange(1, len(losses.losses) + 1, dtype=losses.losses.dtype)
    return torch.autograd.grad((losses.losses * weights).sum(), scores)[0]


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize(("length", "symbols"), [(0, 3), (1, 2), (3, 3), (5, 3), (4, 4)])
def test_losses_are_those_of_all_alignments(body: Body, length: int, symbols: int):
    frames = random_frames(3, length, symbols)
    every = texts(frames)
    batch = torch.from_numpy(frames).expand(len(every), -1, -1)
    losses = body(batch, [length] * len(every), list(every))
    assert losses.impossible == ()
    for ours, (total, _, _) in zip(losses.losses.tolist(), every.values(), strict=True):
        assert ours == pytest.approx(-total, abs=1e-9)


@pytest.mark.parametrize("normalised", [True, False])
@pytest.mark.parametrize("penalty", [0.0, 0.3, -0.1])
def test_torch_and_the_reference_agree_with_gradients(normalised: bool, penalty: float):
    scores = example(normalised)
    ours = reference_ctc_losses(scores, LENGTHS, TEXTS, penalty)
    fast = ctc_losses(scores, LENGTHS, TEXTS, penalty)
    assert ours.impossible == fast.impossible == IMPOSSIBLE
    torch.testing.assert_close(fast.losses, ours.losses, rtol=0, atol=1e-9)
    torch.testing.assert_close(graded(fast, scores), graded(ours, scores), rtol=0, atol=1e-9)


def test_the_gradient_is_that_of_differences():
    scores = example(normalised=False)

    def total(x: Tensor) -> Tensor:
        return reference_ctc_losses(x, LENGTHS, TEXTS, 0.2).losses.sum()

    assert torch.autograd.gradcheck(total, (scores,), atol=1e-7)


@pytest.mark.parametrize("body", BODIES)
def test_impossible_texts_cost_nothing_and_teach_nothing(body: Body):
    scores = example()
    losses = body(scores, LENGTHS, TEXTS)
    gradient = graded(losses, scores)
    assert losses.losses[list(IMPOSSIBLE)].tolist() == [0.0, 0.0]
    assert gradient.isfinite().all()
    for row, length in enumerate(LENGTHS):
        assert not gradient[row, length:].any()
        assert bool(gradient[row].any()) == (length > 0 and row not in IMPOSSIBLE)
    # So does a batch of nothing else, and one in which a probability of 0 stands in the way.
    alone = body(scores[5:6], [0], [(1,)])
    assert alone.losses.tolist() == [0.0]
    assert not graded(alone, scores).any()
    with torch.no_grad():
        scores[0, :, 3] = -torch.inf
    barred = body(scores, LENGTHS, TEXTS)
    assert barred.losses[0] == 0.0
    gradient = graded(barred, scores)
    assert not gradient[0].any()
    assert gradient.isfinite().all()


@pytest.mark.parametrize("body", BODIES)
def test_sums_are_fp32_under_autocast(body: Body):
    scores = example(dtype=torch.float32)
    expected = body(scores, LENGTHS, TEXTS)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        same = body(scores, LENGTHS, TEXTS)
        half = body(scores.bfloat16(), LENGTHS, TEXTS)
    assert same.losses.dtype == half.losses.dtype == torch.float32
    assert torch.equal(same.losses, expected.losses)
    torch.testing.assert_close(half.losses, expected.losses, rtol=0.01, atol=0.05)


@pytest.mark.parametrize("body", BODIES)
def test_long_streams_stay_exact(body: Body):
    """10,000 frames of one symbol or none at even odds: any one run, of which there are L(L+1)/2."""
    length = 10_000 if body is ctc_losses else 500
    log_probs = torch.full((1, length, 2), math.log(0.5), dtype=torch.float64)
    expected = length * math.log(2) - math.log(length * (length + 1) / 2)
    assert float(body(log_probs, [length], [(1,)]).losses) == pytest.approx(expected, abs=1e-6)


def test_the_penalty_favours_what_is_said_early():
    """Where nothing else tells, the best alignment is at the start, or at the end under the opposite."""
    even = torch.full((1, 9, 3), math.log(1 / 3), dtype=torch.float64)
    even[..., 0] += 1
    early = delayed(even, [9], 0.5)[0]
    late = delayed(even, [9], -0.5)[0]
    assert best_alignment(early, (1, 2)).times[0] == 0
    assert best_alignment(late, (1, 2)).times[1] >= 7
    torch.testing.assert_close(early[:, 1:].sum(dim=0), even[0, :, 1:].sum(dim=0))
    assert torch.equal(early[:, 0], even[0, :, 0])
    # The middle of a row is that of its own frames.
    torch.testing.assert_close(
        delayed(even, [3], 0.5)[0, :3, 1] - even[0, :3, 1], torch.tensor([0.5, 0, -0.5]).double()
    )


@pytest.mark.parametrize(("penalty", "first"), [(-0.1, 5), (0.1, 1)])
def test_training_with_a_penalty_moves_symbols(penalty: float, first: int):
    """Free scores for each frame, trained to say one symbol: with a penalty early, against it late."""
    scores = torch.zeros(1, 10, 2, requires_grad=True)
    optimizer = torch.optim.Adam([scores], lr=0.1)
    for _ in range(150):
        loss = ctc_losses(scores.log_softmax(-1), [10], [(1,)], penalty).losses.sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    (frame,) = best_alignment(scores.detach().double().log_softmax(-1)[0], (1,)).times
    assert frame <= first if penalty > 0 else frame >= first
