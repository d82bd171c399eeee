"""The search against oracles that share no code with it: brute force, and a beam search in plain lists."""

import math
from collections.abc import Iterator, Sequence
from itertools import product

import pytest
import torch

from whyformer.decoding.beam import BeamSpec
from whyformer.decoding.greedy import GreedySpec
from whyformer.decoding.hypothesis import Hypothesis
from whyformer.decoding.ranking.scorer import Scorer
from whyformer.decoding.sampling import SamplingSpec
from whyformer.decoding.stopping_rules import Bound, Patience
from whyformer.special_tokens import BOS, EOS, UNK

SENTENCES = [(4, 5, 4), (5,), (4, 4, 5, 5), (6, 4)]
ALLOWED = (UNK, 4, 5)


def score(toy_model, source, tokens, alpha: float, beta: float) -> float:
    """Equation 14 of Wu et al. 2016 for finished ``tokens`` (end mark included), in double precision."""
    prefixes = [(BOS, *tokens[:length]) for length in range(len(tokens))]
    total = sum(
        toy_model.log_probabilities(source, prefix)[token]
        for prefix, token in zip(prefixes, tokens, strict=True)
    )
    weights = [toy_model.weights(source, prefix) for prefix in prefixes]
    coverage = [sum(column) for column in zip(*weights, strict=True)]
    penalty = beta * sum(math.log(min(covered, 1.0)) for covered in coverage)
    return total / ((5 + len(tokens)) / 6) ** alpha + penalty


def everything(longest: int) -> Iterator[tuple[int, ...]]:
    """All finished hypotheses of at most ``longest`` tokens."""
    for length in range(longest):
        for tokens in product(ALLOWED, repeat=length):
            yield (*tokens, EOS)


def plain_beam(
    toy_model, source: Sequence[int], spec: BeamSpec, longest: int, enough: float = math.inf
) -> list[tuple[tuple[int, ...], float]]:
    """Beam search of one sentence in plain lists, until ``enough`` finished: (tokens, score), best first."""
    live: list[tuple[tuple[int, ...], float]] = [((), 0.0)]
    finished: list[tuple[tuple[int, ...], float]] = []
    for _ in range(longest):
        candidates = []
        for rank, (tokens, total) in enumerate(live):
            row = toy_model.log_probabilities(source, (BOS, *tokens))
            for token in (*ALLOWED, EOS):
                # the sum in float32, so that ties are the same ties
                grown = (torch.tensor(total) + torch.tensor(row[token])).item()
                candidates.append((-grown, rank, -row[token], token, (*tokens, token)))
        candidates.sort()
        for *_, token, tokens in candidates[: spec.size]:
            if token == EOS:
                finished.append(
                    (tokens, score(toy_model, source, tokens, spec.length_penalty, spec.coverage_penalty))
                )
        if len(finished) >= enough:
            break
        live = [(tokens, -cost) for cost, _, _, token, tokens in candidates if token != EOS][: spec.size]
    return sorted(finished, key=lambda hypothesis: -hypothesis[1])[: spec.n_best]


def finished_tokens(hypotheses: list[Hypothesis]) -> list[tuple[int, ...]]:
    assert all(hypothesis.finished for hypothesis in hypotheses)
    return [(*hypothesis.tokens, EOS) for hypothesis in hypotheses]


@pytest.mark.parametrize("beta", [0.0, 0.3])
@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.5])
@pytest.mark.parametrize("seed", range(4))
def test_a_beam_wide_enough_finds_what_brute_force_finds(toy, decode, seed, alpha, beta):
    model = toy(seed)
    spec = BeamSpec(
        size=60, n_best=10, length_penalty=alpha, coverage_penalty=beta, longest_factor=0.5, longest_extra=2
    )
    found = decode(model, SENTENCES, spec)
    for source, hypotheses in zip(SENTENCES, found, strict=True):
        longest = len(source) // 2 + 2
        ranked = sorted(everything(longest), key=lambda tokens: -score(model, source, tokens, alpha, beta))
        assert finished_tokens(hypotheses) == ranked[:10]
        expected = [score(model, source, tokens, alpha, beta) for tokens in ranked[:10]]
        assert [hypothesis.score for hypothesis in hypotheses] == pytest.approx(expected, abs=1e-5)


def finds_what_plain_lists_find(model, decode, spec: BeamSpec, enough: float = math.inf) -> None:
    """Compare what is found, one or all; of equal ones either may come, and their scores are compared."""
    for n_best in {1, spec.size}:
        found = decode(model, SENTENCES, spec.model_copy(update={"n_best": n_best}))
        for source, hypotheses in zip(SENTENCES, found, strict=True):
            expected = plain_beam(model, source, spec, len(source) + spec.longest_extra, enough)[:n_best]
            if not expected:
                assert not any(hypothesis.finished for hypothesis in hypotheses)
                continue
            scores = [hypothesis.score for hypothesis in hypotheses]
            assert scores == pytest.approx([score for _, score in expected], abs=1e-5)
            if model.levels is None:
                assert finished_tokens(hypotheses) == [tokens for tokens, _ in expected]


@pytest.mark.parametrize("levels", [None, 1])
@pytest.mark.parametrize(("alpha", "beta"), [(0.0, 0.0), (0.6, 0.0), (2.0, 0.0), (0.6, 0.2)])
@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_stopping_early_changes_nothing(toy, decode, size, alpha, beta, levels):
    """The proof of ``Scorer.bound``, by trial: run to the limit in plain lists, the result is the same."""
    for seed in range(4):
        model = toy(seed, levels=levels)
        spec = BeamSpec(
            size=size,
            n_best=size,
            length_penalty=alpha,
            coverage_penalty=beta,
            longest_factor=1,
            longest_extra=5,
        )
        finds_what_plain_lists_find(model, decode, spec)


