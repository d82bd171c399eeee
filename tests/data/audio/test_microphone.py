"""The microphone: its sound, and one sentence for each reason why there is none."""

import importlib
import sys
from collections.abc import Iterator
from itertools import islice
from types import ModuleType

import numpy as np
import pytest

from whyformer.data.audio.microphone import open_microphone
from whyformer.errors import DataError, WhyformerNote


class PortAudioError(Exception):
    """The library's error."""


class Stream:
    """An input stream whose blocks are numbered, and which overflows in its third and fourth."""

    closed = False

    def __init__(self, blocksize: int, **settings: object) -> None:
        self.blocksize, self.settings, self.count = blocksize, settings, 0

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *_: object) -> None:
        Stream.closed = True

    def read(self, size: int) -> tuple[np.ndarray, bool]:
        self.count += 1
        if self.count > 6:
            raise PortAudioError("Device unavailable.\nmore")
        return np.full((size, 1), self.count / 10, np.float32), self.count in (3, 4)


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = ModuleType("sounddevice")
    module.PortAudioError = PortAudioError  # pyright: ignore[reportAttributeAccessIssue]
    module.InputStream = Stream  # pyright: ignore[reportAttributeAccessIssue]
    module.check_input_settings = lambda **_: None  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    return module


@pytest.mark.usefixtures("library")
def test_blocks_come_as_they_are_heard_and_the_device_is_closed() -> None:
    source = open_microphone(16_000)
    assert (source.rate, source.channels, source.frames) == (16_000, 1, None)
    blocks: Iterator[np.ndarray] = source.blocks()
    heard = [*islice(blocks, 2)]
    assert [block.shape for block in heard] == [(320, 1)] * 2
    assert [float(block[0, 0]) for block in heard] == pytest.approx([0.1, 0.2])
    blocks.close()  # pyright: ignore[reportAttributeAccessIssue]
    assert Stream.closed


@pytest.mark.usefixtures("library")
def test_lost_sound_and_a_lost_device_are_told() -> None:
    with pytest.warns(WhyformerNote) as caught:
        assert len([*open_microphone(8_000).blocks()]) == 6
    assert [str(each.message) for each in caught] == [
        "the microphone was faster than this machine, and some of its sound is lost.",
        "the microphone stopped (Device unavailable); the sound before it is kept.",
    ]


@pytest.mark.parametrize(
    ("device", "sentence"),
    [
        (None, r"no microphone at 8000 Hz \(Error querying device -1\); plug one in, or name a"),
        (3, r"no microphone 3 at 8000 Hz \("),
    ],
)
def test_no_device_is_one_sentence(library: ModuleType, device: int | None, sentence: str) -> None:
    def refuse(**_: object) -> None:
        raise PortAudioError("Error querying device -1")

    library.check_input_settings = refuse  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(DataError, match=sentence):
        open_microphone(8_000, device)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OSError("PortAudio library not found"), "the microphone needs PortAudio, a library of the system;"),
        (ImportError("No module"), r"install it with `pip install 'whyformer\[microphone\]'`"),
    ],
)
def test_missing_libraries_are_one_sentence(
    monkeypatch: pytest.MonkeyPatch, error: Exception, sentence: str
) -> None:
    def failing(name: str) -> ModuleType:
        raise error

    monkeypatch.setattr(importlib, "import_module", failing)
    with pytest.raises(DataError, match=sentence):
        open_microphone(8_000)


def test_this_machine_has_a_microphone_or_a_reason() -> None:
    found = ""
    try:
        found = open_microphone(8_000).name
    except DataError as error:
        found = str(error)
    assert any(word in found for word in ("the microphone", "no microphone"))
