"""A stream equals the whole: samples in pieces of any size give the same words, times and scores."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tasks.speech import listeners
from whyformer.attention.heads import HeadsSpec
from whyformer.attention.mask import Causal
from whyformer.attention.multihead import AttentionSpec
from whyformer.decoding.ctc.endpoint import EndpointRule, EndpointSpec
from whyformer.decoding.ctc.rescoring import RescoringSpec
from whyformer.decoding.ctc.search import (
    CTCGreedySearch,
    CTCGreedySpec,
    CTCHypothesis,
    CTCPrefixBeamSearch,
    CTCPrefixBeamSpec,
    CTCSearchSpec,
)
from whyformer.errors import DataError, DecodingError
from whyformer.lengths import output_count
from whyformer.models.streaming.rescorer import RescorerSpec
from whyformer.nn.stack import BlockSpec, StackSpec
from whyformer.tasks.speech.listener import Listener, SpeechAssets
from whyformer.tasks.streaming.recognizer import IDLE_ROUNDS, Stream
from whyformer.tasks.streaming.settings import StreamSettings
from whyformer.tasks.streaming.transcript import Transcript
from whyformer.tasks.streaming.vocabulary import SymbolTable

DECODER = StackSpec(
    layers=1,
    mask=Causal(),
    block=BlockSpec(
        attention=AttentionSpec(heads=HeadsSpec(query=2)),
        cross_attention=AttentionSpec(heads=HeadsSpec(query=2)),
    ),
)
CAUSAL, IN_CHUNK = listeners.listener("causal"), listeners.listener("chunk")
BEAM = CTCPrefixBeamSpec(beam=6, symbols=5, floor=None)
ENDPOINTS = EndpointSpec(rules=(EndpointRule(utterance=0.5), EndpointRule(silence=0.2, text=True)))


def cut(samples: NDArray[np.float32], sizes: Iterator[int]) -> Iterator[NDArray[np.float32]]:
    start = 0
    while start < len(samples):
        size = next(sizes)
        yield samples[start : start + size]
        start += size


def listened(
    listener: Listener, how: StreamSettings, pieces: Iterator[NDArray[np.float32]], rate: int | None = None
) -> list[Transcript]:
    session = listener.open(rate, settings=how)
    for piece in pieces:
        session.feed(piece)
    session.finish()
    return session.finals


@settings(max_examples=25, deadline=None)
@given(
    length=st.integers(0, 9000),
    chunk=st.sampled_from([40.0, 80.0, 200.0, None]),
    left=st.sampled_from([0, 1, 4, None]),
    reach=st.booleans(),
    beam=st.booleans(),
    ends=st.booleans(),
    seed=st.integers(0, 99),
)
def test_pieces_of_any_size_give_the_same_words_times_and_scores(
    length: int, chunk: float | None, left: int | None, reach: bool, beam: bool, ends: bool, seed: int
) -> None:
    listener = IN_CHUNK if reach else CAUSAL
    how = listeners.settings(chunk, left, BEAM if beam else None, ENDPOINTS if ends else None)
    samples = listeners.sound(2.0, seed)[:length]
    random = np.random.default_rng(seed)
    whole = listened(listener, how, iter([samples]))
    pieces = listened(listener, how, cut(samples, iter(lambda: int(random.integers(1, 900)), 0)))
    assert [each.record() for each in pieces] == [each.record() for each in whole]
    assert whole[-1].final
    assert whole[-1].heard == pytest.approx(length / listeners.RATE)


@pytest.mark.filterwarnings("ignore:.*resampled")
@pytest.mark.parametrize("rate", [8000, 11025, 16000])
def test_samples_one_by_one_give_the_same_as_all_at_once(rate: int) -> None:
    how = listeners.settings(80.0, 2, BEAM)
    samples = listeners.sound(0.6, 5)
    one_by_one = listened(CAUSAL, how, cut(samples, iter(lambda: 1, 0)), rate)
    assert [each.record() for each in one_by_one] == [
        each.record() for each in listened(CAUSAL, how, iter([samples]), rate)
    ]
    assert one_by_one[0].words


def emitted(listener: Listener, how: StreamSettings, samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """What a stream emits, fed at once: (L,V)."""
    recognizer, front = listener.recognizer(how), listener.open(settings=how)
    front.push(samples)
    front.end()
    parts: list[NDArray[np.float32]] = []
    while recognizer.advance([front.stream]):
        assert front.stream.emitted is not None
        parts.append(front.stream.emitted.log_probs)
    return np.concatenate(parts) if parts else np.zeros((0, listeners.SYMBOLS.size), np.float32)


def whole_pass(listener: Listener, how: StreamSettings, samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """What one masked pass over all features emits: (L,V)."""
    features = listener.assets.statistics.normalised(listener.features.extract(samples))
    rule = listener.recognizer(how).rule
    with torch.inference_mode():
        found = listener.model(torch.from_numpy(features)[None], [len(features)], rule)
    return found.log_probs[0].numpy()


@settings(max_examples=25, deadline=None)
@given(
    length=st.integers(60, 9000),
    chunk=st.sampled_from([40.0, 80.0, 200.0, 1200.0]),
    left=st.sampled_from([0, 1, 4, None]),
    reach=st.booleans(),
)
def test_a_stream_emits_what_one_masked_pass_over_the_whole_does(
    length: int, chunk: float, left: int | None, reach: bool
) -> None:
    listener, how = IN_CHUNK if reach else CAUSAL, listeners.settings(chunk, left)
    samples = listeners.sound(2.0, length)[:length]
    stream, whole = emitted(listener, how, samples), whole_pass(listener, how, samples)
    assert len(stream) == output_count(length, *listener.clock().stages)
    np.testing.assert_allclose(stream, whole, atol=1e-5, rtol=0)


class TestSuiteSees:
    """Mutations that would go unnoticed elsewhere make the equality above fail."""

    HOW = listeners.settings(80.0, 2)
    SAMPLES = listeners.sound(1.03, 7)

    def differs(self) -> bool:
        stream, whole = (f(CAUSAL, self.HOW, self.SAMPLES) for f in (emitted, whole_pass))
        return stream.shape != whole.shape or not np.allclose(stream, whole, atol=1e-5, rtol=0)

    def test_nothing_where_nothing_is_wrong(self) -> None:
        assert not self.differs()

    def test_a_tail_that_is_dropped(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Stream, "close", lambda _: None)
        assert self.differs()

    def test_a_statistic_of_the_whole_utterance(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def by_utterance(_: object, features: NDArray[np.float32]) -> NDArray[np.float32]:
            return features - features.mean(axis=0) if len(features) else features

        monkeypatch.setattr(type(CAUSAL.assets.statistics), "normalised", by_utterance)
        assert self.differs()

    def test_a_constant_tail_of_silence(self, monkeypatch: pytest.MonkeyPatch) -> None:
        close = Stream.close

        def padded(stream: Stream) -> None:
            stream.push(np.zeros((8, listeners.FEATURES.bins), np.float32))
            close(stream)

        monkeypatch.setattr(Stream, "close", padded)
        assert self.differs()


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 999), count=st.integers(1, 7), ends=st.booleans())
def test_sessions_that_share_batches_are_as_if_alone(seed: int, count: int, ends: bool) -> None:
    random = np.random.default_rng(seed)
    how = listeners.settings(80.0, 2, BEAM, ENDPOINTS if ends else None)
    sounds = [listeners.sound(1.5, seed + i)[: int(random.integers(0, 9000))] for i in range(count)]
    pool = CAUSAL.pool(how)
    sessions = [pool.open() for _ in sounds]
    positions = [0] * count
    while any(at < len(each) for at, each in zip(positions, sounds, strict=True)):
        for index, session in enumerate(sessions):
            size = int(random.integers(0, 1500))
            session.push(sounds[index][positions[index] : positions[index] + size])
            positions[index] += size
        pool.step()
    for session in sessions:
        session.end()
    for _ in pool.drain():
        pass
    assert not len(pool)
    for session, samples in zip(sessions, sounds, strict=True):
        alone = listened(CAUSAL, how, iter([samples]))
        assert [each.words for each in session.finals] == [each.words for each in alone]
        scores = [each.score for each in session.finals]
        assert scores == pytest.approx([each.score for each in alone], abs=1e-3)


@pytest.mark.filterwarnings("ignore:.*resampled")
@pytest.mark.parametrize("rate", [8000, 16000, 22050])
def test_a_word_is_shown_at_the_stream_time_that_its_transcript_says(rate: int) -> None:
    session = CAUSAL.open(rate, settings=listeners.settings(200.0, 2))
    samples = listeners.sound(1.5, 11)
    said: dict[int, tuple[float, float]] = {}
    for at, sample in enumerate(samples):
        before = len(session.transcript.words)
        for word in session.feed(sample[None]).words[before:]:
            said[len(said)] = (word.shown, (at + 1) / rate)
    assert len(said) >= 2
    for claimed, seen in said.values():
        # A resampler may let go of its samples a little before it has to.
        assert seen <= claimed + 1e-9
        assert claimed - seen <= (0.0 if rate == 8000 else 0.2)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 999), utterance=st.floats(0.05, 0.5))
def test_endpoints_part_the_words_and_change_none(seed: int, utterance: float) -> None:
    ends = EndpointSpec(rules=(EndpointRule(utterance=utterance), EndpointRule(silence=0.1)))
    samples = listeners.sound(2.0, seed)
    parted = listened(CAUSAL, listeners.settings(80.0, 2, endpoint=ends), iter([samples]))
    (whole,) = listened(CAUSAL, listeners.settings(80.0, 2), iter([samples]))
    assert [(word.text, word.start) for each in parted for word in each.words] == [
        (word.text, word.start) for word in whole.words
    ]
    assert [each.segment for each in parted] == list(range(len(parted)))


@pytest.mark.parametrize("reverse", [0, 1])
def test_a_decoder_judges_the_segments_that_are_over(reverse: int) -> None:
    rescorer = RescorerSpec(reverse_layers=reverse, decoder=DECODER)
    judged = listeners.listener(rescorer=rescorer)
    rescoring = RescoringSpec(candidates=6, ctc=0.3, reverse=0.4 * reverse)
    how = replace(listeners.settings(80.0, 2, BEAM, ENDPOINTS), rescoring=rescoring)
    samples = listeners.sound(1.5, 2)
    whole = listened(judged, how, iter([samples]))
    pieces = listened(judged, how, cut(samples, iter(lambda: 333, 0)))
    assert [each.record() for each in pieces] == [each.record() for each in whole]
    plain = listened(judged, replace(how, rescoring=None), iter([samples]))
    assert len(whole) == len(plain)
    assert [each.score for each in whole] != [each.score for each in plain]


def test_words_that_are_stable_never_change() -> None:
    session = CAUSAL.open(settings=listeners.settings(80.0, 2, BEAM))
    stable: tuple[str, ...] = ()
    for piece in cut(listeners.sound(3.0, 4), iter(lambda: 320, 0)):
        transcript = session.feed(piece)
        texts = tuple(word.text for word in transcript.words)
        assert texts[: len(stable)] == stable
        stable = texts[: transcript.stable]
    assert stable
    assert tuple(word.text for word in session.finish().words)[: len(stable)] == stable


def test_what_a_session_cannot_use_is_refused_and_the_session_goes_on() -> None:
    samples = listeners.sound(1.0, 9)
    session = CAUSAL.open()
    session.feed(samples[:3000])
    with pytest.raises(DataError, match="no finite numbers"):
        session.feed(np.full(100, np.nan, np.float32))
    session.feed(samples[3000:])
    session.finish()
    assert session.finals == listened(CAUSAL, CAUSAL.settings, iter([samples]))
    with pytest.raises(DecodingError, match="finished"):
        session.feed(samples)


def test_a_session_that_waits_long_keeps_no_memory_of_others() -> None:
    pool = CAUSAL.pool()
    idle, *busy = [pool.open() for _ in range(6)]
    piece = listeners.sound(0.2, 1)
    for session in (idle, *busy):
        session.push(piece)
    for _ in pool.drain():
        pass
    # What follows is without the idle one, so nothing but waiting can change its state.
    batch = idle.stream.state
    assert batch is not None
    assert not idle.stream.ready
    for _ in range(IDLE_ROUNDS + 1):
        for session in busy:
            session.push(piece)
        pool.step()
    assert idle.stream.state is not batch
    assert idle.stream.bytes <= max(session.stream.bytes for session in busy)


CHARACTERS = SymbolTable("character", ("a", "b", "n", "o", " "))
TALKATIVE = listeners.listener("causal", seed=7)
"""It says words of several characters."""


@pytest.mark.parametrize("search", [CTCGreedySpec(), BEAM, CTCPrefixBeamSpec(beam=4, horizon=5)])
@pytest.mark.parametrize("symbols", [listeners.SYMBOLS, CHARACTERS])
@pytest.mark.parametrize("ends", [False, True])
def test_words_that_are_settled_are_those_of_a_search_that_keeps_all(
    search: CTCSearchSpec, symbols: SymbolTable, ends: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assets = SpeechAssets(symbols, TALKATIVE.assets.statistics)
    listener = Listener(TALKATIVE.model, TALKATIVE.features, assets, TALKATIVE.settings)
    how = listeners.settings(80.0, 2, search, ENDPOINTS if ends else None)

    def events() -> list[Transcript]:
        session = listener.open(settings=how)
        pieces = cut(listeners.sound(4.0, 21), iter(lambda: 640, 0))
        return [found for piece in pieces for found in session.events(piece)] + [*session.last_events()]

    settled = events()
    assert max(found.stable for found in settled) >= 3
    for kind in (CTCGreedySearch, CTCPrefixBeamSearch):
        monkeypatch.setattr(kind, "commit", lambda _: ())
    assert settled == events()


def test_a_piece_costs_the_search_the_same_however_long_the_text_is() -> None:
    session = CAUSAL.open(settings=listeners.settings(80.0, 2, CTCPrefixBeamSpec(beam=4, horizon=10)))
    lengths: list[int] = []
    read = CTCPrefixBeamSearch.hypotheses

    def noted(search: CTCPrefixBeamSearch, n: int = 1) -> list[CTCHypothesis]:
        found = read(search, n)
        lengths.append(len(found[0].ids))
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CTCPrefixBeamSearch, "hypotheses", noted)
        for index in range(20):
            session.feed(listeners.sound(1.0, index))
    assert len(session.transcript.words) > 60
    assert max(lengths) < 30
