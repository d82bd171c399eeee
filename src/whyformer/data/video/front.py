"""The front end of a watching session: pictures of any size and rate in, the model's pictures out."""

import math
import warnings
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch.nn import functional as F

from whyformer.errors import DataError, WhyformerNote
from whyformer.spec import Spec

Frames = NDArray[np.float32]
"""Gray pictures (T,H,W) in [0, 1], one behind the other: 0 is black, 1 is white."""

Pictures = NDArray[np.generic]
"""Pictures (n,H,W), or (n,H,W,3) in red, green and blue: bytes, or floats in [0, 1]."""

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
_LONGEST_GAP = 600  # seconds between two pictures; a longer one is a broken clock
_BRIGHTEST = 2.0  # of floats; above it they were meant as bytes
_SLACK = Fraction(1, 10)
"""Share of a period that a time may be early: files round times, Matroska to a millisecond."""


class FrameSpec(Spec):
    """Pictures as a model sees them: gray, of one size, so many a second."""

    height: int = Field(default=32, ge=4, le=1_024)
    """Rows of pixels; other pictures are scaled."""
    width: int = Field(default=32, ge=4, le=1_024)
    """Pixels of a row."""
    rate: float = Field(default=25.0, ge=1.0, le=240.0)
    """Pictures per second; of a faster video some are left out, of a slower one some are repeated."""


class RateMatcher:
    """Choice of pictures by their time, so that there are ``rate`` of them a second.

    Picture k of the result is the first one whose time lies in [k, k+1)/rate, and the last one before that
    where there is none. So no picture is held back, and pieces give what the whole gives.
    """

    def __init__(self, rate: float) -> None:
        self._rate = Fraction(rate)
        self.count = 0
        """Pictures of the result so far."""

    def take(self, time: Fraction) -> tuple[int, bool]:
        """How often the one before a picture at ``time`` (seconds) is repeated, and whether this is shown."""
        place = math.floor(time * self._rate + _SLACK)
        if place < self.count:
            return 0, False
        repeats = place - self.count
        self.count = place + 1
        return repeats, True

    def finish(self, end: Fraction) -> int:
        """How often the last picture is repeated if it stands until ``end`` in seconds."""
        repeats = max(0, math.ceil(end * self._rate - _SLACK) - self.count)
        self.count += repeats
        return repeats


