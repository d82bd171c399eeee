"""Question 20 in small: it goes the right way, and not where the relative schemes know nothing."""

import math

import pytest
import torch

from whyformer.why.arms import LEARNED, SHAW, SINUSOIDAL
from whyformer.why.lab.order import BACK, PLACE, RELATIVE, OrderReader, draw_sentences, order_results
from whyformer.why.lab.positions import CHARACTERS, SCHEMES, lines_of_code, manual, next_characters
from whyformer.why.lab.training import IGNORED, ToyTraining
from whyformer.why.question import Measurements
from whyformer.why.questions.q20_positions import QUESTION, PositionSchemes

BRIEF = ToyTraining(steps=2, test_every=1, batch=4, test_examples=4)
CLAIMS = {claim.key: claim for claim in QUESTION.claims}


@pytest.fixture(scope="module")
def small() -> Measurements:
    """All arms, trained for "3 back" in few steps, and hardly for anything else."""
    training = ToyTraining(steps=100, test_every=50, rate=7e-3)
    return PositionSchemes(training=training, deep=BRIEF, text=BRIEF).run(101)


def test_the_tasks_are_what_they_say():
    tokens, target = draw_sentences(torch.Generator().manual_seed(0), 4, 10)
    back, placed, odd = target.unbind(1)
    assert torch.equal(back[:, BACK:], tokens[:, :-BACK])
    assert (back[:, :BACK] == IGNORED).all()
    assert (placed == tokens[:, PLACE, None]).all()
    assert ((tokens == odd).sum(dim=1) == 1).all()


def test_the_small_experiment_goes_the_right_way(small: Measurements):
    # 6 seeds: over 98 and over 97 % (90 hold); under 25 % (50 hold).
    assert CLAIMS["shaw"].value(small) > 90
    assert CLAIMS["odd"].value(small) > 90
    assert CLAIMS["fades"].value(small) < 50
    assert CLAIMS["others"].value(small) < 50


def test_a_table_that_ends_refuses_and_is_not_called_wrong(small: Measurements):
    assert math.isnan(small[RELATIVE, LEARNED, 64])
    assert not math.isnan(small[RELATIVE, SINUSOIDAL, 64])


def test_without_offsets_nothing_is_found():
    torch.manual_seed(101)
    model = OrderReader((), layers=1)
    ToyTraining(steps=100, test_every=100, rate=7e-3).run(
        model, lambda random, count: draw_sentences(random, count, 12), 101
    )
    # 6 seeds: 15 to 20 %.
    assert order_results(model, SHAW, [16], 101)[RELATIVE, SHAW, 16] < 50


def test_prose_is_cut_into_characters_and_the_ones_after_them():
    pieces, following = next_characters(20)(torch.Generator().manual_seed(0), 3)
    assert torch.equal(pieces[:, 1:], following[:, :-1])
    assert 0 <= int(manual().min()) <= int(manual().max()) == CHARACTERS - 1


def test_a_learned_table_is_no_longer_than_other_schemes():
    assert lines_of_code(SCHEMES[LEARNED]) < lines_of_code(SCHEMES[SHAW])
