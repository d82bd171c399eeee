"""Dropout cut from random words: the probability is exact, the mean stays."""

import pytest
import torch
from torch import Tensor

from whyformer.dropout import Dropout, keep_mask


def every_word(count: int) -> Tensor:
    """Stands in for ``random_words``: each of the 65,536 values of 16 bits, once."""
    assert count * 4 == 1 << 16
    return torch.arange(-(1 << 15), 1 << 15).to(torch.int16).view(torch.int64)


@pytest.mark.parametrize("p", [0.1, 0.25, 0.3, 0.5, 0.9, 0.0])
def test_the_probability_is_exact(p: float, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("whyformer.dropout.random_words", every_word)
    mask = keep_mask(torch.empty(1 << 16, dtype=torch.float64), p)
    kept = int((mask != 0).sum())
    assert kept == (1 << 16) - round(p * (1 << 16))
    assert mask.unique().tolist() == [*([0.0] if p else []), (1 << 16) / kept]
    assert float(mask.mean()) == pytest.approx(1.0, abs=1e-12)


def test_all_bits_of_a_word_are_random():
    torch.manual_seed(0)
    # (words, elements of one word)
    mask = keep_mask(torch.empty(100_000, 4), 0.3)
    sigma = (0.3 * 0.7 / 100_000) ** 0.5
    for element in range(4):
        assert float((mask[:, element] == 0).float().mean()) == pytest.approx(0.3, abs=4 * sigma)
    # Neighbours in a word are independent: 0.3 times 0.3 are dropped together.
    together = (mask[:, 0] == 0) & (mask[:, 1] == 0)
    assert float(together.float().mean()) == pytest.approx(0.09, abs=4 * (0.09 * 0.91 / 100_000) ** 0.5)


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 5), (0, 4)])
def test_every_shape_and_type_is_kept(shape: tuple[int, ...]):
    for dtype in (torch.float32, torch.bfloat16, torch.float64):
        mask = keep_mask(torch.empty(shape, dtype=dtype), 0.5)
        assert mask.shape == shape
        assert mask.dtype == dtype
        assert set(mask.flatten().tolist()) <= {0.0, 2.0}


@pytest.mark.parametrize("p", [0.0, 0.1, 0.3, 0.9])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_types_of_two_bytes_get_the_same_mask_rounded(dtype: torch.dtype, p: float):
    masks: list[Tensor] = []
    for each in (torch.float32, dtype):
        torch.manual_seed(3)
        masks.append(keep_mask(torch.empty(5, 1001, dtype=each), p))
    assert torch.equal(masks[0].to(dtype), masks[1])


def test_the_module_drops_in_training_only():
    torch.manual_seed(0)
    x = torch.ones(1000, requires_grad=True)
    dropout = Dropout(0.5)
    dropped = dropout(x)
    assert set(dropped.tolist()) == {0.0, 2.0}
    dropped.sum().backward()
    assert torch.equal(x.grad if x.grad is not None else x, dropped)
    assert dropout.eval()(x) is x
    assert Dropout(0.0)(x) is x
    assert repr(dropout) == "Dropout(probability=0.5)"


def test_the_seed_decides():
    x = torch.ones(64)
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(Dropout(0.5)(x))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
