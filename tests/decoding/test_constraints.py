"""Prefix, lengths, forbidden tokens and n-grams, in every kind of search; and what is refused."""

import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from whyformer.decoding.beam import BeamSpec
from whyformer.decoding.constraints import forbid_repeated_ngrams
from whyformer.decoding.greedy import GreedySpec
from whyformer.decoding.sampling import SamplingSpec
from whyformer.decoding.search import SearchSpec
from whyformer.errors import DecodingError
from whyformer.special_tokens import BOS, EOS, PAD, UNK

SENTENCES = [(4, 5, 4), (5,), (4, 4, 5, 5, 6, 4), (6, 4)]
KINDS = [GreedySpec(), BeamSpec(n_best=4), SamplingSpec(samples=4)]
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)


def found(toy, decode, kind, seed=0, **settings):
    spec = type(kind).model_validate({**kind.model_dump(), **settings})
    return decode(toy(seed, vocabulary=8), SENTENCES, spec)


@every_kind
def test_prefix_comes_first_even_if_forbidden(toy, decode, kind):
    for hypotheses in found(toy, decode, kind, prefix=(7, 0, 7), forbidden=(0, 2, 7)):
        for hypothesis in hypotheses:
            assert hypothesis.tokens[:3] == (7, 0, 7)
            assert not {0, 2, 7} & set(hypothesis.tokens[3:])


@every_kind
def test_forbidden_tokens_never_come(toy, decode, kind):
    seen = set()
    for seed in range(10):
        for hypotheses in found(toy, decode, kind, seed, forbidden=(0, UNK, 2, 6)):
            seen |= {token for hypothesis in hypotheses for token in hypothesis.tokens}
    assert seen == {4, 5, 7}


