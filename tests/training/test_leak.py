"""The leak check passes sound models and names the two positions of a leak."""

import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from whyformer.attention.heads import HeadsSpec
from whyformer.attention.mask import Causal, Everything, MaskRule
from whyformer.attention.multihead import AttentionSpec
from whyformer.errors import TrainingError
from whyformer.models.transformer import transformer
from whyformer.nn.feed_forward import ReluSpec
from whyformer.nn.residual.norm import LayerNormSpec, MaskedBatchNormSpec, NormSpec
from whyformer.nn.residual.placement import PlacementSpec, PostNormSpec, PreNormSpec
from whyformer.nn.stack import BlockSpec, StackSpec
from whyformer.position.layout import Layout
from whyformer.training.leak import check_no_leak
from whyformer.training.task import Probe

M, T = 16, 6
States = Callable[[], Probe]


def probe(mask: MaskRule, placement: PlacementSpec, after: Callable[[Tensor], Tensor]) -> States:
    """A stack in training, with dropout; ``after`` acts on its hidden states."""
    torch.manual_seed(0)
    block = BlockSpec(
        attention=AttentionSpec(heads=HeadsSpec(query=2), dropout=0.1),
        feed_forward=ReluSpec(hidden=16),
        placement=placement,
    )
    stack = StackSpec(layers=2, mask=mask, block=block).build(M)

    def states() -> Probe:
        embedded = torch.randn(1, T, M, requires_grad=True)
        return Probe(embedded, after(stack(embedded, Layout(torch.arange(T)[None]))))

    return states


def unchanged(x: Tensor) -> Tensor:
    return x


PLACEMENTS = pytest.mark.parametrize("placement", [PostNormSpec(), PreNormSpec()], ids=["post", "pre"])


@PLACEMENTS
def test_a_causal_stack_passes(placement: PlacementSpec):
    check_no_leak(probe(Causal(), placement, unchanged))


def test_the_transformer_passes():
    torch.manual_seed(0)
    model = transformer(layers=2, d_model=M, heads=2, feed_forward=16, dropout=0.3).build(20, 20)
    embedded: list[Tensor] = []

    def keep(_module: nn.Module, _input: object, output: Tensor) -> None:
        embedded.append(output)

    model.target_embedding.register_forward_hook(keep)
    tokens = torch.arange(4, 12)[None]

    def states() -> Probe:
        hidden = model(tokens, tokens > 0, tokens, tokens > 0)
        return Probe(embedded[-1], hidden)

    check_no_leak(states)


def complaint(states: States) -> tuple[int, int, float]:
    """The position that sees, the position that is seen, and the gradient, as the message names them."""
    with pytest.raises(TrainingError) as caught:
        check_no_leak(states)
    message = str(caught.value)
    found = re.search(
        r"at position (\d+) depends on the later input at position (\d+) \(gradient (\S+),", message
    )
    assert found, message
    assert "causal mask" in message
    return int(found[1]), int(found[2]), float(found[3])


@PLACEMENTS
def test_a_decoder_that_sees_everything_is_refused(placement: PlacementSpec):
    output, seen, gradient = complaint(probe(Everything(), placement, unchanged))
    assert (output, seen) == (0, 1)
    # A leak shows as a gradient, not as rounding noise, even where a layer norm comes last.
    assert gradient > 1e-3


def test_a_norm_that_mixes_positions_is_refused():
    def over_positions(x: Tensor) -> Tensor:
        return (x - x.mean(dim=1, keepdim=True)) / x.std(dim=1, keepdim=True)

    output, seen, _ = complaint(probe(Causal(), PostNormSpec(), over_positions))
    assert (output, seen) == (0, 1)


@pytest.mark.parametrize(("reader", "read"), [(0, 1), (2, 5), (4, 5)])
def test_a_single_leak_is_found_where_it_is(reader: int, read: int):
    def states() -> Probe:
        embedded = torch.randn(2, T, M, requires_grad=True)
        hidden = embedded.cumsum(dim=1)
        hidden[:, reader] = hidden[:, reader] + 1e-6 * embedded[:, read]
        return Probe(embedded, hidden)

    output, seen, _ = complaint(states)
    assert (output, seen) == (reader, read)


def test_the_check_leaves_the_random_state_alone():
    states = probe(Causal(), PostNormSpec(), unchanged)
    torch.manual_seed(3)
    states()
    expected = torch.get_rng_state()
    torch.manual_seed(3)
    check_no_leak(states)
    assert torch.equal(torch.get_rng_state(), expected)


def padded(norm: NormSpec, reads: float = 0.0) -> States:
    """A stack that reads both sides of a text of four tokens; some states also read the padding behind it."""
    torch.manual_seed(0)
    stack = StackSpec(
        layers=2, block=BlockSpec(attention=AttentionSpec(heads=HeadsSpec(query=2)), norm=norm)
    ).build(M)
    valid = torch.arange(T) < 4

    def states() -> Probe:
        embedded = torch.randn(1, T, M, requires_grad=True)
        hidden = stack(embedded, Layout(torch.arange(T)[None], valid[None]))
        leak = reads * embedded[:, 5:] * (torch.arange(T) == 2)[:, None]
        return Probe(embedded, hidden + leak, valid[None] | ~valid[:, None])

    return states


@pytest.mark.parametrize("norm", [LayerNormSpec(), MaskedBatchNormSpec()])
def test_a_stack_that_may_read_both_sides_passes(norm: NormSpec):
    check_no_leak(padded(norm))


def test_a_state_that_reads_padding_is_refused():
    with pytest.raises(TrainingError) as caught:
        check_no_leak(padded(LayerNormSpec(), reads=1e-6))
    message = str(caught.value)
    assert message.startswith("the output at position 2 depends on the input at position 5, which is out of")
    assert "causal" not in message
