"""Videos of moving digits: pure functions of their number, with the truth about each digit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from whyformer.data.video.front import FrameSpec
from whyformer.data.video.moving_digits import NO_DIGIT, DigitVideo, MovingDigitsSpec, Subset, digit_images
from whyformer.errors import DataError

pytest.importorskip("sklearn")

PARTS: tuple[Subset, ...] = ("train", "validation", "test")
FRAMES = FrameSpec()
QUIET = MovingDigitsSpec(noise=0.0)


def test_parts_share_no_image():
    images = [{image.tobytes() for image in digit_images(subset)[0]} for subset in PARTS]
    assert sum(map(len, images)) == len(set.union(*images)) == 1_797
    for subset in PARTS:
        assert set(digit_images(subset)[1]) == set(range(10))


@pytest.mark.parametrize("subset", PARTS)
def test_a_video_is_a_pure_function_of_its_number(subset: Subset):
    one, other = (MovingDigitsSpec().open(subset, 7, FRAMES) for _ in range(2))
    for number in range(3):
        one.video(0, number)
    first, second = one.video(2, 5), other.video(2, 5)
    np.testing.assert_array_equal(first.frames, second.frames)
    assert first.digits == second.digits


def test_seed_epoch_index_and_part_each_make_another_video():
    spec = MovingDigitsSpec()
    videos = [
        spec.open("train", 0, FRAMES).video(0, 0),
        spec.open("train", 1, FRAMES).video(0, 0),
        spec.open("train", 0, FRAMES).video(1, 0),
        spec.open("train", 0, FRAMES).video(0, 1),
        spec.open("test", 0, FRAMES).video(0, 0),
    ]
    assert len({video.frames.tobytes() for video in videos}) == len(videos)


@pytest.mark.parametrize("index", range(30))
def test_starts_and_ends_are_where_ink_is(index: int):
    video = QUIET.open("validation", 3, FRAMES).video(0, index)
    length = len(video.frames)
    inked = np.zeros(length, bool)
    for digit, (start, end) in enumerate(zip(video.starts, video.ends, strict=True)):
        row = video.visible[digit]
        assert row[start] > 0
        assert row[end - 1] > 0
        assert not row[:start].any()
        assert not row[end:].any()
        assert row.max() > 0.98
        inked |= row > 0
    np.testing.assert_array_equal(video.frames.any(axis=(1, 2)), inked)
    assert list(video.starts) == sorted(set(video.starts))
    assert list(video.ends) == sorted(set(video.ends))
    assert video.ends[-1] <= length


@pytest.mark.parametrize("index", range(30))
def test_a_digit_enters_on_one_side_and_leaves_on_another(index: int):
    video = MovingDigitsSpec(noise=0.0, fewest=1, most=1).open("train", 3, FRAMES).video(0, index)
    first, last = video.frames[video.starts[0]], video.frames[video.ends[0] - 1]
    places = [np.argwhere(frame > 0) - 15.5 for frame in (first, last)]
    for place in places:
        assert np.abs(place).max() == 15.5
    assert places[0].mean(axis=0) @ places[1].mean(axis=0) < 0


def test_a_digit_on_the_canvas_is_its_image_enlarged():
    spec = MovingDigitsSpec(noise=0.0, fewest=1, most=1, smallest=16, largest=16)
    video = spec.open("train", 0, FRAMES).video(0, 2)
    images, values = digit_images("train")
    middle = video.frames[int(video.visible[0].argmax())]
    rows, columns = (np.flatnonzero(middle.any(axis=axis)) for axis in (1, 0))
    best = {}
    for top in range(max(0, rows[-1] - 17), min(17, rows[0] + 2)):
        for left in range(max(0, columns[-1] - 17), min(17, columns[0] + 2)):
            small = middle[top : top + 16, left : left + 16].reshape(8, 2, 8, 2).mean(axis=(1, 3))
            distance = np.square(images - small).sum(axis=(1, 2))
            best[float(distance.min())] = values[int(distance.argmin())]
    assert best[min(best)] == video.digits[0]


def made(visible: list[list[float]], digits: tuple[int, ...]) -> DigitVideo:
    rows = np.asarray(visible, np.float32)
    return DigitVideo(np.zeros((rows.shape[1], 4, 4), np.float32), digits, (0,), (1,), rows)


def test_the_label_is_the_digit_of_which_most_is_seen():
    video = made([[0, 0.4, 1, 1, 0.5, 0, 0], [0, 0, 0, 0, 0.5, 1, 0.2]], (3, 8))
    assert video.labels(1) == (NO_DIGIT, NO_DIGIT, 3, 3, 3, 8, NO_DIGIT)
    assert video.labels(2) == (NO_DIGIT, 3, 8, NO_DIGIT)
    assert video.labels(3) == (NO_DIGIT, 3, NO_DIGIT)
    assert video.labels(4) == (3, 8)
    assert video.labels(100) == (NO_DIGIT,)


@settings(deadline=None, max_examples=20)
@given(index=st.integers(0, 10**6), size=st.integers(1, 50))
def test_labels_cover_the_whole_video(index: int, size: int):
    video = MovingDigitsSpec().open("test", 0, FRAMES).video(0, index)
    assert len(video.labels(size)) == -(-len(video.frames) // size)
    assert set(video.labels(1)) - {NO_DIGIT} == set(video.digits)
    assert video.frames.min() >= 0
    assert video.frames.max() <= 1


@pytest.mark.parametrize(("height", "width"), [(20, 40), (48, 24)])
def test_the_canvas_may_have_any_shape(height: int, width: int):
    frames = FrameSpec(height=height, width=width)
    video = MovingDigitsSpec().open("train", 0, frames).video(0, 0)
    assert video.frames.shape[1:] == (height, width)
    assert video.visible.max(axis=1).min() > 0.9


@pytest.mark.parametrize(
    "wrong",
    [
        {"fewest": 4, "most": 3},
        {"smallest": 20, "largest": 18},
        {"fastest": 30},
        {"overlap": 8},
    ],
)
def test_what_does_not_fit_is_refused(wrong: dict[str, int]):
    with pytest.raises(ValidationError):
        MovingDigitsSpec(**wrong)


def test_a_canvas_smaller_than_a_digit_is_refused():
    with pytest.raises(DataError, match="digits of up to 18 pixels do not fit in pictures of 40x16"):
        MovingDigitsSpec().open("train", 0, FrameSpec(height=16, width=40))


@pytest.mark.parametrize("index", range(8))
def test_the_number_of_digits_and_the_length_follow_from_the_index(index: int):
    digits = MovingDigitsSpec().open("train", 0, FRAMES)
    videos = [digits.video(epoch, index) for epoch in range(20)]
    assert {len(video.digits) for video in videos} == {digits.count(index)}
    mean = sum(len(video.frames) for video in videos) / 20
    assert mean == pytest.approx(digits.length(index), rel=0.1)