@every_kind
def test_lengths_keep_to_each_sentences_limits(toy, decode, kind):
    at_limit = at_least = 0
    for seed in range(20):
        settings = {"longest_factor": 0.5, "longest_extra": 3, "shortest": 4}
        for source, hypotheses in zip(SENTENCES, found(toy, decode, kind, seed, **settings), strict=True):
            longest = max(4, len(source) // 2 + 3)
            for hypothesis in hypotheses:
                length = len(hypothesis.tokens) + hypothesis.finished
                assert 4 <= length <= longest
                assert hypothesis.finished or length == longest
                at_limit += not hypothesis.finished
                at_least += hypothesis.finished and length == 4
    assert at_limit
    assert at_least


@every_kind
def test_unfinished_hypotheses_come_only_if_none_finished(toy, decode, kind):
    outcomes = set()
    for seed in range(20):
        for hypotheses in found(toy, decode, kind, seed, longest_factor=0, longest_extra=3):
            assert hypotheses
            finished = {hypothesis.finished for hypothesis in hypotheses}
            if kind.kind != "sampling":  # there, each sample is a search of its own
                assert len(finished) == 1
            outcomes |= finished
    assert outcomes == {True, False}


@every_kind
def test_the_models_own_limit_prevails(toy, decode, kind):
    spec = kind.model_copy(update={"forbidden": (0, 2)})
    for hypotheses in decode(toy(0, vocabulary=40), SENTENCES, spec, model_limit=2):
        assert all(len(hypothesis.token_log_probabilities) <= 2 for hypothesis in hypotheses)
    with pytest.raises(DecodingError, match=r"demand 3 target tokens.* at most 2;"):
        decode(toy(0), SENTENCES, kind.model_copy(update={"prefix": (4, 5)}), model_limit=2)


@every_kind
@pytest.mark.parametrize(("size", "shortest"), [(1, 5), (2, 9), (3, 17)])
def test_no_ngram_comes_twice(toy, decode, kind, size, shortest):
    def repeats(**settings) -> list[bool]:
        settings |= {"shortest": shortest, "prefix": (4,)}
        lists = [hypotheses for seed in range(5) for hypotheses in found(toy, decode, kind, seed, **settings)]
        return [repeats_ngram(hypothesis.tokens, size) for hypotheses in lists for hypothesis in hypotheses]

    assert any(repeats())
    assert not any(repeats(no_repeat_ngram=size))


def repeats_ngram(tokens: tuple[int, ...], size: int) -> bool:
    ngrams = [tokens[start : start + size] for start in range(len(tokens) - size + 1)]
    return len(ngrams) > len(set(ngrams))


def test_only_the_tokens_that_would_repeat_are_forbidden():
    scores = torch.zeros(2, 8)
    tokens = torch.tensor([[4, 5, 6, 4, 7, 4], [4, 5, 4, 6, 7, 7]])
    forbid_repeated_ngrams(scores, tokens, 2)
    assert [row.isinf().nonzero().flatten().tolist() for row in scores] == [[5, 7], [7]]
    scores = torch.zeros(2, 8)
    forbid_repeated_ngrams(scores, tokens, 7)
    assert not scores.any()


def test_a_dead_end_is_explained(toy, decode):
    spec = GreedySpec(no_repeat_ngram=1, shortest=5, prefix=(1, 4))
    with pytest.raises(
        DecodingError, match="sentence 7: nothing is allowed to follow the first 3 target tokens"
    ):
        decode(toy(0, vocabulary=6), [(4,)], spec, numbers=[7])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@every_kind
def test_broken_logits_are_refused(toy, decode, kind, value):
    model = toy(0)
    model.logits = lambda source, prefix: [0.0, 0.0, 0.0, -9.0, 0.0, value if source == (6, 4) else 0.0]
    with pytest.raises(DecodingError, match="sentence 13: the model's logits are not finite numbers"):
        decode(model, SENTENCES, kind, numbers=[10, 11, 12, 13])


@every_kind
def test_a_model_may_rule_tokens_out(toy, decode, kind):
    model = toy(0)
    model.logits = lambda source, prefix: [0.0, 0.0, 0.0, 1.0, -float("inf"), 0.0]
    for hypotheses in decode(model, SENTENCES, kind):
        assert all(4 not in hypothesis.tokens for hypothesis in hypotheses)


def test_coverage_needs_attention(toy, decode):
    model = toy(0)
    start = model.start
    model.start = lambda source, valid, watch_attention: start(source, valid)
    with pytest.raises(DecodingError, match="coverage_penalty needs a model that attends"):
        decode(model, SENTENCES, BeamSpec(coverage_penalty=0.1))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"kind": "greedy", "forbidden": [0, EOS]}, "forbidden holds the end mark"),
        ({"kind": "greedy", "prefix": [4, EOS]}, "prefix holds the end mark"),
        ({"kind": "beam", "size": 3, "n_best": 4}, "n_best is 4, more than the beam's size 3"),
        ({"kind": "beam", "length_penalty": -0.1}, "greater than or equal to 0"),
        ({"kind": "beam", "coverage_penalty": -0.1}, "greater than or equal to 0"),
        ({"kind": "greedy", "size": 3}, "Extra inputs"),
        ({"kind": "viterbi"}, "kind"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(bad, message):
    with pytest.raises(ValidationError, match=message):
        TypeAdapter(SearchSpec).validate_python(bad)


def test_tokens_outside_the_vocabulary_are_refused(toy, decode):
    with pytest.raises(DecodingError, match="name token 6, but the last is 5"):
        decode(toy(0, vocabulary=6), SENTENCES, GreedySpec(prefix=(6,)))


def test_openings_are_a_choice_of_beginnings():
    settings = GreedySpec(openings=((4, 5), (4, 6, 7), (PAD,)), shortest=2)
    free = torch.zeros(3, 9)
    settings.apply(free, torch.empty(3, 0, dtype=torch.int64))
    assert (free[0] == 0).nonzero()[:, 0].tolist() == [PAD, 4]
    # The first is amid two openings, the second has one behind it and may go anywhere, the third, too.
    scores = torch.zeros(3, 9)
    settings.apply(scores, torch.tensor([[4], [PAD], [PAD]]))
    assert (scores[0] == 0).nonzero()[:, 0].tolist() == [5, 6]
    assert (scores[1] == 0).nonzero()[:, 0].tolist() == [1, 3, 4, 5, 6, 7, 8]
    scores = torch.zeros(2, 9)
    settings.apply(scores, torch.tensor([[4, 6], [4, 5]]))
    assert (scores[0] == 0).nonzero()[:, 0].tolist() == [7]
    assert (scores[1] == -torch.inf).nonzero()[:, 0].tolist() == [PAD, BOS]
    assert settings.longest(torch.tensor([1]), None).tolist() == [51]
    assert GreedySpec(longest_factor=0, longest_extra=0, openings=((4, 6, 7),)).longest(
        torch.tensor([1]), None
    ).tolist() == [4]


@pytest.mark.parametrize(
    "given", [{"openings": ((4, EOS),)}, {"openings": ((),)}, {"openings": ((4,),), "prefix": (4,)}]
)
def test_openings_that_mean_nothing_are_refused(given: dict[str, object]):
    with pytest.raises(ValidationError):
        GreedySpec.model_validate(given)


@every_kind
def test_every_hypothesis_has_one_of_the_openings(toy, decode, kind):
    openings = ((7, 0), (5, 5, 7), (5, 4), (2,))
    met = set()
    for seed in range(4):
        for hypotheses in found(toy, decode, kind, seed, openings=openings, forbidden=(0, 2)):
            for hypothesis in hypotheses:
                opened = [each for each in openings if hypothesis.tokens[: len(each)] == each]
                assert len(opened) == 1
                met.add(opened[0])
                assert not {0, 2} & set(hypothesis.tokens[len(opened[0]) :])
    assert len(met) > 1
