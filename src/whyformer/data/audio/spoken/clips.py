"""Recordings of single words, by speaker."""

import io
import re
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import Field

from whyformer.config.paths import FolderPath
from whyformer.data.audio.libraries import audio_library
from whyformer.data.audio.resampling import Samples, resampled
from whyformer.errors import DataError
from whyformer.spec import Spec

_NAME = re.compile(r"(?P<label>[^_/]+)_(?P<speaker>[^_/]+)_(?P<index>[0-9]+)\.(?:wav|flac)")


@dataclass(frozen=True)
class Clip:
    """One word, said once."""

    samples: Samples
    """Samples (n,) in [-1, 1]."""
    rate: int
    """Samples per second."""
    label: str
    """The word."""
    speaker: str
    """Speaker's name."""
    index: int
    """Number of the recording among those of this word by this speaker."""

    def at_rate(self, rate: int) -> "Clip":
        """The same clip at another sampling rate."""
        return (
            self
            if rate == self.rate
            else replace(self, samples=resampled(self.samples, self.rate, rate), rate=rate)
        )


class ClipSets(NamedTuple):
    """Clips for training, for validation, and for testing."""

    train: list[Clip]
    valid: list[Clip]
    test: list[Clip]


class RecordingsSpec(Spec):
    """Recorded words in a folder: files, or archives of them, named ``WORD_SPEAKER_INDEX.wav``."""

    kind: Literal["recordings"] = "recordings"
    """Kind of words."""
    folder: FolderPath
    """Folder with ``.wav`` or ``.flac`` files, or with ``.tar.gz`` archives of them."""
    unheard: tuple[str, ...] = ("yweweler",)
    """Speakers who are heard in the test set only."""
    held_out: int = Field(default=5, ge=1)
    """Recordings of each word and speaker, those with the lowest indices, that are for validation."""

    def load(self, rate: int) -> ClipSets:
        """Read all clips, resampled to ``rate``.

        Raises:
            DataError: the folder or a recording cannot be read, or one of the sets is empty.
        """
        clips = [clip.at_rate(rate) for clip in read_clips(self.folder)]
        seen = [clip for clip in clips if clip.speaker not in self.unheard]
        sets = ClipSets(
            train=[clip for clip in seen if clip.index >= self.held_out],
            valid=[clip for clip in seen if clip.index < self.held_out],
            test=[clip for clip in clips if clip.speaker in self.unheard],
        )
        speakers = ", ".join(sorted({clip.speaker for clip in clips}))
        for name, clips_of_set in zip(ClipSets._fields, sets, strict=True):
            if not clips_of_set:
                raise DataError(
                    f"{self.folder}: no recording is left for {name}; its speakers are {speakers}, of whom "
                    f"`unheard` keeps {', '.join(self.unheard) or 'none'} for testing."
                )
        return sets


def read_clips(folder: Path) -> list[Clip]:
    """Read the clips of a folder, sorted by speaker, word and index.

    Raises:
        DataError: it has none, or one of them is damaged or has another name than ``WORD_SPEAKER_INDEX``.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; it should hold recordings named WORD_SPEAKER_INDEX.wav.")
    clips = [
        *(_clip(path.read_bytes(), path.name, str(path)) for path in _files(folder, "*.wav", "*.flac")),
        *(clip for path in _files(folder, "*.tar.gz", "*.tar") for clip in _members(path)),
    ]
    if not clips:
        raise DataError(f"{folder}: has no recordings; put files named WORD_SPEAKER_INDEX.wav there.")
    return sorted(clips, key=lambda clip: (clip.speaker, clip.label, clip.index))


def words_of(clips: Iterable[Clip]) -> tuple[str, ...]:
    """The words of clips, sorted."""
    return tuple(sorted({clip.label for clip in clips}))


def _files(folder: Path, *patterns: str) -> list[Path]:
    return sorted(path for pattern in patterns for path in folder.glob(pattern))


def _members(archive: Path) -> Iterator[Clip]:
    """The clips in an archive, which is read and never unpacked."""
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                file = tar.extractfile(member)
                if file is not None:
                    yield _clip(file.read(), Path(member.name).name, f"{archive}: {member.name}")
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DataError(f"{archive}: a damaged archive ({error}); get it again.") from error


def _clip(data: bytes, name: str, place: str) -> Clip:
    match = _NAME.fullmatch(name)
    if match is None:
        raise DataError(f"{place}: its name is not of the form WORD_SPEAKER_INDEX.wav; rename or remove it.")
    soundfile = audio_library("soundfile")
    try:
        sound: Any
        sound, rate = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise DataError(f"{place}: a damaged recording ({error.error_string}); get it again.") from error
    if not len(sound):
        raise DataError(f"{place}: a recording without samples; remove it.")
    return Clip(sound.mean(axis=1), rate, match["label"], match["speaker"], int(match["index"]))
