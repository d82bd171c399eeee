"""Question 27 in small: whose energy the sum has, and what turns when nothing is scaled."""

import pytest
import torch

from whyformer.why.lab.positions import WordReader, toy_embedding
from whyformer.why.lab.toys.order import repetition, reversal
from whyformer.why.lab.training import ToyTraining
from whyformer.why.questions.q27_embedding import QUESTION, Embedding

CLAIMS = {claim.key: claim for claim in QUESTION.claims}
BRIEF = Embedding(training=ToyTraining(steps=2, test_every=1, batch=4, test_examples=8), rates=(3e-3,))


def test_the_tasks_are_what_they_say():
    tokens, target = reversal(9, 6, 4)(torch.Generator().manual_seed(0), 5)
    assert torch.equal(tokens.flip(1), target)
    assert 4 <= int(tokens.min()) <= int(tokens.max()) < 13
    tokens, target = repetition(9, 6, 4)(torch.Generator().manual_seed(0), 5)
    assert ((tokens == target).sum(dim=1) == 2).all()
    assert all(len(set(row)) == 5 for row in tokens.tolist())


def test_scaling_lifts_the_share_of_the_tokens_from_3_to_66_percent():
    measured = BRIEF.run(101)
    # By definition d / (d + d/2) and 1 / (1 + d/2); 3 seeds: 64 to 67, and 2.7 to 3.0.
    assert CLAIMS["with_scale"].value(measured) == pytest.approx(66.7, abs=4)
    assert CLAIMS["without"].value(measured) == pytest.approx(3.0, abs=0.6)
    assert 0.5 < CLAIMS["softmax"].value(measured) < 2


def test_with_the_scale_off_the_share_falls():
    measured = BRIEF.model_copy(update={"scaled": False}).run(101)
    assert CLAIMS["with_scale"].value(measured) < 5


def test_content_is_learned_sooner_with_the_scale():
    right: list[float] = []
    for scale in (True, False):
        torch.manual_seed(101)
        model = WordReader(toy_embedding(scale=scale), positions=True)
        log = ToyTraining(steps=150, test_every=150, rate=5e-3).run(model, repetition(24, 8, 4), 101)
        right.append(log.final)
    # 3 seeds: 26 to 39 points apart.
    assert right[0] > right[1] + 5
