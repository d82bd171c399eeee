"""Question 25 in small: its schedule, what it reads off the losses, and a post-norm model without warm-up."""

import pytest

from whyformer.nn.residual.placement import PostNormSpec, PreNormSpec
from whyformer.training.optimization.schedule import LinearDecay
from whyformer.why.arms import POST_NORM, PRE_NORM
from whyformer.why.lab.depth import DepthTraining, deep_reader
from whyformer.why.question import Measurements
from whyformer.why.questions.q25_warmup import LOSS, MOMENTS, QUESTION, RATES, Warmup, best_of_rates

CLAIMS = {claim.key: claim for claim in QUESTION.claims}
# At rate 0.0025, 0.0035 and 0.005, without warm-up and with it.
LOSSES = {POST_NORM: ((2.8, 2.9), (3.3, 2.6), (3.3, 3.2)), PRE_NORM: ((2.7, 2.7), (2.6, 2.55), (2.6, 2.6))}


def seen(moments: float) -> Measurements:
    """Losses as they might be."""
    measured = Measurements()
    for arm, by_rate in LOSSES.items():
        for rate, (cold, warm) in zip(RATES, by_rate, strict=True):
            measured[LOSS[rate], arm, 0], measured[LOSS[rate], arm, 80] = cold, warm
            measured[LOSS[rate], MOMENTS, 0] = moments
    return measured


def test_claims_compare_at_the_rate_that_is_best_with_warm_up():
    assert CLAIMS["post"].value(seen(3.3)) == pytest.approx(0.7)
    assert CLAIMS["pre"].value(seen(3.3)) == pytest.approx(0.05)
    assert best_of_rates(seen(3.3), POST_NORM) == pytest.approx(0.2)


@pytest.mark.parametrize(("moments", "nats"), [(3.3, 0.0), (2.6, 0.7)])
def test_the_arm_that_estimates_moments_first_would_tell(moments: float, nats: float):
    assert CLAIMS["moments"].value(seen(moments)) == pytest.approx(nats)


def test_every_cell_is_measured_and_idle_steps_change_nothing():
    measured = Warmup(training=DepthTraining(steps=1), warmups=(0, 1)).run(101)
    # After one step at rate 0 of the decay's end no model has moved: all losses are those of the start.
    assert len({measured[LOSS[rate], POST_NORM, 0] for rate in RATES}) == 1
    assert all((LOSS[rate], arm, 1) in measured for rate in RATES for arm in (POST_NORM, PRE_NORM))


def test_the_first_updates_are_smaller_with_warm_up():
    sizes: list[float] = []
    for warmup in (0, 20):
        schedule = LinearDecay(peak=5e-3, warmup=warmup)
        model = deep_reader(PostNormSpec(), layers=2)
        log = DepthTraining(steps=2).run(model, lambda step, schedule=schedule: schedule.rate(step, 40), 101)
        sizes.append(log.updates[1])
    assert sizes[1] == pytest.approx(sizes[0] / 20, rel=0.2)


def test_without_warm_up_a_high_rate_keeps_pre_norm_learning_and_not_post_norm():
    finals = [
        DepthTraining(steps=60).run(deep_reader(place, layers=6), lambda _: 1e-2, seed=101).final
        for place in (PostNormSpec(), PreNormSpec())
    ]
    # 3 seeds: 3.25 to 3.27 after the sum, 2.8 to 2.9 before the branch.
    assert finals[0] > finals[1] + 0.1