@pytest.mark.parametrize("levels", [None, 1])
@pytest.mark.parametrize(("alpha", "beta"), [(0.0, 0.0), (0.6, 0.0), (2.0, 0.0), (0.6, 0.2)])
@pytest.mark.parametrize(
    ("size", "factor", "enough"),
    [(1, 1.0, 1), (3, 1.0, 3), (3, 0.1, 1), (3, 0.5, 2), (4, 1.5, 6), (2, 30.0, 60)],
)
def test_patience_is_over_when_so_many_have_finished(toy, decode, size, factor, enough, alpha, beta, levels):
    """What has finished since is not found, even if it is better; all that is found counts, kept or not."""
    for seed in range(4):
        model = toy(seed, levels=levels)
        spec = BeamSpec(
            size=size,
            n_best=size,
            length_penalty=alpha,
            coverage_penalty=beta,
            longest_extra=5,
            stopping=Patience(factor=factor),
        )
        finds_what_plain_lists_find(model, decode, spec, enough)


def test_patience_takes_fewer_steps(toy, decode):
    model, rows, found = toy(0), list[int](), list[object]()
    for stopping in (Patience(factor=0.1), Patience(), Patience(factor=2.0), Bound()):
        model.rows_per_step.clear()
        spec = BeamSpec(size=3, longest_extra=30, length_penalty=2.0, stopping=stopping)
        found.append(decode(model, SENTENCES, spec))
        rows.append(sum(model.rows_per_step))
    assert rows == sorted({*rows})
    assert found[0] != found[-1]


def test_searches_do_stop_early(toy, decode, monkeypatch):
    spec = BeamSpec(size=3, longest_extra=30)
    model = toy(0)
    found = decode(model, SENTENCES, spec)
    early = sum(model.rows_per_step)
    model.rows_per_step.clear()
    monkeypatch.setattr(Scorer, "bound", lambda self, total, longest: torch.full(longest.shape, torch.inf))
    assert decode(model, SENTENCES, spec) == found
    assert early < sum(model.rows_per_step) / 2


@pytest.mark.parametrize("levels", [None, 1])
def test_greedy_is_a_beam_of_one(toy, decode, levels):
    for seed in range(30):
        model = toy(seed, levels=levels)
        greedy = decode(model, SENTENCES, GreedySpec(longest_extra=6))
        beam = decode(model, SENTENCES, BeamSpec(size=1, length_penalty=0, longest_extra=6))
        assert greedy == beam


@pytest.mark.parametrize("levels", [None, 1])
def test_asking_for_more_hypotheses_does_not_change_the_first(toy, decode, levels):
    for seed in range(10):
        model = toy(seed, levels=levels)
        most = decode(model, SENTENCES, BeamSpec(size=4, n_best=4, longest_extra=6))
        for n_best in (1, 2, 3):
            fewer = decode(model, SENTENCES, BeamSpec(size=4, n_best=n_best, longest_extra=6))
            assert fewer == [hypotheses[:n_best] for hypotheses in most]


@pytest.mark.parametrize(
    "spec",
    [
        GreedySpec(prefix=(5, 4), forbidden=(0, 1, 2)),
        BeamSpec(n_best=4, no_repeat_ngram=2),
        SamplingSpec(samples=5, temperature=0.7, top_k=2, top_p=0.9),
    ],
)
def test_log_probabilities_are_the_models_own(toy, decode, spec):
    model = toy(3)
    spec = spec.model_copy(update={"longest_extra": 4})
    for source, hypotheses in zip(SENTENCES, decode(model, SENTENCES, spec), strict=True):
        assert [hypothesis.score for hypothesis in hypotheses] == sorted(
            (hypothesis.score for hypothesis in hypotheses), reverse=True
        )
        for hypothesis in hypotheses:
            tokens = (*hypothesis.tokens, EOS) if hypothesis.finished else hypothesis.tokens
            forced = [
                model.log_probabilities(source, (BOS, *tokens[:length]))[token]
                for length, token in enumerate(tokens)
            ]
            assert hypothesis.token_log_probabilities == pytest.approx(forced, abs=1e-5)
            assert hypothesis.log_probability == pytest.approx(sum(forced), abs=1e-5)


def test_the_model_may_be_fed_another_first_token(toy, decode):
    model = toy(0)
    first = torch.tensor([4, 5, BOS, 4])
    found = decode(model, SENTENCES, GreedySpec(), first=first)
    for source, opening, (hypothesis,) in zip(SENTENCES, first.tolist(), found, strict=True):
        row = model.log_probabilities(source, (opening,))
        assert hypothesis.token_log_probabilities[0] == pytest.approx(
            max(row[token] for token in (*ALLOWED, EOS))
        )


def test_attention_is_asked_for_only_if_needed(toy, decode):
    model = toy(0)
    decode(model, SENTENCES, BeamSpec())
    decode(model, SENTENCES, BeamSpec(coverage_penalty=0.1))
    assert model.watched == [False, True]


def test_finished_sentences_leave_the_batch(toy, decode):
    model = toy(1)
    found = decode(model, SENTENCES, GreedySpec())
    lengths = [len(hypotheses[0].token_log_probabilities) for hypotheses in found]
    assert model.rows_per_step == [
        sum(length >= step for length in lengths) for step in range(1, max(lengths) + 1)
    ]
