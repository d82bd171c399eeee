"""Labels of a sound: what is said in it, and when; a table as Audacity exports and imports it."""

from pathlib import Path
from typing import NamedTuple

from whyformer.data.audio.libraries import audio_library
from whyformer.data.audio.spoken.strings import SpokenString, SpokenStrings, StringSpec
from whyformer.data.audio.spoken.tones import ToneSpec
from whyformer.data.corpora.formats.tables import read_rows
from whyformer.data.corpora.lines import BadLine
from whyformer.errors import DataError
from whyformer.files import write_atomically, write_text

_RATE = 8_000


class SoundLabel(NamedTuple):
    """A word that is said in a sound; times in seconds."""

    text: str
    start: float
    end: float


def read_labels(path: Path) -> list[SoundLabel]:
    """The labels of a file, by their time: start, end and word on each line, parted by tabs.

    Raises:
        DataError: it cannot be read, has no labels, or a line is not of that form.
    """
    found: list[SoundLabel] = []
    for row in read_rows(path, "\t", quotes=False):
        if isinstance(row, BadLine):
            raise row.error()
        start, end, text = [*row.cells, "", "", ""][:3]
        try:
            label = SoundLabel(text.strip(), float(start), float(end))
        except ValueError:
            label = SoundLabel("", 0.0, 0.0)
        if len(row.cells) != 3 or not label.text or not 0 <= label.start <= label.end < float("inf"):
            raise DataError(
                f"{path}, line {row.number}: should be the start and the end of a word in seconds, and "
                "the word, parted by tabs."
            )
        found.append(label)
    if not found:
        raise DataError(f"{path}: has no labels; write start, end and word, parted by tabs, on each line.")
    return sorted(found, key=lambda label: label.start)


def write_labelled(string: SpokenString, path: Path) -> tuple[Path, Path]:
    """Write a string of words as a WAV file, and its labels beside it as ``.txt``; return both paths."""
    soundfile = audio_library("soundfile")
    write_atomically(
        path,
        lambda file: soundfile.write(file, string.samples, string.rate, format="WAV", subtype="PCM_16"),
    )
    labels = path.with_suffix(".txt")
    words = zip(string.starts, string.ends, string.words, strict=True)
    lines = [f"{start / string.rate:.4f}\t{end / string.rate:.4f}\t{word}\n" for start, end, word in words]
    write_text(labels, "".join(lines))
    return path, labels


def write_tones(path: str | Path, words: int = 6, seed: int = 1) -> tuple[Path, Path]:
    """Write a sound that the recipe ``tones`` can be tried on, and its labels: a voice that it never heard.

    Args:
        path: of the WAV file; the labels stand beside it, as ``.txt``.
        words: number of words.
        seed: which words, pauses and takes.
    """
    strings = SpokenStrings(ToneSpec().load(_RATE).test, StringSpec(shortest=words, longest=words), seed)
    return write_labelled(strings.at(0, 0), Path(path))
