"""Handwritten digits that cross a noisy canvas one after another: video made on the spot, with its truth.

The digits are real: the 1,797 images of 8x8 pixels that come with scikit-learn (Alpaydin and Kaynak 1998).
K digits of a video · T frames · H, W pixels of the canvas · F frames of one digit · S side of a digit
"""

import functools
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray
from pydantic import Field, model_validator

from whyformer.data.video.front import Frames, FrameSpec
from whyformer.data.video.libraries import video_library
from whyformer.errors import DataError
from whyformer.lengths import grouping, output_count
from whyformer.spec import Spec

Subset: TypeAlias = Literal["train", "validation", "test"]

NO_DIGIT = 10
"""Label of a stretch in which no digit is seen."""

_IMAGES = 1_797
_SIDE = 8  # pixels of an image
_DARKEST = 16.0  # ink of a pixel in the images
_SEEN = 0.5  # share of its ink from which a digit counts as seen

# Whole stretches of the collection and no draw. Neighbours in it are alike: of 37 % of the images the nearest
# one is within 50 places, which chance makes 5 %. A draw would ask for what was nearly seen in training.
_STRETCHES: dict[Subset, tuple[int, int]] = {
    "train": (0, 1_257),
    "validation": (1_257, 1_437),
    "test": (1_437, _IMAGES),
}


class MovingDigitsSpec(Spec):
    """Strings of handwritten digits, each crossing the canvas on a straight path of its own."""

    fewest: int = Field(default=3, ge=1)
    """Minimum number of digits in a video."""
    most: int = Field(default=6, ge=1)
    """Maximum number of digits in a video."""
    smallest: int = Field(default=14, ge=_SIDE)
    """Minimum side of a digit in pixels."""
    largest: int = Field(default=18, ge=_SIDE)
    """Maximum side of a digit in pixels."""
    fastest: int = Field(default=16, ge=2)
    """Minimum number of frames in which a digit crosses."""
    slowest: int = Field(default=28, ge=2)
    """Maximum number of frames in which a digit crosses."""
    overlap: int = Field(default=4, ge=0)
    """Maximum number of frames by which a digit sets out before the one ahead of it is gone."""
    pause: int = Field(default=8, ge=0)
    """Maximum number of frames between two digits, and before and behind all."""
    noise: float = Field(default=0.06, ge=0.0, le=0.5)
    """Standard deviation of the noise on every pixel, which is uniform; white is 1."""

    @model_validator(mode="after")
    def _fits(self) -> "MovingDigitsSpec":
        for low, high in (("fewest", "most"), ("smallest", "largest"), ("fastest", "slowest")):
            if getattr(self, low) > getattr(self, high):
                raise ValueError(f"{low} {getattr(self, low)} is above {high} {getattr(self, high)}")
        if 2 * self.overlap >= self.fastest:
            raise ValueError(
                f"overlap {self.overlap} is half of fastest {self.fastest} or more, so that three digits "
                "could meet; set a smaller one"
            )
        return self

    def open(self, subset: Subset, seed: int, frames: FrameSpec) -> "MovingDigits":
        """The videos of one subset, of images that no other subset has, on a canvas as ``frames`` says.

        Raises:
            DataError: the canvas is smaller than a digit, or scikit-learn is not installed.
        """
        if self.largest > min(frames.height, frames.width):
            raise DataError(
                f"digits of up to {self.largest} pixels do not fit in pictures of {frames.width}x"
                f"{frames.height}; set a smaller one, or larger pictures."
            )
        return MovingDigits(self, subset, seed, frames)


@dataclass(frozen=True)
class DigitVideo:
    """A video of digits and the truth about it."""

    frames: Frames
    """(T,H,W) in [0, 1]."""
    digits: tuple[int, ...]
    """(K) values, in the order in which they come."""
    starts: tuple[int, ...]
    """First frame in which each has ink."""
    ends: tuple[int, ...]
    """One behind the last frame in which each has ink."""
    visible: NDArray[np.float32]
    """(K,T), the share of its ink that is on the canvas."""

    def label(self, first: int, stop: int) -> int:
        """The digit of which most is seen in frames ``first`` to ``stop`` (exclusive), or ``NO_DIGIT``.

        A digit is seen there if at least half of its ink is on the canvas, in the mean of these frames.
        """
        seen = self.visible[:, first:stop].mean(axis=1)
        best = int(seen.argmax())
        return self.digits[best] if seen[best] >= _SEEN else NO_DIGIT

    def labels(self, size: int) -> tuple[int, ...]:
        """The label of each chunk of ``size`` frames, ⌈T/size⌉ of them."""
        length = len(self.frames)
        chunks = output_count(length, grouping(size))
        return tuple(self.label(size * chunk, min(size * (chunk + 1), length)) for chunk in range(chunks))


