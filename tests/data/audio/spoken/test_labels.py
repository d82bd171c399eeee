"""Labels of sounds: written beside a sound, read back, and refused with their line."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from whyformer.data.audio.spoken.labels import read_labels, write_tones
from whyformer.errors import DataError


@pytest.mark.parametrize("words", [1, 4, 12])
def test_tones_are_loud_where_their_labels_say_and_nowhere_else(words: int, tmp_path: Path) -> None:
    sound, table = write_tones(tmp_path / "new" / "tones.wav", words, seed=words)
    samples, rate = soundfile.read(sound)
    labels = read_labels(table)
    assert len(labels) == words
    inside = np.zeros(len(samples), bool)
    for label in labels:
        inside[round(label.start * rate) : round(label.end * rate)] = True
    assert np.square(samples[inside]).mean() > 100 * np.square(samples[~inside]).mean()


def test_the_same_seed_gives_the_same_sound(tmp_path: Path) -> None:
    first, second, other = (
        write_tones(tmp_path / f"{n}.wav", 3, seed)[0] for n, seed in enumerate((1, 1, 2))
    )
    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes() != other.read_bytes()


def test_labels_are_read_by_time(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_text("1.5\t2\tla\n0\t1\tmi so\n", encoding="utf-8")
    assert [(each.text, each.start, each.end) for each in read_labels(path)] == [
        ("mi so", 0, 1),
        ("la", 1.5, 2),
    ]


@pytest.mark.parametrize(
    "line", ["1\t2", "a\tb\tc", "2\t1\tla", "1\t2\t ", "-1\t2\tla", "nan\t2\tla", "1\tinf\tla"]
)
def test_a_line_of_another_form_is_told(line: str, tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_text(f"0\t1\tmi\n{line}\n", encoding="utf-8")
    with pytest.raises(DataError, match="line 2: should be the start and the end"):
        read_labels(path)


def test_a_file_without_labels_is_told(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_text("", encoding="utf-8")
    with pytest.raises(DataError, match=r"has no labels|is empty"):
        read_labels(path)
