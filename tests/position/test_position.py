"""Sinusoids, learned vectors, rotations: each its formula, and what it does beyond the length it knows."""

import math

import pytest
import torch
from torch import Tensor

from whyformer.errors import DataError
from whyformer.position.absolute import LearnedSpec, Sinusoidal, SinusoidalSpec, sinusoids
from whyformer.position.attention_shape import AttentionShape
from whyformer.position.layout import Layout
from whyformer.position.positions import Positions
from whyformer.position.rotary import RotarySpec
from whyformer.position.scheme import PositionScheme


@pytest.mark.parametrize("d_model", [1, 2, 7, 8, 512])
def test_the_formula_of_the_paper(d_model: int):
    table = sinusoids(torch.arange(50), d_model)
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
        embedded = scheme.embed(x, Layout(torch.tensor([position])))
        torch.testing.assert_close(embedded[0], sinusoids(torch.arange(9001), 6)[position])
    assert scheme.embed(torch.zeros(1, 0, 6), Layout(torch.zeros(1, 0, dtype=torch.int64))).shape == (1, 0, 6)


def test_a_table_that_grew_while_translating_serves_training():
    scheme = Sinusoidal(4)
    layout = Layout(torch.arange(3)[None])
    with torch.inference_mode():
        scheme.embed(torch.zeros(1, 3, 4), layout)
    x = torch.ones(1, 3, 4, requires_grad=True)
    scheme.embed(x, layout).square().sum().backward()
    torch.testing.assert_close(x.grad, 2 * (1 + sinusoids(torch.arange(3), 4))[None])


def test_the_table_belongs_to_no_checkpoint_and_no_type():
    scheme = Sinusoidal(4)
    layout = Layout(torch.arange(3)[None])
    before = scheme.embed(torch.zeros(1, 3, 4), layout)
    assert scheme.state_dict() == {}
    torch.testing.assert_close(scheme.bfloat16().embed(torch.zeros(1, 3, 4), layout), before, rtol=0, atol=0)
    assert scheme.embed(torch.zeros(1, 3, 4, dtype=torch.bfloat16), layout).dtype == torch.bfloat16


def test_the_dot_product_of_two_encodings_depends_on_their_offset_only():
    table = sinusoids(torch.arange(400), 64).double()
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

    def embed(self, x: Tensor, layout: Layout) -> Tensor:
        return x * self.number + layout.position[..., None]

    def rotate(self, x: Tensor, position: Tensor) -> Tensor:
        return x * self.number + position[:, None, :, None]

    def logits(self, query: Tensor, key: Tensor, queries: Layout, keys: Layout) -> Tensor:
        return torch.full((1, 1, 1, 1), self.number)

    def values(self, weights: Tensor, queries: Layout, keys: Layout) -> Tensor:
        return weights * self.number


def test_schemes_chain_in_the_first_two_places_and_add_up_in_the_last_two():
    both = Positions([Constant(2.0), Constant(3.0)])
    layout = Layout(torch.tensor([[1]]))
    one = torch.ones(1, 1, 1)
    # (1 · 2 + 1) · 3 + 1
    assert both.embed(one, layout).item() == 10
    assert both.rotate(one[None], layout.position).item() == 10
    logits, values = both.logits(one[None], one[None], layout, layout), both.values(one[None], layout, layout)
    assert logits is not None
    assert values is not None
    assert (logits.item(), values.item()) == (5, 5)
    assert both.reads_weights


def test_no_scheme_is_legal_and_changes_nothing():
    none, layout, x = Positions([]), Layout(torch.zeros(1, 1, dtype=torch.int64)), torch.ones(1, 1, 1)
    assert none.embed(x, layout) is x
    assert none.rotate(x, layout.position) is x
    assert none.logits(x[None], x[None], layout, layout) is None
    assert none.values(x[None], layout, layout) is None
    assert not none.reads_weights


def test_sinusoids_touch_the_input_only():
    scheme, layout, x = (
        SinusoidalSpec().build(AttentionShape(d_model=4, heads=1, dim=4)),
        Layout(torch.zeros(1, 1, dtype=torch.int64)),
        torch.ones(1, 1, 1, 4),
    )
    assert isinstance(scheme, Sinusoidal)
    assert not list(scheme.parameters())
    assert scheme.rotate(x, layout.position) is x
    assert scheme.logits(x, x, layout, layout) is None
    assert not Positions([scheme]).reads_weights


