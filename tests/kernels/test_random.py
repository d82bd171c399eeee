"""Random words are those of SplitMix64, compiled or not, by however many threads."""

import pytest
import torch

from kernels.conftest import Plainly
from whyformer.dropout import keep_mask
from whyformer.kernels.random import plain_words, random_words

MASK = (1 << 64) - 1


def splitmix(seed: int, count: int) -> list[int]:
    """The generator as its paper has it, in whole numbers of any length."""
    words: list[int] = []
    for _ in range(count):
        seed = (seed + 0x9E3779B97F4A7C15) & MASK
        z = ((seed ^ (seed >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        words.append(z ^ (z >> 31))
    return words


@pytest.mark.parametrize("seed", [0, 1, -1, 1234567, -(1 << 63), (1 << 63) - 1])
@pytest.mark.parametrize("count", [0, 1, 2, 67])
def test_plain_words_are_those_of_the_paper(seed: int, count: int):
    words = plain_words(torch.tensor(seed), count)
    assert [word & MASK for word in words.tolist()] == splitmix(seed & MASK, count)


def test_the_first_word_of_a_known_seed():
    # Of the reference program's seed 1234567.
    assert plain_words(torch.tensor(1234567), 1).item() == 6457827717110365317


@pytest.mark.parametrize("count", [0, 1, 3, 16, 1001])
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_compiled_words_are_the_plain_ones(count: int, threads: int, plainly: Plainly):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        torch.manual_seed(3)
        ours = random_words(count)
        following = torch.rand(3)
    finally:
        torch.set_num_threads(before)
    with plainly():
        torch.manual_seed(3)
        assert torch.equal(random_words(count), ours)
        # What is drawn next does not depend on the way either.
        assert torch.equal(torch.rand(3), following)


def test_masks_of_neighbouring_seeds_have_nothing_in_common():
    like = torch.empty(20_000)
    masks: list[torch.Tensor] = []
    for seed in range(4):
        torch.manual_seed(seed)
        masks += [keep_mask(like, 0.5) > 0 for _ in range(2)]
    for place, one in enumerate(masks):
        assert one.float().mean().item() == pytest.approx(0.5, abs=0.02)
        for other in masks[:place]:
            assert (one == other).float().mean().item() == pytest.approx(0.5, abs=0.02)
