"""Tokens are drawn by their probability, from exactly the tokens that are allowed."""

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from whyformer.decoding.sampling import SamplingSpec, draw, nucleus
from whyformer.special_tokens import BOS, EOS

SOURCE = (4, 5, 6)
DRAWS = 4000


def first_tokens(toy_model, decode, **settings) -> dict[int, float]:
    """How often each token comes first among many draws, as a share."""
    spec = SamplingSpec(samples=DRAWS, longest_factor=0, longest_extra=1, forbidden=(), **settings)
    (hypotheses,) = decode(toy_model, [SOURCE], spec)
    assert len(hypotheses) == DRAWS
    counts = Counter(hypothesis.tokens[0] if hypothesis.tokens else EOS for hypothesis in hypotheses)
    return {token: count / DRAWS for token, count in counts.items()}


def expected(toy_model, temperature: float = 1.0) -> torch.Tensor:
    return (torch.tensor(toy_model.logits(SOURCE, (BOS,))) / temperature).softmax(0)


def assert_drawn_by(shares: dict[int, float], probabilities: torch.Tensor) -> None:
    assert set(shares) <= set(probabilities.nonzero().flatten().tolist())
    for token, probability in enumerate(probabilities.tolist()):
        # five standard deviations of a binomial share
        tolerance = 5 * (probability * (1 - probability) / DRAWS) ** 0.5
        assert shares.get(token, 0.0) == pytest.approx(probability, abs=tolerance)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_shares_are_the_softmax(toy, decode, seed, temperature):
    model = toy(seed, vocabulary=9, scale=1.0)
    shares = first_tokens(model, decode, temperature=temperature, seed=seed)
    assert_drawn_by(shares, expected(model, temperature))


@pytest.mark.parametrize("top_k", [1, 3, 9, 20])
def test_top_k_draws_from_exactly_k(toy, decode, top_k):
    model = toy(2, vocabulary=9, scale=0.5)
    probabilities = expected(model)
    kept = probabilities.topk(min(top_k, 9)).indices
    cut = torch.zeros(9).scatter(0, kept, probabilities[kept])
    shares = first_tokens(model, decode, top_k=top_k)
    assert set(shares) == set(kept.tolist())
    assert_drawn_by(shares, cut / cut.sum())


@pytest.mark.parametrize("top_k", [None, 6])
@pytest.mark.parametrize("top_p", [0.05, 0.4, 0.8, 0.99])
def test_top_p_draws_from_the_fewest_that_reach_p(toy, decode, top_p, top_k):
    model = toy(3, vocabulary=9, scale=0.7)
    probabilities, tokens = expected(model).sort(descending=True)
    probabilities = probabilities[:top_k] / probabilities[:top_k].sum()
    size = next(n for n in range(1, 10) if probabilities[:n].sum() >= top_p)
    cut = torch.zeros(9).scatter(0, tokens[:size], probabilities[:size])
    shares = first_tokens(model, decode, top_p=top_p, top_k=top_k)
    assert set(shares) == set(tokens[:size].tolist())
    assert_drawn_by(shares, cut / cut.sum())


def test_ties_at_the_cut_go_to_the_lowest_ids(toy, decode):
    model = toy(0, vocabulary=9)
    model.logits = lambda source, prefix: [0.0] * 9
    assert set(first_tokens(model, decode, top_k=3)) == {0, 1, 2}
    assert set(first_tokens(model, decode, top_p=0.3)) == {0, 1, 2}


def test_a_later_token_has_its_own_noise(toy, decode):
    model = toy(0)
    model.logits = lambda source, prefix: [0.0] * 6
    spec = SamplingSpec(samples=2000, longest_factor=0, longest_extra=2, shortest=3)
    (hypotheses,) = decode(model, [SOURCE], spec)
    pairs = Counter(hypothesis.tokens[:2] for hypothesis in hypotheses)
    assert len(pairs) == 9
    assert all(150 < count < 300 for count in pairs.values())


def test_draws_differ_by_sentence_and_seed_and_repeat_exactly(toy, decode):
    model = toy(0, scale=0.5)

    def drawn(seed: int, number: int, samples: int = 8):
        spec = SamplingSpec(samples=samples, seed=seed)
        return {h.tokens for h in decode(model, [SOURCE], spec, numbers=[number])[0]}

    assert drawn(1, 1) == drawn(1, 1)
    assert drawn(1, 1) != drawn(2, 1)
    assert drawn(1, 1) != drawn(1, 2)
    assert drawn(1, 1) != drawn(11, 1)
    assert drawn(1, 1) < drawn(1, 1, samples=40)


@settings(deadline=None)
@given(
    weights=st.lists(st.sampled_from([0.0, 1e-30, 1e-8, 0.3, 1.0]), min_size=1, max_size=8),
    certain=st.integers(0, 7),
    uniform=st.sampled_from([2.0**-64, 1e-12, 0.3, 0.5, 1 - 2.0**-24, 1.0]),
)
def test_what_has_probability_zero_is_never_drawn(weights, certain, uniform):
    weights[certain % len(weights)] = 0.5
    place = draw(torch.tensor([weights]), torch.tensor([[uniform]]))
    assert weights[place] > 0


def test_draw_inverts_the_cumulative_sum():
    weights = torch.tensor([1.0, 0.0, 2.0, 1.0]).expand(5, 4)
    uniform = torch.tensor([[0.1], [0.25], [0.26], [0.75], [0.76]])
    assert draw(weights, uniform).flatten().tolist() == [0, 0, 2, 2, 3]


def test_the_nucleus_keeps_at_least_one_token():
    assert nucleus(torch.tensor([[0.5, 0.3, 0.2]]), 0.01).tolist() == [[0.5, 0.0, 0.0]]


@pytest.mark.parametrize(
    "bad", [{"temperature": 0}, {"top_p": 0}, {"top_p": 1.1}, {"top_k": 0}, {"samples": 0}]
)
def test_settings_without_meaning_are_refused(bad):
    with pytest.raises(ValidationError):
        SamplingSpec(**bad)