class MovingDigits:
    """Endless videos; each is a pure function of the seed, the epoch and its index."""

    def __init__(self, spec: MovingDigitsSpec, subset: Subset, seed: int, frames: FrameSpec) -> None:
        self.spec = spec
        self._size = (frames.height, frames.width)
        self._subset: Subset = subset
        self._seed = seed
        self._images, self._values = digit_images(subset)

    def count(self, index: int) -> int:
        """Number of digits of a video, which follows from its index, whatever the epoch."""
        return self.spec.fewest + index % (self.spec.most - self.spec.fewest + 1)

    def length(self, index: int) -> int:
        """Number of frames of a video, about."""
        spec, count = self.spec, self.count(index)
        gaps = (count - 1) * (spec.pause - spec.overlap) / 2 + spec.pause
        return round(count * (spec.fastest + spec.slowest) / 2 + gaps)

    def video(self, epoch: int, index: int) -> DigitVideo:
        """Draw video ``index`` of ``epoch``, both counted from 0."""
        rng = default_rng([self._seed, epoch, index, _STRETCHES[self._subset][0]])
        spec = self.spec
        count = self.count(index)
        chosen = rng.integers(len(self._images), size=count)
        times = rng.integers(spec.fastest, spec.slowest + 1, size=count)
        gaps = rng.integers(-spec.overlap, spec.pause + 1, size=count - 1)
        lead, tail = (int(pause) for pause in rng.integers(spec.pause + 1, size=2))
        begins = lead + np.concatenate([[0], np.cumsum(times[:-1] + gaps)]).astype(int)
        length = int(begins[-1] + times[-1]) + tail
        paths = self._paths(rng, times)
        return self._drawn(rng, chosen, begins, length, paths)

    def _paths(self, rng: Generator, times: NDArray[np.int64]) -> list["_Path"]:
        """A straight path for each digit, from just outside of the canvas to just outside of it."""
        height, width = self._size
        sides = rng.integers(self.spec.smallest, self.spec.largest + 1, size=len(times))
        angles = rng.uniform(0.0, 2 * np.pi, size=len(times))
        aside = rng.uniform(-0.15, 0.15, size=len(times)) * min(height, width)
        paths: list[_Path] = []
        for side, angle, off, frames in zip(sides, angles, aside, times, strict=True):
            down, right = float(np.sin(angle)), float(np.cos(angle))
            # Where the square of the digit leaves the canvas, whichever edge comes first.
            distances = [
                (height + side) / 2 / max(abs(down), 1e-9),
                (width + side) / 2 / max(abs(right), 1e-9),
            ]
            along = np.linspace(-1.0, 1.0, int(frames) + 2)[1:-1] * min(distances)
            tops = (height - side) / 2 + along * down + off * right
            lefts = (width - side) / 2 + along * right - off * down
            paths.append(_Path(tops, lefts, int(side)))
        return paths

    def _drawn(
        self,
        rng: Generator,
        chosen: NDArray[np.int64],
        begins: NDArray[np.int64],
        length: int,
        paths: list["_Path"],
    ) -> DigitVideo:
        height, width = self._size
        frames = np.zeros((length, height, width), np.float32)
        visible = np.zeros((len(chosen), length), np.float32)
        for digit, (image, begin, path) in enumerate(zip(self._images[chosen], begins, paths, strict=True)):
            stretch = slice(int(begin), int(begin) + len(path.tops))
            # (F,H,S) · (S,S) · (F,S,W)
            down = _placed(path.tops, path.side, height)
            right = _placed(path.lefts, path.side, width)
            ink = down @ image @ right.transpose(0, 2, 1)
            np.maximum(frames[stretch], ink, out=frames[stretch])
            whole = float(image.sum()) * (path.side / _SIDE) ** 2
            visible[digit, stretch] = np.minimum(ink.sum(axis=(1, 2)) / whole, 1.0)
        # Normal noise would take longer to draw than all the rest to make.
        half = np.float32(3**0.5 * self.spec.noise)
        frames += rng.random(frames.shape, dtype=np.float32) * (2 * half) - half
        np.clip(frames, 0.0, 1.0, out=frames)
        inked = [np.flatnonzero(row) for row in visible]
        values = tuple(int(self._values[index]) for index in chosen)
        starts, ends = tuple(int(row[0]) for row in inked), tuple(int(row[-1]) + 1 for row in inked)
        return DigitVideo(frames, values, starts, ends, visible)


class _Path(NamedTuple):
    tops: NDArray[np.float64]
    """(F) uppermost row of the digit in each frame, between pixels too."""
    lefts: NDArray[np.float64]
    """(F) leftmost column."""
    side: int


@functools.cache
def digit_images(subset: Subset) -> tuple[Frames, tuple[int, ...]]:
    """The images (n,8,8) of a subset, ink in [0, 1], and the digit on each.

    Raises:
        DataError: scikit-learn is not installed, or has other images.
    """
    collection = video_library("sklearn.datasets").load_digits()
    if collection.images.shape != (_IMAGES, _SIDE, _SIDE):
        raise DataError(
            f"scikit-learn brings digits of shape {collection.images.shape}, not the 1,797 of 8x8 pixels "
            "that are known; install another version."
        )
    first, stop = _STRETCHES[subset]
    images = (collection.images[first:stop] / _DARKEST).astype(np.float32)
    images.flags.writeable = False
    return images, tuple(int(value) for value in collection.target[first:stop])


def _placed(begins: NDArray[np.float64], side: int, size: int) -> NDArray[np.float32]:
    """Weights (F,size,8) of an image's rows for those of the canvas, linear between pixels' centres.

    The image is ``side`` pixels long there and begins at ``begins`` (F).
    """
    place = (np.arange(size, dtype=np.float32) + 0.5 - begins.astype(np.float32)[:, None]) * (_SIDE / side)
    distance = np.abs(place[..., None] - (np.arange(_SIDE, dtype=np.float32) + 0.5))
    return np.maximum(0.0, 1.0 - distance)
