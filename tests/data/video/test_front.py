"""Front end of a watching session: sizes, colours, rates, pieces."""

import warnings
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whyformer.data.video.front import FrameSpec, RateMatcher, VideoFront
from whyformer.errors import DataError, WhyformerNote

SPEC = FrameSpec(height=8, width=12)


def pictures(count: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, *shape), dtype=np.uint8)


def shown(pieces: list[np.ndarray], rate: float, spec: FrameSpec = SPEC) -> np.ndarray:
    """All frames of some pieces at one rate."""
    front = VideoFront(spec)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", WhyformerNote)
        return np.concatenate([*[front.feed(piece, rate) for piece in pieces], front.finish()])


@settings(deadline=None, max_examples=40)
@given(
    count=st.integers(0, 40),
    cuts=st.lists(st.integers(0, 40), max_size=6),
    rate=st.sampled_from([1.0, 10.0, 24.0, 25.0, 29.97, 30.0, 50.0, 60.0, 120.0]),
    shape=st.sampled_from([(8, 12), (16, 24), (5, 5), (30, 12, 3)]),
)
def test_pieces_are_the_whole(count: int, cuts: list[int], rate: float, shape: tuple[int, ...]):
    whole = pictures(count, *shape)
    expected = shown([whole], rate)
    np.testing.assert_array_equal(shown(np.split(whole, sorted(cuts)), rate), expected)
    np.testing.assert_array_equal(shown(list(whole[:, None]), rate), expected)


@pytest.mark.parametrize("count", range(60))
@pytest.mark.parametrize("rate", [1.0, 7.5, 23.976, 24.0, 25.0, 29.97, 30.0, 50.0, 59.94, 60.0, 100.0, 240.0])
def test_frames_are_as_long_as_the_video(count: int, rate: float):
    """The length in seconds stays to within a frame, and each frame shows a picture of its own time."""
    numbers = np.broadcast_to(np.arange(count, dtype=np.float32)[:, None, None] / 256, (count, 8, 12))
    seen = np.rint(shown([numbers], rate)[:, 0, 0] * 256)
    assert abs(len(seen) - count * 25 / rate) < 1
    for place, number in enumerate(seen):
        # The first picture in [place, place + 1)/25, else the last one before.
        assert -1.2 / 25 < place / 25 - number / rate < 1 / rate + 0.2 / 25


@pytest.mark.parametrize("factor", [1, 2, 3, 4])
def test_of_a_faster_video_every_second_or_third_picture_is_seen(factor: int):
    whole = pictures(24, 8, 12)
    np.testing.assert_array_equal(shown([whole], 25.0 * factor), whole[::factor] / np.float32(255))


@pytest.mark.parametrize("factor", [2, 5])
def test_of_a_slower_video_every_picture_is_repeated(factor: int):
    whole = pictures(6, 8, 12)
    expected = whole.repeat(factor, axis=0) / np.float32(255)
    np.testing.assert_array_equal(shown([whole], 25.0 / factor), expected)


@given(rate=st.sampled_from([24.0, 25.0, 30.0, 60.0]), length=st.integers(1, 200))
def test_times_that_were_rounded_to_a_millisecond_lose_no_picture(rate: float, length: int):
    matcher = RateMatcher(rate)
    period = 1 / Fraction(rate)
    taken = [matcher.take(Fraction(round(index * period * 1000), 1000)) for index in range(length)]
    assert taken == [(0, True)] * length
    assert matcher.finish(length * period) == 0


def test_another_size_keeps_its_aspect_ratio_and_is_said():
    white = np.full((1, 64, 48), 255, np.uint8)
    front = VideoFront(SPEC, "a.mp4")
    with pytest.warns(WhyformerNote, match="a.mp4: pictures of 48x64 pixels, scaled to 6x8 in 12x8"):
        frames = front.feed(white, 25)
    expected = np.zeros((1, 8, 12), np.float32)
    expected[:, :, 3:9] = 1.0
    np.testing.assert_allclose(frames, expected, atol=1e-6)


def test_what_is_done_is_said_once():
    front = VideoFront(SPEC)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for _ in range(3):
            front.feed(pictures(3, 16, 12), 50.0)
        front.feed(pictures(3, 20, 12), 10.0)
    assert [str(each.message).partition(": ")[2] for each in said] == [
        "50 pictures a second, of which the model sees 25.",
        "pictures of 12x16 pixels, scaled to 6x8 in 12x8.",
        "the rate changes from 50 to 10 pictures a second.",
        "10 pictures a second, of which the model sees 25.",
        "pictures of 12x20 pixels, scaled to 5x8 in 12x8.",
    ]


def test_colours_become_gray_by_their_brightness():
    colours = np.zeros((4, 8, 12, 3), np.uint8)
    colours[0, ..., 0] = colours[1, ..., 1] = colours[2, ..., 2] = colours[3] = 255
    frames = shown([colours], 25)
    np.testing.assert_allclose(frames[:, 0, 0], [0.299, 0.587, 0.114, 1.0], atol=1e-6)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (np.zeros((8, 12), np.uint8), "pictures of shape"),
        (np.zeros((1, 8, 0), np.uint8), "pictures of shape"),
        (np.zeros((1, 8, 12, 2), np.uint8), "pictures of shape"),
        (np.zeros((1, 8, 12), np.int64), "pictures of type int64"),
        (np.full((1, 8, 12), np.nan, np.float32), "96 of 96 pixels are no finite numbers"),
        (np.full((1, 8, 12), 255.0, np.float32), "pixels reach 255, but white is 1"),
    ],
)
def test_refused_pictures_change_nothing(wrong: np.ndarray, sentence: str):
    front, good = VideoFront(SPEC), pictures(4, 8, 12)
    frames = [front.feed(good[:2], 25)]
    with pytest.raises(DataError, match=sentence):
        front.feed(wrong, 25)
    frames += [front.feed(good[2:], 25), front.finish()]
    np.testing.assert_array_equal(np.concatenate(frames), good / np.float32(255))


@pytest.mark.parametrize("rate", [0.0, -25.0, float("nan"), float("inf")])
def test_a_rate_that_is_none_is_refused(rate: float):
    with pytest.raises(DataError, match="pictures a second; give a rate"):
        VideoFront(SPEC).feed(pictures(1, 8, 12), rate)


@pytest.mark.parametrize("jump", [-1, -0.01, 601, 10**9])
def test_a_clock_that_jumps_is_counted_on(jump: float):
    good, period = pictures(6, 8, 12), Fraction(1, 25)
    times = [period * index + (Fraction(jump) + 5 if index >= 3 else 5) for index in range(6)]
    front = VideoFront(SPEC)
    front.feed_timed(good[:2], times[:2], period)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        rest = [front.feed_timed(good[2:], times[2:], period), front.finish()]
    late = 0 if jump != -0.01 else 1  # less than a period back, it is no jump: the pictures come close
    assert len(np.concatenate(rest)) == 4
    assert len(said) == 1 - late


def test_no_picture_is_no_frame():
    front = VideoFront(SPEC)
    assert front.feed(pictures(0, 8, 12), 25).shape == (0, 8, 12)
    assert front.finish().shape == (0, 8, 12)
    assert front.seconds == 0.0
