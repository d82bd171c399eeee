"""Searches find what all alignments say, in pieces of any size, for ever."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from decoding.ctc.brute_force import Frames, collapse, random_frames, texts
from whyformer.decoding.ctc.search import (
    CTCGreedySpec,
    CTCHypothesis,
    CTCPrefixBeamSpec,
    CTCSearch,
    CTCSearchSpec,
)
from whyformer.decoding.ctc.sums import best_alignment, text_log_probabilities
from whyformer.errors import DecodingError

EXACT = CTCPrefixBeamSpec(beam=10_000, symbols=100, floor=None, horizon=None)
SPECS = [
    CTCGreedySpec(),
    CTCPrefixBeamSpec(),
    CTCPrefixBeamSpec(beam=3, symbols=2),
    CTCPrefixBeamSpec(beam=1),
    CTCPrefixBeamSpec(horizon=7),
]


def searched(spec: CTCSearchSpec, frames: Frames, cuts: Sequence[int] = ()) -> CTCSearch:
    """The search after all ``frames``, fed in pieces that end at ``cuts``."""
    search = spec.open()
    for piece in np.split(frames, sorted(cuts)):
        search.feed(piece)
    return search


def speech(seed: int, length: int, symbols: int) -> Frames:
    """Log-probabilities (L,V) as a trained model has them: mostly blank, now and then a symbol or two."""
    draw = np.random.default_rng(seed)
    logits = draw.normal(size=(length, symbols))
    logits[:, 0] += 7
    for frame in range(0, length, 5):
        logits[frame : frame + 2, draw.integers(1, symbols, size=2)] += draw.uniform(4, 9, size=2)
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


@pytest.mark.parametrize(("length", "symbols"), [(0, 3), (1, 4), (3, 3), (5, 3), (6, 2), (4, 4)])
@pytest.mark.parametrize("scale", [1.0, 4.0])
@pytest.mark.parametrize("seed", range(3))
def test_a_beam_that_prunes_nothing_knows_every_text(length: int, symbols: int, scale: float, seed: int):
    frames = random_frames(seed, length, symbols, scale)
    every = texts(frames)
    found = searched(EXACT, frames).hypotheses(10_000)
    assert {each.ids for each in found} == set(every)
    assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)
    for each in found:
        total, _, times = every[each.ids]
        assert each.score == pytest.approx(total, abs=1e-9)
        assert each.times == times


def pruned_by_definition(frames: Frames, spec: CTCPrefixBeamSpec) -> list[tuple[tuple[int, ...], float]]:
    """The same search over whole texts, each a key of a table, as papers write it; without the horizon."""
    beam: dict[tuple[int, ...], tuple[float, float]] = {(): (1.0, 0.0)}
    floor = 0.0 if spec.floor is None else math.exp(spec.floor)
    for frame in np.exp(frames):
        order = sorted(range(1, len(frame)), key=lambda symbol: (-frame[symbol], symbol))[: spec.symbols]
        tried = [symbol for symbol in order if frame[symbol] >= floor]
        if not tried and frame[0] < floor:
            tried = order[:1]
        grown: dict[tuple[int, ...], tuple[float, float]] = dict.fromkeys(beam, (0.0, 0.0))

        def add(text: tuple[int, ...], blank: float, symbol: float, grown: Any = grown) -> None:
            one, other = grown.get(text, (0.0, 0.0))
            grown[text] = (one + blank, other + symbol)

        for text, (blank, symbol) in beam.items():
            add(text, (blank + symbol) * frame[0], 0.0)
            for each in sorted(tried):
                repeated = text[-1:] == (each,)
                if repeated:
                    add(text, 0.0, symbol * frame[each])
                add((*text, each), 0.0, (blank if repeated else blank + symbol) * frame[each])
        ranked = sorted(
            ((text, pair) for text, pair in grown.items() if sum(pair)), key=lambda each: -sum(each[1])
        )
        beam = dict(ranked[: spec.beam])
    return [(text, math.log(sum(pair))) for text, pair in beam.items()]


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    beam=st.integers(1, 6),
    symbols=st.integers(1, 4),
    floor=st.sampled_from([None, -0.5, -1.5, -3.0, -7.0]),
    scale=st.sampled_from([0.5, 2.0, 5.0]),
)
def test_pruning_is_as_defined(seed: int, beam: int, symbols: int, floor: float | None, scale: float):
    frames = random_frames(seed, 14, 5, scale)
    spec = CTCPrefixBeamSpec(beam=beam, symbols=symbols, floor=floor, horizon=None)
    expected = pruned_by_definition(frames, spec)
    found = searched(spec, frames).hypotheses(beam)
    assert [each.ids for each in found] == [text for text, _ in expected]
    assert [each.score for each in found] == pytest.approx([score for _, score in expected], abs=1e-9)


def test_the_horizon_decides_what_is_older_and_nothing_else():
    """A close call in frame 5: with a horizon of 10, frame 10 asks first, and frame 20 finds it old."""
    doubt, silence = np.log([[0.02, 0.5, 0.48]]), np.log([[0.98, 0.01, 0.01]])
    frames = np.concatenate([silence] * 5 + [doubt] + [silence] * 40)
    search = CTCPrefixBeamSpec(beam=2, floor=math.log(0.1), horizon=10).open()
    readings: list[int] = []
    for frame in frames:
        search.feed(frame[None])
        readings.append(len(search.hypotheses(9)))
    assert readings[5:] == [2] * 15 + [1] * 26
    assert search.hypotheses(9)[0].ids == (1,)
    assert search.commit() == ((1, 5),)


@pytest.mark.parametrize("seed", range(10))
def test_beams_agree_with_the_sums_on_longer_streams(seed: int):
    """Where few alignments count, those that a beam keeps are almost all; never are they more."""
    frames = speech(seed, 25, 6)
    log_probs = torch.from_numpy(frames)
    wide = CTCPrefixBeamSpec(beam=400, symbols=5, floor=None)
    for spec in (wide, CTCPrefixBeamSpec(), CTCPrefixBeamSpec(beam=2)):
        for each in searched(spec, frames).hypotheses(3):
            (total,) = text_log_probabilities(log_probs[None], [25], [each.ids]).tolist()
            assert each.score <= total + 1e-9
            if spec is wide:
                assert each.score == pytest.approx(total, abs=1e-2)
                assert each.times == best_alignment(log_probs, each.ids).times


@pytest.mark.parametrize("seed", range(10))
def test_greedy_is_the_best_path_and_no_better_than_the_beam(seed: int):
    frames = random_frames(seed, 6, 3)
    (greedy,) = searched(CTCGreedySpec(), frames).hypotheses(5)
    ids, times = collapse(frames.argmax(axis=1).tolist())
    assert (greedy.ids, greedy.times, greedy.stable) == (ids, times, len(ids))
    assert greedy.score == pytest.approx(frames.max(axis=1).sum(), abs=1e-9)
    assert greedy.times == best_alignment(torch.from_numpy(frames), greedy.ids).times
    assert searched(EXACT, frames).hypotheses()[0].score >= greedy.score


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 1000),
    cuts=st.lists(st.integers(0, 40), max_size=8),
    spec=st.sampled_from(SPECS),
    kind=st.sampled_from([np.float32, np.float64]),
)
def test_pieces_change_nothing(seed: int, cuts: list[int], spec: CTCSearchSpec, kind: type[Any]):
    frames: Any = speech(seed, 40, 5).astype(kind)
    whole, pieces = searched(spec, frames), searched(spec, frames, cuts)
    assert pieces.hypotheses(10) == whole.hypotheses(10)
    assert pieces.frames == whole.frames == 40


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("seed", range(5))
def test_stable_symbols_never_change(spec: CTCSearchSpec, seed: int):
    for frames in (speech(seed, 80, 5), random_frames(seed, 80, 4)):
        search, before = spec.open(), tuple[int, ...]()
        found = search.hypotheses()
        for frame in frames:
            search.feed(frame[None])
            found = search.hypotheses(100)
            shared = {each.ids[: found[0].stable] for each in found}
            assert len(shared) == 1
            (now,) = shared
            assert now[: len(before)] == before
            before = now
        # It is the longest prefix that all have.
        longer = {each.ids[: found[0].stable + 1] for each in found}
        assert len(found) == 1 or len(longer) > 1 or min(len(each.ids) for each in found) == found[0].stable


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 1000), every=st.integers(1, 30), spec=st.sampled_from([*SPECS, EXACT]))
def test_committed_symbols_are_those_that_would_have_been(seed: int, every: int, spec: CTCSearchSpec):
    frames = speech(seed, 90, 5) if spec is not EXACT else random_frames(seed, 5, 3)
    search, committed = spec.open(), list[tuple[int, int]]()
    for first in range(0, len(frames), every):
        search.feed(frames[first : first + every])
        committed += search.commit()
    whole = searched(spec, frames).hypotheses(20)
    rest = search.hypotheses(20)
    said, when = tuple(symbol for symbol, _ in committed), tuple(frame for _, frame in committed)
    assert rest == [
        CTCHypothesis(each.ids[len(said) :], each.score, each.times[len(said) :], each.stable - len(said))
        for each in whole
    ]
    assert {(each.ids[: len(said)], each.times[: len(said)]) for each in whole} == {(said, when)}


def test_a_stream_without_end_keeps_as_much_as_a_short_one():
    search, most = CTCPrefixBeamSpec().open(), list[int]()
    for round_ in range(40):
        search.feed(speech(round_, 250, 11))
        search.commit()
        most.append(max(len(each.ids) for each in search.hypotheses(8)) + nodes(search))
    # Two horizons of 20 groups of up to two symbols, in up to 8 texts; all frames hold 4,000 symbols.
    assert max(most) < 300


def nodes(search: CTCSearch) -> int:
    """Prefixes of the tree of a search, reached from the last that was committed."""
    found, waiting = 0, [search._prefixes._start]  # pyright: ignore[reportAttributeAccessIssue]
    while waiting:
        found += 1
        waiting += waiting.pop().children.values()
    return found


def test_equal_scores_are_ordered_by_what_was_there_first_and_by_id():
    frames = np.log(np.full((1, 4), 0.25))
    assert [each.ids for each in searched(EXACT, frames).hypotheses(9)] == [(), (1,), (2,), (3,)]
    two = CTCPrefixBeamSpec(beam=9, symbols=2)
    assert [each.ids for each in searched(two, frames).hypotheses(9)] == [(), (1,), (2,)]
    assert searched(CTCGreedySpec(), frames).hypotheses()[0].ids == ()


def test_the_floor_forbids_and_never_leaves_nothing():
    frames = np.log(np.array([[0.9, 0.06, 0.04], [1e-9, 0.5, 0.5]]))
    spec = CTCPrefixBeamSpec(floor=math.log(0.05))
    assert {each.ids for each in searched(spec, frames[:1]).hypotheses(9)} == {(), (1,)}
    high = CTCPrefixBeamSpec(floor=math.log(0.6))
    assert searched(high, frames).hypotheses()[0].ids == (1,)


@pytest.mark.parametrize("spec", SPECS)
def test_no_frames_say_nothing(spec: CTCSearchSpec):
    assert searched(spec, np.zeros((0, 5))).hypotheses(3) == [CTCHypothesis((), 0.0, (), 0)]
    assert spec.open().commit() == ()


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("bad", [np.nan, -np.inf])
def test_frames_without_probabilities_are_refused_and_forgotten(spec: CTCSearchSpec, bad: float):
    frames = speech(0, 20, 5)
    search = searched(spec, frames[:10])
    broken = frames[10:].copy()
    broken[3] = bad
    with pytest.raises(DecodingError, match="frame 13: "):
        search.feed(broken)
    search.feed(frames[10:])
    assert search.hypotheses(9) == searched(spec, frames).hypotheses(9)


def test_specs_are_told_by_their_kind():
    adapter: TypeAdapter[CTCSearchSpec] = TypeAdapter(CTCSearchSpec)
    assert adapter.validate_python({"kind": "greedy"}) == CTCGreedySpec()
    assert adapter.validate_python({"kind": "prefix_beam", "beam": 3}) == CTCPrefixBeamSpec(beam=3)
    with pytest.raises(ValidationError):
        adapter.validate_python({"kind": "greedy", "beam": 3})
