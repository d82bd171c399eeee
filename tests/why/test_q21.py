"""Question 21 in small: what the shares of a rule do to what is read, and to what a model learns from it."""

import pytest
import torch
from torch import Generator

from whyformer.data.batches.masking import MaskingSpec
from whyformer.why.lab.toys.probing import Probed, best_to_probe, probe
from whyformer.why.lab.toys.reader import Reader
from whyformer.why.lab.toys.text import (
    MASK_ID,
    WORDS,
    TokenTagger,
    chosen_by,
    cloze_encoder,
    state_shift,
    token_tags,
)
from whyformer.why.lab.training import IGNORED, ToyTraining, percent_right
from whyformer.why.question import Text
from whyformer.why.questions.q21_masking import BERTS, MASK_ONLY, NO_CHANGE, NO_KEEPING, RULES

KEPT = MaskingSpec(mask=0.0, random=0.0)


@pytest.mark.parametrize(
    ("arm", "mask", "true"),
    # A random token is the true one in one of eight cases.
    [(MASK_ONLY, 1.0, 0.0), (BERTS, 0.8, 0.1125), (NO_KEEPING, 0.8, 0.025), (NO_CHANGE, 0.0, 1.0)],
)
def test_a_rule_keeps_its_shares(arm: Text, mask: float, true: float):
    read, target = chosen_by(RULES[next(each for each in RULES if each == arm)])(
        Generator().manual_seed(1), 8192
    )
    asked = target != IGNORED
    assert bool(asked.any(dim=1).all())
    assert float((read[asked] == MASK_ID).double().mean()) == pytest.approx(mask, abs=0.02)
    assert float((read[asked] == target[asked]).double().mean()) == pytest.approx(true, abs=0.02)
    assert not bool((read[~asked] == MASK_ID).any())


def trained(rule: MaskingSpec) -> Reader:
    """A model after a short training."""
    torch.manual_seed(1)
    model = cloze_encoder()
    ToyTraining(steps=100, batch=96, test_every=100, rate=1e-2).run(model, chosen_by(rule), seed=1)
    return model


def test_what_is_never_true_is_not_believed():
    asked = chosen_by(KEPT)(Generator().manual_seed(2), 2048)
    believed = {arm: percent_right(trained(RULES[arm]), asked) for arm in (BERTS, NO_KEEPING)}
    # Six seeds: 64 to 80 against 54 to 55.
    assert believed[NO_KEEPING] + 8.0 < believed[BERTS]


def test_a_frozen_model_stays_as_it_is_and_a_tuned_one_does_not():
    model = cloze_encoder()
    before = model.output.weight.clone(), next(model.stack.parameters()).clone()
    for frozen in (True, False):
        torch.manual_seed(1)
        tagger = TokenTagger(model, frozen)
        ToyTraining(steps=3, batch=8, test_every=3, test_examples=8, rate=1e-2).run(
            tagger, token_tags(True), seed=1
        )
        moved = not torch.equal(next(tagger.reader.stack.parameters()), before[1])
        assert moved is not frozen
    assert torch.equal(next(model.stack.parameters()), before[1])


@pytest.mark.parametrize("seed", [101, 102, 103])
def test_a_classifier_is_at_its_optimum_and_finds_what_states_hold(seed: int):
    torch.manual_seed(seed)
    model = cloze_encoder()
    few, plenty = (probe(model, WORDS, token_tags(False), texts, seed) for texts in (2, 512))
    # Three seeds: 44 to 72 by two texts.
    assert few.right + 10.0 < plenty.right
    assert plenty.right > 99.0
    assert max(few.moved, plenty.moved) < 1.0
    with torch.no_grad():  # no token differs from another: nothing is left to classify by
        model.embedding.weight.copy_(model.embedding.weight[0].expand_as(model.embedding.weight))
    assert probe(model, WORDS, token_tags(False), 512, seed).right < 20.0


def test_the_rate_is_chosen_by_what_the_states_are_good_for():
    training = ToyTraining(steps=2, batch=8, test_every=2, test_examples=8)
    scores = iter([Probed(1.0, 0.0), Probed(3.0, 0.0), Probed(2.0, 0.0)])
    seen: list[Reader] = []

    def score(model: Reader) -> Probed:
        seen.append(model)
        return next(scores)

    rates = (1e-3, 1e-2, 1e-1)
    model, log = best_to_probe(training, rates, cloze_encoder, chosen_by(KEPT), score, seed=1)
    assert model is seen[1]
    assert log.steps == 2


def test_a_model_without_attention_is_not_shifted():
    model = cloze_encoder()
    assert state_shift(model, seed=1) > 0.0
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "attention.output" in name:
                weight.zero_()
    assert state_shift(model, seed=1) < 1e-6
