"""Scores are sacrebleu's, against one reference or several, and each says how it was made."""

import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from whyformer.errors import DataError
from whyformer.tasks.translation.scores.metrics import Metric, ScoringSpec, is_right, score

HYPOTHESES = ["the cat sat on the mat", "a dog runs in the park", "it rains today"]
REFERENCES = [
    ["the cat sat on a mat", "the cat was sitting on the mat"],
    ["a dog is running in the park"],
    ["it rains today", "rain falls today", "today it rains"],
]


def by_name(scores: list[Metric]) -> dict[str, Metric]:
    return {each.name: each for each in scores}


def test_with_one_reference_each_it_is_what_sacrebleu_says():
    first = [group[:1] for group in REFERENCES]
    scores = by_name(score(HYPOTHESES, first, ScoringSpec()))
    stream = [[group[0] for group in first]]
    assert scores["bleu"].value == BLEU().corpus_score(HYPOTHESES, stream).score
    assert scores["chrf"].value == CHRF().corpus_score(HYPOTHESES, stream).score
    assert scores["exact"].value == pytest.approx(100 / 3)
    assert scores["bleu"].signature.startswith("nrefs:1|case:mixed|eff:no|tok:13a|")


def test_not_every_sentence_needs_as_many_references():
    scores = by_name(score(HYPOTHESES, REFERENCES, ScoringSpec()))
    # A reference that is repeated adds nothing to BLEU and chrF, so it may fill the gaps.
    filled = [[*group, *[group[0]] * (3 - len(group))] for group in REFERENCES]
    streams = [list(rank) for rank in zip(*filled, strict=True)]
    assert scores["bleu"].value == pytest.approx(BLEU().corpus_score(HYPOTHESES, streams).score)
    assert scores["chrf"].value == pytest.approx(CHRF().corpus_score(HYPOTHESES, streams).score)
    assert scores["bleu"].signature.startswith("nrefs:var|")


def test_more_references_never_lower_a_score():
    few = score(HYPOTHESES, [group[:1] for group in REFERENCES], ScoringSpec())
    many = score(HYPOTHESES, REFERENCES, ScoringSpec())
    assert all(more.value >= less.value for more, less in zip(many, few, strict=True))


def test_a_translation_is_right_if_it_equals_any_reference():
    assert is_right("b", ["a", "b"], lowercase=False)
    assert not is_right("B", ["a", "b"], lowercase=False)
    assert is_right("B", ["a", "b"], lowercase=True)


def test_each_way_of_cutting_text_makes_one_more_bleu():
    scores = score(["Ja, gut."], [["Ja , gut ."]], ScoringSpec(), ["none", "13a"])
    assert [each.name for each in scores] == ["bleu", "bleu", "chrf", "exact"]
    assert "|tok:none|" in scores[0].signature
    assert "|tok:13a|" in scores[1].signature
    assert scores[0].value < scores[1].value == pytest.approx(100)


def test_case_is_ignored_where_that_is_asked_for_and_the_signature_says_so():
    minded = score(["EIN HUND BELLT LAUT"], [["ein hund bellt laut"]], ScoringSpec())
    ignored = score(["EIN HUND BELLT LAUT"], [["ein hund bellt laut"]], ScoringSpec(lowercase=True))
    assert [each.value for each in ignored] == pytest.approx([100, 100, 100])
    assert all(each.value < 100 for each in minded)
    assert all("case:lc" in each.signature for each in ignored)
    assert all("case:mixed" in each.signature for each in minded)


@pytest.mark.parametrize(
    ("hypotheses", "references", "complaint"),
    [
        ([], [], "there is nothing to score"),
        (["a", "b"], [["a"], []], "sentence 2 has no reference"),
        (["a", "b"], [["a"]], "2 translations cannot be scored against 1 sentences"),
    ],
)
def test_what_cannot_be_scored_is_refused(hypotheses, references, complaint):
    with pytest.raises(DataError, match=complaint):
        score(hypotheses, references, ScoringSpec())
