"""A stream of pictures equals the whole: in pieces of any size, in batches, and from files."""

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tasks.video import watchers
from whyformer.data.video.files import read_video, write_video
from whyformer.data.video.front import FrameSpec
from whyformer.data.video.moving_digits import DigitVideo, MovingDigitsSpec
from whyformer.decoding.ctc.endpoint import EndpointRule, EndpointSpec
from whyformer.decoding.ctc.search import CTCPrefixBeamSpec
from whyformer.errors import DataError, DecodingError, WhyformerNote
from whyformer.lengths import output_count
from whyformer.tasks.streaming.recognizer import Stream
from whyformer.tasks.streaming.settings import StreamSettings
from whyformer.tasks.streaming.transcript import Transcript
from whyformer.tasks.video.watcher import ChunkLabel, Watcher, WatchingSession

pytest.importorskip("sklearn")
pytest.importorskip("av")

CAUSAL, IN_CHUNK = watchers.watcher("causal"), watchers.watcher("chunk")
BEAM = CTCPrefixBeamSpec(beam=6, symbols=5, floor=None)
ENDPOINTS = EndpointSpec(rules=(EndpointRule(utterance=0.9), EndpointRule(silence=0.3, text=True)))
DIGITS = MovingDigitsSpec().open("train", 5, watchers.FRAMES)


def video(index: int = 0) -> DigitVideo:
    return DIGITS.video(0, index)


def cut(pictures: NDArray[np.float32], sizes: Iterator[int]) -> Iterator[NDArray[np.float32]]:
    start = 0
    while start < len(pictures):
        size = next(sizes)
        yield pictures[start : start + size]
        start += size


def watched(
    watcher: Watcher, how: StreamSettings, pieces: Iterator[NDArray[np.float32]], rate: float | None = None
) -> WatchingSession:
    session = watcher.open(rate, settings=how)
    for piece in pieces:
        session.feed(piece)
    session.finish()
    return session


def records(session: WatchingSession) -> list[dict[str, object]]:
    return [each.record() for each in session.finals]


def assert_same_labels(ours: list[ChunkLabel], theirs: list[ChunkLabel]) -> None:
    assert [label._replace(probability=0.0) for label in ours] == [
        label._replace(probability=0.0) for label in theirs
    ]
    np.testing.assert_allclose(
        [label.probability for label in ours], [label.probability for label in theirs], atol=1e-5
    )


@settings(max_examples=25, deadline=None)
@given(
    length=st.integers(0, 90),
    chunk=st.sampled_from([80.0, 160.0, 400.0, None]),
    left=st.sampled_from([0, 1, 4, None]),
    reach=st.booleans(),
    beam=st.booleans(),
    ends=st.booleans(),
    seed=st.integers(0, 99),
)
def test_pieces_of_any_size_give_the_same_events_times_and_labels(
    length: int, chunk: float | None, left: int | None, reach: bool, beam: bool, ends: bool, seed: int
) -> None:
    watcher = IN_CHUNK if reach else CAUSAL
    how = watchers.settings(chunk, left, BEAM if beam else None, ENDPOINTS if ends else None)
    pictures = video(seed).frames[:length]
    random = np.random.default_rng(seed)
    whole = watched(watcher, how, iter([pictures]))
    pieces = watched(watcher, how, cut(pictures, iter(lambda: int(random.integers(1, 9)), 0)))
    single = watched(watcher, how, cut(pictures, iter(lambda: 1, 0)))
    assert records(pieces) == records(single) == records(whole)
    assert pieces.labels == single.labels == whole.labels
    assert whole.finals[-1].final
    assert whole.finals[-1].heard == pytest.approx(len(pictures) / 25)


