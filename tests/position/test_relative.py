"""ALiBi, T5, Shaw, Transformer-XL: each its formula on a small example, and what it does with far keys.

Q query length · K key length · H heads · D head dimension
"""

import pytest
import torch
from torch import Tensor

from whyformer.attention.heads import HeadsSpec
from whyformer.attention.mask import Causal, Everything
from whyformer.attention.multihead import AttentionSpec
from whyformer.nn.stack import BlockSpec, StackSpec
from whyformer.position.absolute import sinusoids
from whyformer.position.alibi import AlibiSpec
from whyformer.position.attention_shape import AttentionShape
from whyformer.position.layout import Layout
from whyformer.position.positions import PositionSpec
from whyformer.position.scheme import PositionScheme
from whyformer.position.shaw import ShawKeysSpec, ShawValuesSpec
from whyformer.position.t5 import T5, T5Spec
from whyformer.position.transformer_xl import TransformerXLSpec

H, D = 2, 4
SITE = AttentionShape(d_model=8, heads=H, dim=D)


def along(*position: int) -> Layout:
    return Layout(torch.tensor([position]))


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def built(spec: PositionSpec, shape: AttentionShape = SITE) -> PositionScheme:
    """The scheme, its parameters drawn at random."""
    scheme = spec.build(shape)
    with torch.no_grad():
        for parameter in scheme.parameters():
            parameter.copy_(random(*parameter.shape))
    return scheme


def logits(scheme: PositionScheme, query: Tensor, key: Tensor, queries: Layout, keys: Layout) -> Tensor:
    term = scheme.logits(query, key, queries, keys)
    assert term is not None
    return term


def test_the_slopes_are_those_of_the_paper():
    eight = AlibiSpec().build(AttentionShape(d_model=8, heads=8, dim=1)).get_buffer("slopes")
    assert eight.tolist() == [2.0**-i for i in range(1, 9)]
    twelve = AlibiSpec().build(AttentionShape(d_model=12, heads=12, dim=1)).get_buffer("slopes")
    # Those of eight heads, then every other one of sixteen.
    expected = torch.tensor([*(2.0**-i for i in range(1, 9)), *(2.0 ** -(i + 0.5) for i in range(4))])
    torch.testing.assert_close(twelve, expected)


def test_alibi_grows_with_the_distance_to_both_sides_and_without_end():
    scheme, x = built(AlibiSpec()), random(1, H, 2, D)
    far = logits(scheme, x, x, along(1, 2), along(0, 1, 2, 10_000))
    # Two heads: slopes of 2^-4 and 2^-8.
    distance = torch.tensor([[1.0, 0, 1, 9_999], [2, 1, 0, 9_998]])
    torch.testing.assert_close(far[0], -torch.stack([distance / 16, distance / 256]))
    assert not list(scheme.parameters())


@pytest.mark.parametrize(
    ("causal", "buckets"),
    [
        # Eight buckets: 0 to 3 for themselves, then two of 4 to 7 and of 8 to 15 in halves of an octave.
        (True, {0: 0, -1: 1, -3: 3, -4: 4, -5: 4, -6: 5, -7: 5, -8: 6, -11: 6, -12: 7, -999: 7, 3: 0}),
        # Four to each side: 0 and 1 for themselves, then 2 to 5 and all beyond.
        (False, {0: 0, -1: 1, -2: 2, -5: 2, -6: 3, -999: 3, 1: 5, 2: 6, 5: 6, 6: 7, 999: 7}),
    ],
)
def test_buckets_widen_and_the_last_has_no_end(causal: bool, buckets: dict[int, int]):
    scheme = built(T5Spec(buckets=8, farthest=16), AttentionShape(8, H, D, causal))
    assert isinstance(scheme, T5)
    assert scheme.bucket(torch.tensor(list(buckets))).tolist() == list(buckets.values())


def test_t5_adds_the_number_of_the_bucket():
    scheme, x = built(T5Spec(buckets=8, farthest=16)), random(1, H, 2, D)
    table = scheme.get_parameter("table")
    expected = table[torch.tensor([[0, 5, 7], [1, 0, 7]])].permute(2, 0, 1)
    torch.testing.assert_close(logits(scheme, x, x, along(3, 4), along(3, 4, 5000))[0], expected)


POSITIONS = pytest.mark.parametrize(
    "layout", [along(0, 1, 2, 3, 4, 5), along(0, 1, 2, 0, 1, 2), along(9, 2, 5, 5, 0, 1)]
)


