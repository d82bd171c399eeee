"""Endpoints come where the rules say, however the stream was cut."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from decoding.ctc.brute_force import Frames
from whyformer.decoding.ctc.endpoint import Endpoint, EndpointRule, EndpointSpec, patient_rules

SILENT, SAID, UNSURE = "_", "a", "?"
FRAME = 0.04
PROBABILITIES = {SILENT: [0.9, 0.1], SAID: [0.1, 0.9], UNSURE: [0.7, 0.3]}


def frames(stream: str) -> Frames:
    return np.log(np.array([PROBABILITIES[each] for each in stream]).reshape(-1, 2))


def endpoints(spec: EndpointSpec, stream: str, cuts: Sequence[int] = ()) -> list[Endpoint]:
    detector = spec.open(FRAME)
    return [each for piece in np.split(frames(stream), sorted(cuts)) for each in detector.feed(piece)]


def by_definition(spec: EndpointSpec, stream: str) -> list[Endpoint]:
    """The rules as they are written, over the text of the utterance so far."""
    found: list[Endpoint] = []
    begin = 0
    for end in range(1, len(stream) + 1):
        utterance = stream[begin:end]
        silence = len(utterance) - len(utterance.rstrip(SILENT))
        if utterance.endswith(SAID):
            continue
        for rule in spec.rules:
            if rule.text and SAID not in utterance:
                continue
            if (
                round(silence * FRAME, 9) >= rule.silence
                and round(len(utterance) * FRAME, 9) >= rule.utterance
            ):
                found.append(Endpoint(end, rule))
                begin = end
                break
    return found


SMALL = EndpointSpec(
    rules=(
        EndpointRule(silence=0.4),
        EndpointRule(silence=0.12, text=True),
        EndpointRule(silence=0.04, utterance=0.6),
        EndpointRule(utterance=1.0),
    )
)


@given(
    stream=st.text(st.sampled_from(SILENT * 4 + SAID + UNSURE), max_size=120),
    cuts=st.lists(st.integers(0, 120), max_size=6),
)
def test_endpoints_are_those_of_the_definition_in_any_pieces(stream: str, cuts: list[int]):
    expected = by_definition(SMALL, stream)
    assert endpoints(SMALL, stream) == expected
    assert endpoints(SMALL, stream, [min(cut, len(stream)) for cut in cuts]) == expected


@pytest.mark.parametrize(
    ("stream", "spec", "ends"),
    [
        (SILENT * 300, EndpointSpec(), [125, 250]),
        (SILENT * 10 + SAID + SILENT * 24, EndpointSpec(), []),
        (SILENT * 10 + SAID + SILENT * 25, EndpointSpec(), [36]),
        ((SAID + SILENT * 20) * 30, EndpointSpec(), [500]),
        (SAID + UNSURE * 200, EndpointSpec(), []),
        (SILENT * 60 + SAID + SILENT * 30, patient_rules(), [60, 91]),
    ],
)
def test_named_rules_end_after_their_seconds(stream: str, spec: EndpointSpec, ends: list[int]):
    assert [each.frame for each in endpoints(spec, stream)] == ends


def test_silence_is_a_probability_above_the_threshold():
    spec = EndpointSpec(blank=0.6, rules=(EndpointRule(silence=0.08),))
    assert [each.frame for each in endpoints(spec, UNSURE * 4)] == [2, 4]
    certain = np.array([[math.log(0.6), math.log(0.4)]] * 4)
    assert spec.open(FRAME).feed(certain) == []


@given(st.integers(1, 500), st.sampled_from([0.01, 0.02, 0.04, 0.08, 0.1, 0.32]))
def test_seconds_that_are_whole_frames_are_as_many(count: int, frame: float):
    """7 frames of 0.04 s last 0.28 s, although 0.28 / 0.04 is more than 7 in floating point."""
    spec = EndpointSpec(rules=(EndpointRule(utterance=float(f"{count * frame:.6f}")),))
    assert spec.open(frame).feed(frames(UNSURE * (count + 1)))[0].frame == count


@pytest.mark.parametrize("seconds", [0.0, -0.1, math.nan])
def test_frames_must_last(seconds: float):
    with pytest.raises(ValueError, match="make no stream"):
        EndpointSpec().open(seconds)


def test_rules_must_take_time():
    with pytest.raises(ValidationError, match="cuts words"):
        EndpointRule(text=True)
    with pytest.raises(ValidationError):
        EndpointSpec(rules=())
