"""Question 12 in small: gradients by layer and by place, and what turns when both arms are one."""

import pytest

from whyformer.nn.residual.placement import PostNormSpec, PreNormSpec
from whyformer.why.arms import POST_NORM, PRE_NORM
from whyformer.why.lab.depth import DepthTraining, deep_reader, gradient_by_layer, letter_entropy
from whyformer.why.question import Measurements
from whyformer.why.questions.q12_norm_place import FREQUENCIES, LOSS, QUESTION, NormPlace, survived

CLAIMS = {claim.key: claim for claim in QUESTION.claims}
BRIEF = NormPlace(rates=(1e-3,), training=DepthTraining(steps=1), warmup=1)


def test_post_norm_has_uneven_gradients_and_pre_norm_has_not():
    # 6 seeds: 1.3 to 2.4 after the sum, 0.5 to 0.6 before the branch.
    last_to_first = [
        gradients[-1] / gradients[0]
        for gradients in (gradient_by_layer(place, 12, seed=101) for place in (PostNormSpec(), PreNormSpec()))
    ]
    assert last_to_first[0] > 1.5 * last_to_first[1]


def test_the_effect_is_gone_where_both_arms_have_the_norm_in_one_place():
    places = {POST_NORM: PreNormSpec(), PRE_NORM: PreNormSpec()}
    without, kept = (each.run(101) for each in (BRIEF.model_copy(update={"places": places}), BRIEF))
    assert CLAIMS["excess"].value(without) == pytest.approx(1.0)
    assert CLAIMS["excess"].value(kept) > 1.5


def test_a_rate_is_survived_below_the_frequencies_of_letters():
    losses = {1e-3: 2.9, 3e-3: 2.5, 1e-2: 3.2}
    seen = Measurements({(LOSS, POST_NORM, rate): loss for rate, loss in losses.items()})
    seen.update({(LOSS, FREQUENCIES, rate): 3.25 for rate in losses})
    assert survived(seen, POST_NORM) == 3e-3


def test_training_goes_by_the_rates_that_it_is_given():
    model = deep_reader(PreNormSpec(), layers=1)
    log = DepthTraining(steps=3, watch_every=1).run(model, lambda step: 0.0 if step < 3 else 1e-3, seed=101)
    assert log.updates[1] == log.updates[2] == 0.0 < log.updates[3]
    assert 3.0 < letter_entropy() < 3.5