def vectors(scheme: PositionScheme, layout: Layout, distance: int) -> Tensor:
    """Shaw's a_ij: (Q,K,D)."""
    position = layout.position[0]
    offset = position[None, :] - position[:, None]
    return scheme.get_parameter("table")[offset.clamp(-distance, distance) + distance]


@POSITIONS
def test_shaw_keys_are_q_times_a(layout: Layout):
    scheme, query = built(ShawKeysSpec(distance=2)), random(3, H, 6, D)
    expected = torch.einsum("bhqd,qkd->bhqk", query, vectors(scheme, layout, 2))
    torch.testing.assert_close(logits(scheme, query, query, layout, layout).expand_as(expected), expected)


@POSITIONS
def test_shaw_values_are_the_weighted_sum_of_a(layout: Layout):
    scheme, weights = built(ShawValuesSpec(distance=2)), random(3, H, 6, 6).softmax(-1)
    expected = torch.einsum("bhqk,qkd->bhqd", weights, vectors(scheme, layout, 2))
    actual = scheme.values(weights, layout, layout)
    assert actual is not None
    torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize("side", [-1, 1])
def test_all_that_is_far_has_the_vector_of_the_distance(side: int):
    keys, values = built(ShawKeysSpec(distance=2)), built(ShawValuesSpec(distance=2))
    query, far = random(1, H, 1, D), along(500 + 2 * side, 500 + 50 * side, 500 + 400 * side)
    row = 2 + 2 * side
    alike = logits(keys, query, query, along(500), far)
    product = query @ keys.get_parameter("table")[row]
    torch.testing.assert_close(alike, product[..., None].expand_as(alike))
    taken = values.values(torch.tensor([0.2, 0.3, 0.5]).expand(1, H, 1, 3), along(500), far)
    assert taken is not None
    torch.testing.assert_close(taken, values.get_parameter("table")[row].expand_as(taken))


@POSITIONS
def test_transformer_xl_has_three_terms_beside_the_product(layout: Layout):
    scheme, query, key = built(TransformerXLSpec()), random(1, H, 6, D), random(1, H, 6, D).flip(2)
    position = layout.position[0]
    offset = position[None, :] - position[:, None]
    projected = sinusoids(offset.flatten(), 8) @ scheme.get_parameter("project.weight").T
    # (Q·K,H·D) -> (Q,K,H,D)
    place = projected.view(6, 6, H, D)
    u, v = scheme.get_parameter("content"), scheme.get_parameter("offset")
    expected = (
        torch.einsum("bhqd,qkhd->bhqk", query, place)
        + torch.einsum("hd,bhkd->bhk", u, key)[:, :, None]
        + torch.einsum("hd,qkhd->hqk", v, place)
    )
    torch.testing.assert_close(logits(scheme, query, key, layout, layout), expected)


def test_transformer_xl_reaches_to_any_offset():
    scheme, x = built(TransformerXLSpec()), random(1, H, 1, D)
    far = logits(scheme, x, x, along(0), along(100_000))
    assert far.isfinite().all()
    torch.testing.assert_close(far, logits(scheme, x, x, along(77), along(100_077)))


@pytest.mark.parametrize("owner", ["stack", "layer"])
@pytest.mark.parametrize("spec", [T5Spec(), ShawKeysSpec(), ShawValuesSpec(), TransformerXLSpec()])
def test_parameters_belong_to_the_stack_or_to_every_layer(spec: PositionSpec, owner: str):
    spec = spec.model_copy(update={"owner": owner})
    block = BlockSpec(attention=AttentionSpec(heads=HeadsSpec(query=H)))
    stack = StackSpec(layers=3, positions=(spec,), block=block).build(8)
    sets = len(list(stack.positions)), [len(list(own.children())) for own in stack.layer_positions]
    assert sets == ((1, [0, 0, 0]) if owner == "stack" else (0, [1, 1, 1]))


def test_a_stack_tells_t5_whether_later_keys_are_seen():
    block = BlockSpec(attention=AttentionSpec(heads=HeadsSpec(query=H)))
    for mask in (Causal(), Everything()):
        scheme = next(iter(StackSpec(mask=mask, positions=(T5Spec(),), block=block).build(8).positions))
        assert isinstance(scheme, T5)
        assert scheme.causal == mask.causal
