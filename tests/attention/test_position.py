"""Sinusoids: the paper's formula, any length, and products that know only the offset."""

import math

import pytest
import torch
from torch import Tensor, nn

from whyformer.attention.mask import Axis
from whyformer.attention.position import Positions, PositionScheme, Sinusoidal, SinusoidalSpec, sinusoids


@pytest.mark.parametrize("d_model", [1, 2, 7, 8, 512])
def test_the_formula_of_the_paper(d_model: int):
    table = sinusoids(50, d_model)
    assert table.shape == (50, d_model)
    for p in range(0, 50, 7):
        for component in range(d_model):
            i = component // 2
            angle = p / 10_000 ** (2 * i / d_model)
            expected = math.sin(angle) if component % 2 == 0 else math.cos(angle)
            assert float(table[p, component]) == pytest.approx(expected, abs=1e-7)


def test_the_table_grows_when_a_position_lies_beyond_it():
    scheme = Sinusoidal(6)
    x = torch.zeros(1, 3, 6)
    for position in ([0, 1, 2], [0, 63, 64], [5000, 2, 9000], [9, 8, 7]):
        embedded = scheme.embed(x, torch.tensor([position]))
        torch.testing.assert_close(embedded[0], sinusoids(9001, 6)[position])
    assert scheme.embed(torch.zeros(1, 0, 6), torch.zeros(1, 0, dtype=torch.int64)).shape == (1, 0, 6)


def test_a_table_that_grew_while_translating_serves_training():
    scheme = Sinusoidal(4)
    position = torch.arange(3)[None]
    with torch.inference_mode():
        scheme.embed(torch.zeros(1, 3, 4), position)
    x = torch.ones(1, 3, 4, requires_grad=True)
    scheme.embed(x, position).square().sum().backward()
    torch.testing.assert_close(x.grad, 2 * (1 + sinusoids(3, 4))[None])


def test_the_table_belongs_to_no_checkpoint_and_no_type():
    scheme = Sinusoidal(4)
    position = torch.arange(3)[None]
    before = scheme.embed(torch.zeros(1, 3, 4), position)
    assert scheme.state_dict() == {}
    torch.testing.assert_close(
        scheme.bfloat16().embed(torch.zeros(1, 3, 4), position), before, rtol=0, atol=0
    )
    assert scheme.embed(torch.zeros(1, 3, 4, dtype=torch.bfloat16), position).dtype == torch.bfloat16


def test_the_dot_product_of_two_encodings_depends_on_their_offset_only():
    table = sinusoids(400, 64).double()
    products = table @ table.T
    for offset in (0, 1, 5, 37):
        diagonal = products.diagonal(offset)
        assert float(diagonal.max() - diagonal.min()) < 1e-5
    assert float(products[0, 0] - products[0, 5]) > 1


class Constant(PositionScheme):
    """Adds a number in every place."""

    def __init__(self, number: float) -> None:
        super().__init__()
        self.number = number

    def embed(self, x: Tensor, position: Tensor) -> Tensor:
        return x * self.number + position[..., None]

    def rotate(self, x: Tensor, position: Tensor) -> Tensor:
        return x * self.number + position[:, None, :, None]

    def logits(self, query: Tensor, queries: Axis, keys: Axis) -> Tensor:
        return torch.full((1, 1, 1, 1), self.number)

    def values(self, weights: Tensor, queries: Axis, keys: Axis) -> Tensor:
        return weights * self.number


def test_schemes_chain_in_the_first_two_places_and_add_up_in_the_last_two():
    both = Positions([Constant(2.0), Constant(3.0)])
    axis = Axis(torch.tensor([[1]]))
    one = torch.ones(1, 1, 1)
    # (1 · 2 + 1) · 3 + 1
    assert both.embed(one, axis.position).item() == 10
    assert both.rotate(one[None], axis.position).item() == 10
    logits, values = both.logits(one[None], axis, axis), both.values(one[None], axis, axis)
    assert logits is not None
    assert values is not None
    assert (logits.item(), values.item()) == (5, 5)
    assert both.reads_weights


def test_no_scheme_is_legal_and_changes_nothing():
    none, axis, x = Positions([]), Axis(torch.zeros(1, 1, dtype=torch.int64)), torch.ones(1, 1, 1)
    assert none.embed(x, axis.position) is x
    assert none.rotate(x, axis.position) is x
    assert none.logits(x[None], axis, axis) is None
    assert none.values(x[None], axis, axis) is None
    assert not none.reads_weights


def test_sinusoids_touch_the_input_only():
    scheme, axis, x = (
        SinusoidalSpec().build(4),
        Axis(torch.zeros(1, 1, dtype=torch.int64)),
        torch.ones(1, 1, 1, 4),
    )
    assert isinstance(scheme, Sinusoidal)
    assert not list(scheme.parameters())
    assert scheme.rotate(x, axis.position) is x
    assert scheme.logits(x, axis, axis) is None
    assert not Positions([scheme]).reads_weights
    assert isinstance(Positions([scheme]).schemes, nn.ModuleList)
