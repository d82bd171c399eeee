"""Caches: whatever is appended and selected, in whatever order, comes back as a plain list would give it."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from whyformer.attention.multihead import KeyValues
from whyformer.nn.cache import CrossCache, KVCache, LayerCache
from whyformer.position.layout import Layout

H, D = 2, 3


def columns(rows: int, new: int, first: int) -> KeyValues:
    """Different numbers everywhere."""
    key = torch.arange(rows * H * new * D, dtype=torch.float32).view(rows, H, new, D) + 1000 * first
    return KeyValues(key, -key)


def test_a_layer_grows_past_its_capacity():
    layer, parts = LayerCache(), []
    for step in range(150):
        parts.append(columns(2, 1, step))
        so_far = layer.append(parts[-1], step)
        assert torch.equal(so_far.key, torch.cat([part.key for part in parts], dim=2))
        assert torch.equal(so_far.value, torch.cat([part.value for part in parts], dim=2))


def test_many_columns_may_come_at_once():
    layer = LayerCache()
    first, second = columns(1, 70, 0), columns(1, 300, 1)
    layer.append(first, 0)
    assert torch.equal(layer.append(second, 70).key, torch.cat([first.key, second.key], dim=2))


Operation = tuple[str, list[int]]
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.lists(st.just(0), min_size=1, max_size=40)),
        st.tuples(st.just("select"), st.lists(st.integers(0, 10**6), min_size=1, max_size=6)),
    ),
    max_size=12,
)


@given(rows=st.integers(1, 4), padded=st.booleans(), operations=OPERATIONS)
def test_a_cache_is_a_list_that_is_faster(rows: int, padded: bool, operations: list[Operation]):
    cache = KVCache(layers=2)
    keys, position = torch.empty(rows, H, 0, D), torch.empty(rows, 0, dtype=torch.int64)
    valid = torch.empty(rows, 0, dtype=torch.bool)
    for number, (name, numbers) in enumerate(operations):
        if name == "append":
            new = columns(len(keys), len(numbers), number)
            queries = Layout(
                torch.arange(len(numbers)).expand(len(keys), -1) + position.shape[1],
                torch.rand(len(keys), len(numbers)) < 0.7 if padded else None,
            )
            keys = torch.cat([keys, new.key], dim=2)
            position = torch.cat([position, queries.position], dim=1)
            present = torch.ones_like(queries.position).bool() if queries.valid is None else queries.valid
            valid = torch.cat([valid, present], dim=1)
            layout = cache.with_new(queries)
            for layer in range(2):
                assert torch.equal(cache.append(layer, new).key, keys)
            cache.advance(layout, queries)
        else:
            chosen = torch.tensor([number % len(keys) for number in numbers])
            cache.select(chosen)
            keys, position, valid = keys[chosen], position[chosen], valid[chosen]
        assert cache.length == position.shape[1]
        check_axis(cache.layout, position, valid if padded else None)


def check_axis(layout: Layout | None, position: Tensor, valid: Tensor | None) -> None:
    if layout is None:
        assert position.shape[1] == 0
        return
    assert torch.equal(layout.position, position)
    if valid is None:
        assert layout.valid is None
    else:
        assert layout.valid is not None
        assert torch.equal(layout.valid, valid)


def test_padding_may_come_late():
    cache = KVCache(layers=0)
    first = Layout(torch.tensor([[0]]))
    cache.advance(cache.with_new(first), first)
    layout = cache.with_new(Layout(torch.tensor([[1]]), torch.tensor([[False]])))
    assert layout.valid is not None
    assert layout.valid.tolist() == [[True, False]]


def test_a_selected_cache_shares_nothing_with_its_past():
    layer = LayerCache()
    layer.append(columns(2, 1, 0), 0)
    layer.select(torch.tensor([0, 0, 0]), 1)
    new = columns(3, 1, 7)
    so_far = layer.append(new, 1)
    assert torch.equal(so_far.key[:, :, 1:], new.key)
    assert torch.equal(so_far.key[:, :, :1], columns(2, 1, 0).key[[0, 0, 0]])


def test_an_unused_layer_has_nothing_to_select():
    cache = KVCache(layers=1)
    cache.select(torch.tensor([0, 0]))
    assert cache.length == 0


def test_a_memory_is_selected_in_every_layer():
    layers = [columns(3, 4, layer) for layer in range(2)]
    cross = CrossCache(layers, Layout.of(torch.tensor([[True] * 4, [True] * 2 + [False] * 2, [True] * 4])))
    rows = torch.tensor([1, 1, 2, 0])
    cross.select(rows)
    for layer, before in zip(cross.layers, layers, strict=True):
        assert torch.equal(layer.key, before.key[rows])
        assert torch.equal(layer.value, before.value[rows])
    assert cross.layout.valid is not None
    assert cross.layout.valid.sum(dim=1).tolist() == [2, 2, 4, 4]