def emitted(watcher: Watcher, how: StreamSettings, pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    """What a stream emits, fed at once: (L,V)."""
    recognizer, session = watcher.recognizer(how), watcher.open(settings=how)
    session.push(pictures)
    session.end()
    parts: list[NDArray[np.float32]] = []
    while recognizer.advance([session.stream]):
        assert session.stream.emitted is not None
        parts.append(session.stream.emitted.log_probs)
    return np.concatenate(parts) if parts else np.zeros((0, watchers.SYMBOLS.size), np.float32)


def whole_pass(watcher: Watcher, how: StreamSettings, pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    """What one masked pass over all pictures emits: (L,V)."""
    with torch.inference_mode():
        found = watcher.model(torch.from_numpy(pictures)[None], [len(pictures)], watcher.recognizer(how).rule)
    return found.log_probs[0].numpy()


@settings(max_examples=40, deadline=None)
@given(
    length=st.integers(1, 90),
    chunk=st.sampled_from([80.0, 160.0, 400.0, 2_400.0]),
    left=st.sampled_from([0, 1, 4, None]),
    reach=st.booleans(),
)
def test_a_stream_emits_what_one_masked_pass_over_the_whole_does(
    length: int, chunk: float, left: int | None, reach: bool
) -> None:
    watcher = watchers.watcher("chunk" if reach else "causal", sure=1.0)
    how, pictures = watchers.settings(chunk, left), video(length).frames[:length]
    stream, whole = emitted(watcher, how, pictures), whole_pass(watcher, how, pictures)
    assert len(stream) == output_count(len(pictures), *watcher.clock().stages)
    np.testing.assert_allclose(stream, whole, atol=1e-5, rtol=0)


def test_a_tail_that_is_dropped_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    how, pictures = watchers.settings(), video().frames[:33]
    monkeypatch.setattr(Stream, "close", lambda _: None)
    assert len(emitted(CAUSAL, how, pictures)) < len(whole_pass(CAUSAL, how, pictures))


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 999), count=st.integers(1, 6), ends=st.booleans())
def test_sessions_that_share_batches_are_as_if_alone(seed: int, count: int, ends: bool) -> None:
    random = np.random.default_rng(seed)
    how = watchers.settings(160.0, 2, BEAM, ENDPOINTS if ends else None)
    videos = [video(seed + index).frames[: int(random.integers(0, 90))] for index in range(count)]
    pool = CAUSAL.pool(how)
    sessions = [pool.open() for _ in videos]
    cuts = [cut(frames, iter(lambda: int(random.integers(1, 20)), 0)) for frames in videos]
    while len(pool):
        for session, pieces in zip(sessions, cuts, strict=True):
            piece = next(pieces, None)
            if piece is not None:
                session.push(piece)
            else:
                session.end()
        pool.step()
    for session, frames in zip(sessions, videos, strict=True):
        alone = watched(CAUSAL, how, iter([frames]))
        assert [each.text for each in session.finals] == [each.text for each in alone.finals]
        for ours, theirs in zip(session.finals, alone.finals, strict=True):
            assert [word[1:] for word in ours.words] == [word[1:] for word in theirs.words]
            assert ours.score == pytest.approx(theirs.score, abs=1e-3)
        assert_same_labels(session.labels, alone.labels)


@pytest.mark.parametrize("milliseconds", [80.0, 160.0, 400.0])
def test_each_chunk_has_one_label_and_its_times(milliseconds: float) -> None:
    pictures = video(1).frames[:51]
    session = watched(CAUSAL, watchers.settings(milliseconds), iter([pictures]))
    step = milliseconds / 1000
    assert len(session.labels) == -(-51 // round(25 * step))
    for place, label in enumerate(session.labels):
        assert label.start == pytest.approx(place * step)
        assert label.label in (None, *watchers.SYMBOLS.symbols)
        assert 1 / 11 <= label.probability <= 1
    assert session.labels[-1].end == pytest.approx(26 * 0.08)
    assert sum(len(label.frames) for label in session.labels) == 26


def test_a_chunk_that_is_no_number_of_frames_is_refused() -> None:
    with pytest.raises(DecodingError, match="take 160 ms"):
        CAUSAL.open(settings=watchers.settings(150.0))


def test_a_session_survives_what_it_refuses() -> None:
    pictures, session = video().frames, CAUSAL.open()
    session.feed(pictures[:21])
    broken = pictures[:3].copy()
    broken[1, 2, 3] = np.nan
    for wrong in (broken, pictures[0], pictures.astype(np.int32)):
        with pytest.raises(DataError):
            session.feed(wrong)
    session.feed(pictures[21:])
    session.finish()
    assert records(session) == records(watched(CAUSAL, watchers.settings(), iter([pictures])))
    with pytest.raises(DecodingError, match="this session is finished"):
        session.feed(pictures)


def test_pictures_at_twice_the_rate_are_seen_as_fast() -> None:
    pictures = video(2).frames
    twice = watched(CAUSAL, watchers.settings(), iter([pictures.repeat(2, axis=0)]), 25.0)
    with pytest.warns(WhyformerNote, match="50 pictures a second, of which the model sees 25"):
        fast = watched(CAUSAL, watchers.settings(), iter([pictures.repeat(2, axis=0)]), 50.0)
    same = watched(CAUSAL, watchers.settings(), iter([pictures]), 25.0)
    assert fast.labels == same.labels
    assert [each.text for each in fast.finals] == [each.text for each in same.finals]
    assert len(twice.labels) > len(same.labels)


@pytest.mark.parametrize("rate", [25.0, 30.0, 10.0])
@pytest.mark.parametrize("size", [20, 32])
def test_a_file_is_its_pictures(tmp_path: Path, rate: float, size: int) -> None:
    path = tmp_path / "a.mp4"
    digits = MovingDigitsSpec().open("train", 5, FrameSpec(height=size, width=size))
    write_video(path, digits.video(0, 1).frames, rate)
    with pytest.warns(WhyformerNote) if (rate, size) != (25.0, 20) else nullcontext():
        frames, file = read_video(path, watchers.FRAMES), CAUSAL(str(path))
    from_pictures = watched(CAUSAL, watchers.settings(), iter([frames])).finals[0]
    # The last picture may end before the model's next one would.
    assert [word[:3] for word in file.words] == [word[:3] for word in from_pictures.words]
    assert file.score == pytest.approx(from_pictures.score, abs=1e-4)


def test_no_picture_saysnullcontext() -> None:
    session = CAUSAL.open()
    assert session.finish() == Transcript(final=True)
    assert session.labels == []
