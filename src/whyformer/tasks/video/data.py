"""The videos of a recipe: digits that move, made as they are needed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from typing_extensions import override

from whyformer.data.corpora.held_out import VALID, refuse_unknown_sets
from whyformer.data.video.front import FrameSpec
from whyformer.data.video.moving_digits import (
    NO_DIGIT,
    DigitVideo,
    MovingDigits,
    MovingDigitsSpec,
    Subset,
    digit_images,
)
from whyformer.spec import Spec
from whyformer.tasks.streaming.training import MadeSignals, Signal
from whyformer.tasks.streaming.vocabulary import SymbolTable
from whyformer.training.storage.fingerprint import Fingerprint, text_fingerprint

TEST = "test"
_HELD_OUT_SEED = 1_000_003
"""Seed of videos that are held out: no recipe's, so that all runs are judged by the same ones."""
_SUBSETS: dict[str, Subset] = {VALID: "validation", TEST: "test"}


class MovingDigitsDataSpec(Spec):
    """Strings of handwritten digits that cross the picture one after another, of images that no test has."""

    kind: Literal["moving_digits"] = "moving_digits"
    """Kind of videos."""
    digits: MovingDigitsSpec = MovingDigitsSpec()
    """Numbers, sizes, paths and pauses of the digits."""
    train: int = Field(default=1_000, ge=1)
    """Videos of an epoch; each epoch has others."""
    valid: int = Field(default=60, ge=1)
    """Videos of the validation set."""
    test: int = Field(default=200, ge=1)
    """Videos of the test set."""

    @property
    def test_names(self) -> tuple[str, ...]:
        """Names of the test sets."""
        return (TEST,)

    @property
    def symbols(self) -> SymbolTable:
        """The digits."""
        return SymbolTable("word", tuple(map(str, range(NO_DIGIT))))

    @property
    def summary(self) -> str:
        """One sentence on what is trained on."""
        counts = [len(digit_images(subset)[0]) for subset in ("train", *_SUBSETS.values())]
        return (
            f"{counts[0]:,} images of digits to train on, {counts[1]:,} to choose by, {counts[2]:,} to test "
            f"with; {self.train:,} videos an epoch"
        )

    @property
    def fingerprints(self) -> dict[str, Fingerprint]:
        """Fingerprints of the images and of how they move."""
        moves = self.digits.model_dump_json()
        return {
            name: text_fingerprint([(image.tobytes().hex(), moves) for image in digit_images(subset)[0]])
            for name, subset in (("train", "train"), (VALID, "validation"))
        }

    def source(self, frames: FrameSpec, stride: int, seed: int) -> "DigitSignals":
        """The signals to train on.

        Raises:
            DataError: digits do not fit in the pictures, or scikit-learn is not installed.
        """
        return DigitSignals(self.digits.open("train", seed, frames), self.symbols, self.train, stride)

    def held_out(self, name: str, frames: FrameSpec) -> list["NamedVideo"]:
        """The held-out set ``name``; the same videos for every recipe that says the same of its digits.

        Raises:
            DataError: there is none of that name; or see ``source``.
        """
        refuse_unknown_sets([name], [*_SUBSETS])
        digits = self.digits.open(_SUBSETS[name], _HELD_OUT_SEED, frames)
        count = self.valid if name == VALID else self.test
        return [NamedVideo(f"{name} {index}", digits.video(0, index)) for index in range(count)]


@dataclass(frozen=True)
class NamedVideo:
    """A video of a held-out set."""

    name: str
    video: DigitVideo

    @property
    def words(self) -> tuple[str, ...]:
        """The digits, as they are written."""
        return tuple(map(str, self.video.digits))


class DigitSignals(MadeSignals):
    """Signals made of videos as training asks for them."""

    def __init__(self, digits: MovingDigits, symbols: SymbolTable, count: int, stride: int) -> None:
        super().__init__()
        self._digits = digits
        self._symbols = symbols
        self._lengths = np.array([digits.length(index) for index in range(count)], dtype=np.int64)
        self._stride = stride

    @property
    @override
    def lengths(self) -> NDArray[np.int64]:
        return self._lengths

    @override
    def make(self, epoch: int, index: int) -> Signal:
        return signal_of(self._digits.video(epoch, index), self._symbols, self._stride)


def signal_of(video: DigitVideo, symbols: SymbolTable, stride: int) -> Signal:
    """A video with its digits as ``symbols``, and the label of every ``stride`` pictures."""
    text = symbols.encode(" ".join(map(str, video.digits)))
    return Signal(video.frames, tuple(text), label_symbols(video.labels(stride), symbols))


def label_symbols(labels: Sequence[int], symbols: SymbolTable) -> tuple[int, ...]:
    """Labels of a video as symbols, 0 where no digit is seen."""
    known = {NO_DIGIT: 0, **{digit: symbols.encode(str(digit))[0] for digit in range(NO_DIGIT)}}
    return tuple(known[label] for label in labels)
