"""The compiled gradient of the cross-entropy is that of the plain path."""

import pytest
import torch

from kernels.conftest import Plainly
from whyformer.kernels.cross_entropy import logits_gradient_
from whyformer.special_tokens import PAD


@pytest.mark.parametrize("rows", [0, 1, 5, 64])
@pytest.mark.parametrize("columns", [4, 16, 17, 31, 1000])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("threads", [1, 2])
def test_it_is_that_of_the_plain_path(
    rows: int, columns: int, smoothing: float, threads: int, plainly: Plainly
):
    torch.manual_seed(1)
    before, logits = torch.get_num_threads(), 5 * torch.randn(rows, columns)
    gold = torch.randint(PAD + 1, columns, (rows, 1))
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.bfloat16, 1e-2)):
        ours, theirs = logits.to(dtype).clone(), logits.to(dtype).clone()
        torch.set_num_threads(threads)
        try:
            told = logits_gradient_(ours, gold, smoothing)
        finally:
            torch.set_num_threads(before)
        with plainly():
            expected = logits_gradient_(theirs, gold, smoothing)
        torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=1e-6)
        assert not ours[:, PAD].any()
        for one, other in zip(told, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_what_is_no_number_is_not_hidden():
    logits = torch.zeros(2, 40)
    logits[1, 7] = torch.nan
    normaliser, _ = logits_gradient_(logits, torch.tensor([[3], [3]]), 0.1)
    assert normaliser.isnan().flatten().tolist() == [False, True]
    assert logits.isnan().any(dim=1).tolist() == [False, True]