SITE = AttentionShape(d_model=8, heads=1, dim=8)


def test_learned_vectors_are_looked_up_and_added():
    scheme, position = LearnedSpec(longest=5).build(SITE), torch.tensor([[4, 0, 4]])
    table = scheme.get_parameter("table")
    assert table.shape == (5, 8)
    torch.testing.assert_close(scheme.embed(torch.ones(1, 3, 8), Layout(position)), 1 + table[position])
    assert scheme.embed(torch.ones(1, 3, 8).bfloat16(), Layout(position)).dtype == torch.bfloat16
    assert scheme.embed(torch.ones(1, 0, 8), Layout(position[:, :0])).shape == (1, 0, 8)


def test_beyond_the_learned_vectors_a_sentence_is_refused():
    spec = LearnedSpec(longest=5)
    assert spec.max_positions() == 5
    with pytest.raises(DataError, match=r"6 tokens is longer than the 5 learned positions.*`longest`"):
        spec.build(SITE).embed(torch.ones(1, 2, 8), Layout(torch.tensor([[0, 5]])))


def turned(x: Tensor, position: int, spec: RotarySpec) -> Tensor:
    """A query or key (D,) at ``position``."""
    scheme = spec.build(AttentionShape(d_model=len(x), heads=1, dim=len(x)))
    return scheme.rotate(x[None, None, None], torch.tensor([[position]]))[0, 0, 0]


def test_two_components_turn_by_one_radian_a_position():
    unit = torch.tensor([1.0, 0.0])
    torch.testing.assert_close(turned(unit, 3, RotarySpec()), torch.tensor([math.cos(3), math.sin(3)]))
    both = turned(torch.tensor([1.0, 1.0, 0.0, 0.0]), 3, RotarySpec(base=100))
    # Components 0 and 2 turn by 3, components 1 and 3 by 3 / √100.
    expected = [math.cos(3), math.cos(0.3), math.sin(3), math.sin(0.3)]
    torch.testing.assert_close(both, torch.tensor(expected))


def test_products_of_turned_vectors_know_the_offset_only_at_any_position():
    query, key = torch.randn(2, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    products = [
        float(turned(query, start, RotarySpec()) @ turned(key, start + 5, RotarySpec()))
        for start in (0, 7, 4096, 10**6)
    ]
    assert products == pytest.approx([products[0]] * 4, abs=1e-8)
    assert float(turned(query, 0, RotarySpec()) @ turned(key, 4, RotarySpec())) != pytest.approx(products[0])


def test_a_fraction_is_turned_and_a_stretch_slows_the_turning():
    x = torch.randn(8, generator=torch.Generator().manual_seed(0))
    partly = turned(x, 6, RotarySpec(fraction=0.5))
    torch.testing.assert_close(partly[:4], turned(x[:4], 6, RotarySpec()))
    assert torch.equal(partly[4:], x[4:])
    torch.testing.assert_close(turned(x, 6, RotarySpec(stretch=3)), turned(x, 2, RotarySpec()))


def test_in_bf16_late_positions_are_told_apart():
    unit = torch.tensor([1.0, 0.0]).bfloat16()
    late = [turned(unit, 100_000 + step, RotarySpec()) for step in range(2)]
    exact = torch.tensor([[math.cos(p), math.sin(p)] for p in (100_000, 100_001)])
    torch.testing.assert_close(torch.stack(late).float(), exact, rtol=0, atol=0.005)


@pytest.mark.parametrize(
    ("fraction", "dim", "fits"),
    [(1.0, 8, True), (1.0, 5, False), (0.5, 8, True), (0.5, 6, False), (0.1, 8, False), (0.07, 200, True)],
)
def test_only_whole_pairs_turn(fraction: float, dim: int, fits: bool):
    fault = RotarySpec(fraction=fraction).incompatibility(AttentionShape(d_model=dim, heads=1, dim=dim))
    assert (fault is None) == fits
    assert fits or "make it even" in str(fault)
