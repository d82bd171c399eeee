"""What may not matter does not: the future, padding, the other sentences of the batch."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from whyformer.models.transformer import Transformer, transformer

V, M = 12, 8


def build() -> Transformer:
    torch.manual_seed(0)
    model = transformer(layers=2, d_model=M, heads=2, feed_forward=12, dropout=0.0).build(V, V).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


MODEL = build()
Batch = tuple[Tensor, Tensor]
LENGTHS = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=4)
SIDES = st.sampled_from(["left", "right"])


def padded(lengths: list[int], side: str, seed: int, extra: int = 0) -> Batch:
    """Random tokens, in padding too: what stands there may not matter."""
    width = max(lengths) + extra
    tokens = torch.randint(0, V, (len(lengths), width), generator=torch.Generator().manual_seed(seed))
    column, length = torch.arange(width), torch.tensor(lengths)[:, None]
    return tokens, column >= width - length if side == "left" else column < length


def with_gradients(source: Batch, target: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Embedded source (B,S,M), embedded target (B,T,M), hidden states (B,T,M) of one graph."""
    read: list[Tensor] = []

    def keep(_module: nn.Module, _input: object, output: Tensor) -> None:
        read.append(output)

    hook = MODEL.source_embedding.register_forward_hook(keep)
    try:
        hidden = MODEL(*source, *target)
    finally:
        hook.remove()
    return read[0], read[1], hidden


@settings(max_examples=30)
@given(LENGTHS, SIDES, SIDES, st.integers(0, 99), st.data())
def test_gradients_from_the_future_and_from_padding_are_exactly_zero(
    lengths: list[tuple[int, int]], source_side: str, target_side: str, seed: int, data: st.DataObject
):
    source = padded([s for s, _ in lengths], source_side, seed)
    target = padded([t for _, t in lengths], target_side, seed + 1)
    row = data.draw(st.integers(0, len(lengths) - 1))
    # The columns of the row's real tokens, in order.
    real = target[1][row].nonzero().flatten()
    t = data.draw(st.integers(0, len(real) - 1))
    column = int(real[t])
    embedded_source, embedded_target, hidden = with_gradients(source, target)
    to_source, to_target = torch.autograd.grad(
        (hidden[row, column] * torch.arange(M)).sum(), [embedded_source, embedded_target]
    )
    assert to_source[row][source[1][row]].any()
    assert to_target[row, column].any()
    assert not to_source[row][~source[1][row]].any()
    assert not to_target[row, column + 1 :].any()
    assert not to_target[row][~target[1][row]].any()
    others = torch.arange(len(lengths)) != row
    assert not to_source[others].any()
    assert not to_target[others].any()


@settings(max_examples=30)
@given(LENGTHS, SIDES, SIDES, st.integers(0, 5), st.integers(0, 99))
def test_a_sentence_does_not_notice_its_batch(
    lengths: list[tuple[int, int]], source_side: str, target_side: str, extra: int, seed: int
):
    source = padded([s for s, _ in lengths], source_side, seed, extra)
    target = padded([t for _, t in lengths], target_side, seed + 1, extra)
    with torch.no_grad():
        together = MODEL(*source, *target)
        for row in range(len(lengths)):
            own_source, own_target = source[1][row], target[1][row]
            alone = MODEL(
                source[0][row, own_source][None],
                torch.ones(1, int(own_source.sum()), dtype=torch.bool),
                target[0][row, own_target][None],
                torch.ones(1, int(own_target.sum()), dtype=torch.bool),
            )
            torch.testing.assert_close(together[row, own_target], alone[0], rtol=1e-10, atol=1e-10)


def test_in_fp32_a_longer_mate_changes_nothing_either():
    model = build().float()
    source, target = padded([5], "right", 0), padded([4], "right", 1)
    with torch.no_grad():
        alone = model(*source, *target)
        longer_source, longer_target = padded([5, 30], "right", 2), padded([4, 37], "right", 3)
        longer_source[0][0, :5], longer_target[0][0, :4] = source[0][0], target[0][0]
        together = model(*longer_source, *longer_target)
    torch.testing.assert_close(together[0, :4], alone[0], rtol=0, atol=2e-6)


def test_sentences_of_nothing_but_padding_do_no_harm():
    source, target = padded([4, 4], "right", 0), padded([3, 3], "right", 1)
    for valid in (source[1], target[1]):
        valid[1] = False
    embedded_source, embedded_target, hidden = with_gradients(source, target)
    assert hidden.isfinite().all()
    gradients = torch.autograd.grad(hidden[0].square().sum(), [embedded_source, embedded_target])
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert not any(gradient[1].any() for gradient in gradients)
