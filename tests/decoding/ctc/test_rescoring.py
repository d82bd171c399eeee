"""Weights of the scores are as they are written."""

import pytest

from whyformer.decoding.ctc.rescoring import RescoringSpec
from whyformer.decoding.ctc.search import CTCHypothesis

FOUND = [CTCHypothesis((index,), score, (0,), 0) for index, score in enumerate([-1.0, -2.0, -3.0], 1)]
LEFT, RIGHT = [-5.0, -1.0, -2.0], [-1.0, -9.0, -2.0]


@pytest.mark.parametrize(
    ("ctc", "reverse", "totals"),
    [
        (0.5, 0.0, {1: -5.5, 2: -2.0, 3: -3.5}),
        (0.0, 0.0, {1: -5.0, 2: -1.0, 3: -2.0}),
        (1.0, 1.0, {1: -2.0, 2: -11.0, 3: -5.0}),
        (0.5, 0.25, {1: -4.5, 2: -4.0, 3: -3.5}),
    ],
)
def test_totals_are_weighted_sums(ctc: float, reverse: float, totals: dict[int, float]):
    ranked = RescoringSpec(ctc=ctc, reverse=reverse).rank(FOUND, LEFT, RIGHT)
    assert {each.hypothesis.ids[0]: each.total for each in ranked} == pytest.approx(totals)
    assert [each.total for each in ranked] == sorted(totals.values(), reverse=True)
    for each in ranked:
        index = each.hypothesis.ids[0] - 1
        assert (each.hypothesis, each.left_to_right, each.right_to_left) == (
            FOUND[index],
            LEFT[index],
            RIGHT[index],
        )


def test_without_the_other_direction_there_is_one_score():
    ranked = RescoringSpec().rank(FOUND, LEFT)
    assert [each.total for each in ranked] == [-2.0, -3.5, -5.5]
    assert ranked[0].right_to_left is None
    with pytest.raises(ValueError, match="no decoder from right to left"):
        RescoringSpec(reverse=0.1).rank(FOUND, LEFT)


def test_equals_keep_their_order_and_scores_must_be_one_each():
    assert [each.hypothesis for each in RescoringSpec(ctc=0.0).rank(FOUND, [-1.0] * 3)] == FOUND
    assert RescoringSpec().rank([], []) == []
    with pytest.raises(ValueError, match="shorter"):
        RescoringSpec().rank(FOUND, LEFT[:2])