class VideoFront:
    """Front end of one stream: makes pictures gray, scales them, and picks them by their time.

    Fed one by one, in pieces, or at once, the same pictures give the same frames, bit for bit. Scaled
    pictures keep their aspect ratio between black bars; size and rate may change in the middle. Refused
    pictures change nothing, and the stream goes on. What was done to the pictures is said once, as a note.

    Args:
        spec: Size and rate of the model's pictures.
        name: Name of the stream in notes and errors.
    """

    def __init__(self, spec: FrameSpec, name: str = "the video") -> None:
        self._spec = spec
        self._name = name
        self._matcher = RateMatcher(spec.rate)
        self._last: Pictures | None = None
        self._time, self._end = Fraction(0), Fraction(0)
        self._shift: Fraction | None = None
        self._rate: float | None = None
        self._said = set[str]()

    @property
    def seconds(self) -> float:
        """Length of the pictures that were fed."""
        return float(self._end)

    def feed(self, pictures: Pictures, rate: float) -> Frames:
        """Take the next pictures (n,H,W) or (n,H,W,3), ``rate`` a second, and return those to see (m,h,w).

        Raises:
            DataError: the rate or the pictures cannot be used; they are left out, and the stream goes on.
        """
        if not (math.isfinite(rate) and 0.1 <= rate <= 10_000):
            raise DataError(f"{self._name}: {rate:g} pictures a second; give a rate from 0.1 to 10,000.")
        self._refuse(pictures)
        self._note_rate(rate)
        # The fraction that the float stands for; the float's error would add up.
        period = 1 / Fraction(rate).limit_denominator(1_001)
        first = self._end
        ends = [first + period * (number + 1) for number in range(len(pictures))]
        return self._taken(pictures, [end - period for end in ends], ends)

    def feed_timed(self, pictures: Pictures, times: Sequence[Fraction], period: Fraction) -> Frames:
        """Take the next pictures, each with the time at which it is shown, and return those to see.

        The clock may begin anywhere. Where it jumps back, or by more than ten minutes, time goes on from
        the picture before.

        Args:
            pictures: (n,H,W) or (n,H,W,3).
            times: (n) in seconds, rising.
            period: Seconds for which the last picture is shown if nothing follows.

        Returns:
            (m,h,w).

        Raises:
            DataError: the pictures cannot be used; they are left out, and the stream goes on.
        """
        self._refuse(pictures)
        if len(times) != len(pictures):
            raise DataError(
                f"{self._name}: {len(pictures)} pictures and {len(times)} times; give one for each."
            )
        shown: list[Fraction] = []
        for time in times:
            before = shown[-1] if shown else self._time
            shift = -time if self._shift is None else self._shift
            if not 0 <= time + shift - before <= _LONGEST_GAP:
                self._say(f"{self._name}: its clock jumps on the way; time goes on from the picture before.")
                shift = (before + period) - time
            self._shift = shift
            shown.append(time + shift)
        return self._taken(pictures, shown, [time + period for time in shown])

    def finish(self) -> Frames:
        """Return how long the last picture stands, as frames (m,h,w); nothing may follow."""
        return self._joined(self._repeated(self._matcher.finish(self._end)))

    def _taken(self, pictures: Pictures, times: Sequence[Fraction], ends: Sequence[Fraction]) -> Frames:
        frames: list[Frames] = []
        for picture, time, end in zip(pictures, times, ends, strict=True):
            repeats, shown = self._matcher.take(time)
            frames += self._repeated(repeats)
            self._last = picture.copy()  # as the caller may write over it
            frames += self._repeated(int(shown))
            self._time, self._end = time, end
        return self._joined(frames)

    def _repeated(self, count: int) -> list[Frames]:
        """The latest picture as a frame, ``count`` times."""
        if self._last is None or not count:
            return []
        self._last = frame = self._scaled(_gray(self._last))
        return [frame] * count

    def _joined(self, frames: list[Frames]) -> Frames:
        return np.stack(frames) if frames else np.zeros((0, self._spec.height, self._spec.width), np.float32)

    def _scaled(self, picture: Frames) -> Frames:
        """The gray ``picture`` (H,W) in the model's size, its aspect ratio kept between black bars."""
        height, width = self._spec.height, self._spec.width
        if picture.shape == (height, width):
            return picture
        rows, columns = picture.shape
        ratio = min(Fraction(height, rows), Fraction(width, columns))
        inner = max(1, round(rows * ratio)), max(1, round(columns * ratio))
        self._say(
            f"{self._name}: pictures of {columns}x{rows} pixels, scaled to {inner[1]}x{inner[0]} in "
            f"{width}x{height}."
        )
        scaled = F.interpolate(
            torch.from_numpy(np.ascontiguousarray(picture))[None, None],
            size=inner,
            mode="bilinear",
            antialias=True,
        )
        whole = np.zeros((height, width), np.float32)
        top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
        whole[top : top + inner[0], left : left + inner[1]] = scaled[0, 0].numpy()
        return whole

    def _refuse(self, pictures: Pictures) -> None:
        """Refuse what are no pictures."""
        shape = pictures.shape
        gray, colour = pictures.ndim == 3, pictures.ndim == 4 and shape[-1] == len(_LUMA)
        if not (gray or colour) or 0 in shape[1:]:
            raise DataError(
                f"{self._name}: pictures of shape {shape}; give (n, height, width), or (n, height, width, 3)."
            )
        if pictures.dtype == np.uint8:
            return
        if not np.issubdtype(pictures.dtype, np.floating):
            raise DataError(
                f"{self._name}: pictures of type {pictures.dtype}; give uint8, or floats in [0, 1]."
            )
        wrong = int(pictures.size - np.count_nonzero(np.isfinite(pictures)))
        if wrong:
            raise DataError(
                f"{self._name}: {wrong:,} of {pictures.size:,} pixels are no finite numbers; these pictures "
                "are left out."
            )
        peak = float(np.abs(pictures).max(initial=0.0))
        if peak > _BRIGHTEST:
            raise DataError(f"{self._name}: pixels reach {peak:,.0f}, but white is 1; divide bytes by 255.")

    def _note_rate(self, rate: float) -> None:
        """Say that pictures come at another rate than the model's, or than before."""
        if self._rate not in (None, rate):
            self._say(f"{self._name}: the rate changes from {self._rate:g} to {rate:g} pictures a second.")
        self._rate = rate
        self.note_other_rate(rate)

    def note_other_rate(self, rate: float) -> None:
        """Say that the pictures come ``rate`` a second, if the model sees another number."""
        if not math.isclose(rate, self._spec.rate, rel_tol=1e-4):
            self._say(
                f"{self._name}: {rate:g} pictures a second, of which the model sees {self._spec.rate:g}."
            )

    def _say(self, note: str) -> None:
        """Say a note, once in this stream."""
        if note not in self._said:
            self._said.add(note)
            warnings.warn(note, WhyformerNote, stacklevel=4)


def _gray(picture: Pictures) -> Frames:
    """A picture (H,W) or (H,W,3) as gray float32 (H,W) in [0, 1]."""
    scale = 255.0 if picture.dtype == np.uint8 else 1.0
    if picture.ndim == 2:
        return picture.astype(np.float32) / np.float32(scale)
    weights = np.asarray(_LUMA, np.float32) / np.float32(scale)
    colours = picture.astype(np.float32)
    return colours[..., 0] * weights[0] + colours[..., 1] * weights[1] + colours[..., 2] * weights[2]
