"""Mean and deviation of each feature over training data: an asset of a run, never of one utterance."""

import hashlib
import json
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from whyformer.data.audio.features import Features
from whyformer.errors import DataError
from whyformer.files import write_text

_FILE = "features.json"

_SMALLEST = 1e-3  # deviation of a band that never changed in training


class FeatureStatistics:
    """Mean and standard deviation of each bin (bins,), by which features are normalised."""

    def __init__(self, mean: Features, deviation: Features, frames: int) -> None:
        self.mean: Features = mean
        """Mean of each bin."""
        self.deviation: Features = deviation
        """Standard deviation of each bin, above zero."""
        self.frames: int = frames
        """Number of frames that they were estimated on."""

    @staticmethod
    def estimate(utterances: Iterable[Features]) -> "FeatureStatistics":
        """Estimate them on the features (m, bins) of utterances, summed in float64.

        Raises:
            DataError: there is no frame.
        """
        total, squares, frames = np.zeros(1), np.zeros(1), 0
        for utterance in utterances:
            exact = utterance.astype(np.float64)
            total, squares = total + exact.sum(0), squares + (exact**2).sum(0)
            frames += len(utterance)
        if not frames:
            raise DataError("the training data has no sound, so no feature statistics can be estimated.")
        mean = total / frames
        deviation = np.sqrt(np.maximum(squares / frames - mean**2, _SMALLEST**2))
        return FeatureStatistics(mean.astype(np.float32), deviation.astype(np.float32), frames)

    def normalised(self, features: Features) -> Features:
        """Return features (m, bins) with mean 0 and deviation 1 on training data."""
        return (features - self.mean) / self.deviation

    @cached_property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that are equal exactly when the statistics are."""
        return hashlib.sha256(self.mean.tobytes() + self.deviation.tobytes()).hexdigest()[:12]

    @property
    def description(self) -> str:
        """Size and origin, in words."""
        return f"mean and deviation of {len(self.mean)} features over {self.frames:,} frames"

    def save(self, folder: Path) -> None:
        """Write the file ``features.json`` into ``folder``, whole or not at all."""
        document = {
            "frames": self.frames,
            "mean": self.mean.tolist(),
            "deviation": self.deviation.tolist(),
        }
        write_text(folder / _FILE, json.dumps(document, indent=1) + "\n")

    @staticmethod
    def load(folder: Path) -> "FeatureStatistics":
        """Read the file that :meth:`save` wrote.

        Raises:
            DataError: it is missing, or damaged.
        """
        path = folder / _FILE
        try:
            document: Any = json.loads(path.read_text(encoding="utf-8"))
            mean, deviation = (np.asarray(document[key], np.float32) for key in ("mean", "deviation"))
            frames = int(document["frames"])
        except FileNotFoundError:
            raise DataError(f"{path}: no such file; it belongs to the run, so copy it from there.") from None
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror}).") from error
        except (ValueError, KeyError, TypeError):
            raise DataError(f"{path}: damaged, as it holds no feature statistics; copy it again.") from None
        shapes = mean.ndim == 1 and mean.shape == deviation.shape and len(mean) > 0
        if not (
            shapes and np.isfinite(mean).all() and np.isfinite(deviation).all() and (deviation > 0).all()
        ):
            raise DataError(f"{path}: damaged, as it holds no feature statistics; copy it again.")
        return FeatureStatistics(mean, deviation, frames)
