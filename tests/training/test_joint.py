"""The joint loss is the weighted sum of its parts."""

import warnings

import pytest
import torch
from torch import Tensor

from whyformer.attention.heads import HeadsSpec
from whyformer.attention.mask import Causal
from whyformer.attention.multihead import AttentionSpec
from whyformer.decoding.ctc.sums import frame_log_probabilities
from whyformer.errors import WhyformerNote
from whyformer.models.streaming.rescorer import Rescorer, RescorerSpec
from whyformer.nn.feed_forward import ReluSpec
from whyformer.nn.stack import BlockSpec, StackSpec
from whyformer.position.layout import Layout
from whyformer.training.ctc.joint import JointLossSpec, joint_losses
from whyformer.training.ctc.losses import ctc_losses
from whyformer.training.loss import LossSpec

M, V, LENGTHS, TEXTS = 16, 5, [6, 4, 1], [(1, 2, 3), (4,), (2, 2)]


def example(reverse_layers: int) -> tuple[Tensor, tuple[Tensor, Layout], Rescorer]:
    torch.manual_seed(0)
    heads = AttentionSpec(heads=HeadsSpec(query=2))
    block = BlockSpec(attention=heads, cross_attention=heads, feed_forward=ReluSpec(hidden=32), dropout=0.0)
    stack = StackSpec(layers=1, mask=Causal(), block=block)
    rescorer = RescorerSpec(decoder=stack, reverse_layers=reverse_layers).build(M, V).eval()
    hidden = torch.randn(3, 6, M, requires_grad=True)
    log_probs = frame_log_probabilities(hidden @ torch.randn(M, V))
    valid = torch.arange(6) < torch.tensor(LENGTHS)[:, None]
    return log_probs, (hidden, Layout.right_padded(valid, LENGTHS)), rescorer


pytestmark = pytest.mark.filterwarnings("ignore:some texts need:whyformer.errors.WhyformerNote")


def test_texts_that_do_not_fit_are_told():
    log_probs, _, _ = example(0)
    with pytest.warns(WhyformerNote, match="need more frames"):
        joint_losses(JointLossSpec(), log_probs, LENGTHS, TEXTS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        joint_losses(JointLossSpec(), log_probs, LENGTHS, [(1, 2, 3), (4,), (2,)])


@pytest.mark.parametrize("reverse_layers", [0, 1])
@pytest.mark.parametrize("penalty", [0.0, 0.1])
def test_parts_are_weighted_as_written(reverse_layers: int, penalty: float):
    log_probs, memory, rescorer = example(reverse_layers)
    spec = JointLossSpec(ctc=0.3, reverse=0.2, delay_penalty=penalty, decoders=LossSpec(label_smoothing=0.0))
    losses = joint_losses(spec, log_probs, LENGTHS, TEXTS, rescorer=rescorer, memory=memory)
    ctc = ctc_losses(log_probs, LENGTHS, TEXTS, penalty).losses.sum().item()
    left = -sum(rescorer.log_probabilities(*memory, TEXTS))
    share = 0.2 if reverse_layers else 0.0
    right = -sum(rescorer.log_probabilities(*memory, TEXTS, reverse=True)) if reverse_layers else 0.0
    expected = 0.3 * ctc + 0.7 * ((1 - share) * left + share * right)
    assert losses.total.item() == pytest.approx(expected, rel=1e-5)
    assert losses.predictions == 6 + 3
    assert float(losses.figures["left_to_right"]) == pytest.approx(left, rel=1e-5)
    assert ("right_to_left" in losses.figures) == bool(reverse_layers)
    assert float(losses.figures["nll"]) == pytest.approx(
        ctc_losses(log_probs, LENGTHS, TEXTS).losses.sum().item()
    )
    assert float(losses.figures["impossible"]) == 1.0
    (gradient,) = torch.autograd.grad(losses.total, memory[0])
    assert gradient.isfinite().all()
    # The decoders learn from a text that does not fit its frames.
    assert gradient[2].any()


def test_without_decoders_it_is_ctc():
    log_probs, memory, _ = example(0)
    losses = joint_losses(JointLossSpec(), log_probs, LENGTHS, TEXTS)
    assert losses.total.item() == pytest.approx(ctc_losses(log_probs, LENGTHS, TEXTS).losses.sum().item())
    assert {*losses.figures} == {"nll", "impossible"}
    assert all(not figure.requires_grad for figure in losses.figures.values())
    (gradient,) = torch.autograd.grad(losses.total, memory[0])
    assert not gradient[2].any()


def test_smoothing_is_that_of_the_decoders():
    log_probs, memory, rescorer = example(1)
    plain, smooth = (
        joint_losses(
            JointLossSpec(decoders=LossSpec(label_smoothing=smoothing)),
            log_probs, LENGTHS, TEXTS, rescorer=rescorer, memory=memory,
        )
        for smoothing in (0.0, 0.1)
    )  # fmt: skip
    assert plain.total.item() != pytest.approx(smooth.total.item(), rel=1e-3)
    for name in plain.figures:
        assert float(plain.figures[name]) == pytest.approx(float(smooth.figures[name]), rel=1e-6)
