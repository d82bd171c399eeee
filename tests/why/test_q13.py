"""Question 13 in small: what batch norm does to a network of convolutions, and what it depends on."""

import pytest
import torch
from torch import Generator, Tensor

from whyformer.nn.residual.norm import MaskedBatchNorm, MaskedBatchNormSpec
from whyformer.why.arms import BATCH_NORM, NO_NORM
from whyformer.why.lab.norms import WAVES, Convolutions, fold_error, tones
from whyformer.why.lab.training import ToyTraining
from whyformer.why.questions.q13_batch import (
    MIXED,
    QUESTION,
    RATES,
    SORTED,
    BatchNormAtWork,
    lost_points,
)

SMALL = BatchNormAtWork(
    rates=(3e-2, 3e-1),
    few=(1e-2,),
    training=ToyTraining(steps=80, batch=32, momentum=0.9, test_every=80, test_examples=128),
    longer=1,
)


def test_the_small_experiment_goes_the_right_way():
    measured = SMALL.run(101)
    # 6 seeds: 72 to 100 % against 10 to 21, 60 to 71 points lost where sorted, -0.8 to 2.1 where mixed.
    assert measured[RATES, BATCH_NORM, 3e-1] > measured[RATES, NO_NORM, 3e-1] + 20.0
    assert lost_points(measured, SORTED) > 20.0
    assert abs(lost_points(measured, MIXED)) < 5.0
    assert lost_points(measured, SORTED, NO_NORM) == pytest.approx(0.0, abs=1e-3)


@torch.no_grad()
def test_a_norm_that_always_uses_running_averages_does_not_mind_the_batch(monkeypatch: pytest.MonkeyPatch):
    model = Convolutions(MaskedBatchNormSpec())
    signals = tones(Generator().manual_seed(101), 8).sentences
    moved = model(signals)[:1] - model(signals[:1])
    assert float(moved.abs().max()) > 0.01

    def settled(self: MaskedBatchNorm, x: Tensor, valid: Tensor | None = None) -> Tensor:
        return x * self.weight + self.bias

    monkeypatch.setattr(MaskedBatchNorm, "forward", settled)
    assert torch.allclose(model(signals)[:1], model(signals[:1]), atol=1e-5)


@pytest.mark.parametrize("seed", [101, 102, 103])
def test_folding_is_exact(seed: int):
    torch.manual_seed(seed)
    model = Convolutions(MaskedBatchNormSpec())
    examples = tones(Generator().manual_seed(seed), 64)
    for _ in range(20):  # running averages of its own
        model(examples.sentences)
    assert fold_error(model, examples.sentences) < 1e-5


def test_folding_is_not_exact_where_a_norm_reads_its_batch(monkeypatch: pytest.MonkeyPatch):
    model = Convolutions(MaskedBatchNormSpec())
    signals = tones(Generator().manual_seed(101), 64).sentences
    monkeypatch.setattr(model, "eval", model.train)
    assert fold_error(model, signals) > 0.01


def test_tones_are_balanced_and_finite():
    signals, kind = tones(Generator().manual_seed(101), 600)
    assert signals.shape == (600, 32, 1)
    assert bool(signals.isfinite().all())
    assert int(kind.bincount(minlength=WAVES).min()) > 60
    assert [claim.key for claim in QUESTION.claims if claim.control] == ["mixed"]
