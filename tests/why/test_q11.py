"""Question 11 in small: LayerNorm reads one token alone, and whatever reads the batch is found out."""

from dataclasses import replace

import pytest
import torch
from torch import Generator

from whyformer.nn.residual.norm import LayerNorm, LayerNormSpec, MaskedBatchNormSpec
from whyformer.why.arms import BATCH_NORM, LAYER_NORM
from whyformer.why.lab.norms import COPIES, LATER, MATES, PADS, USED, PaddedBatchNormSpec, influences
from whyformer.why.lab.training import ToyTraining
from whyformer.why.questions.q11_batch_norm import NORMS, QUESTION, BatchDependence

SMALL = BatchDependence(
    batches=(2,), rates=(3e-3,), training=ToyTraining(steps=150, test_every=150, test_examples=64)
)


def test_the_small_experiment_goes_the_right_way():
    experiment = SMALL.model_copy(update={"batches": (2, 32)})
    short = experiment.model_copy(update={"training": ToyTraining(steps=1, test_every=1, test_examples=64)})
    findings = replace(QUESTION, experiment=short).ask([101])
    exact = {each.claim.key: each.outcome for each in findings.judgements}
    assert {exact[key] for key in ("own", "coupled", "copies", "used")} == {"holds"}


@pytest.mark.parametrize("seed", range(101, 104))
def test_what_a_norm_reads(seed: int):
    torch.manual_seed(seed)
    layer, batch, padded = (
        influences(SMALL.model(norm, layers=2), Generator().manual_seed(seed))
        for norm in (LayerNormSpec(), MaskedBatchNormSpec(), PaddedBatchNormSpec())
    )
    assert {*layer.values()} == {0.0}
    # 20 seeds: 0.48 at least, and copies 5e-6 at most.
    assert min(batch[LATER], batch[MATES], padded[LATER], padded[MATES], padded[PADS]) > 0.1
    assert batch[PADS] == batch[USED] == padded[USED] == 0.0
    assert max(batch[COPIES], padded[COPIES]) < 1e-4


def test_a_layer_norm_that_reads_the_batch_is_refuted(monkeypatch: pytest.MonkeyPatch):
    def over_batch(self: LayerNorm, x: torch.Tensor, valid: torch.Tensor | None = None) -> torch.Tensor:
        return (x - x.mean(dim=(0, 1))) / (x.std(dim=(0, 1)) + 1e-5)

    monkeypatch.setattr(LayerNorm, "forward", over_batch)
    short = ToyTraining(steps=1, test_every=1, test_examples=64)
    broken = SMALL.model_copy(update={"batches": (2, 32), "training": short})
    findings = replace(QUESTION, experiment=broken).ask([101])
    assert next(each for each in findings.judgements if each.claim.key == "own").refutes
    assert findings.verdict == "refuted"


def test_a_batch_norm_that_is_a_layer_norm_is_not_behind():
    # With BatchNorm itself 8 seeds had 0.03 to 0.57 nats.
    broken = SMALL.model_copy(update={"norms": {**NORMS, BATCH_NORM: NORMS[LAYER_NORM]}})
    measured = broken.run(101)
    behind = next(claim for claim in QUESTION.claims if claim.key == "behind")
    assert behind.value(measured) == 0.0
