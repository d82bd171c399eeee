"""Files of sound and video that many threads read at the same time share the cores."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tasks.speech.listeners import RATE, listener
from tasks.video.watchers import FRAMES, watcher
from whyformer.data.video.files import write_video
from whyformer.engines import cores as shared
from whyformer.engines.cores import Cores
from whyformer.tasks.speech.listener import Listener
from whyformer.tasks.video.watcher import Watcher

Reader = Listener | Watcher


def sound(folder: Path) -> tuple[Listener, Path]:
    """A listener, and two seconds of noise."""
    path = folder / "noise.s16"
    path.write_bytes(np.random.default_rng(0).integers(-9000, 9000, 2 * RATE, np.int16).tobytes())
    return listener(), path


def video(folder: Path) -> tuple[Watcher, Path]:
    """A watcher, and two seconds of noise."""
    path, random = folder / "noise.mp4", np.random.default_rng(0)
    write_video(path, random.integers(0, 255, (50, 20, 20), np.uint8), FRAMES.rate)
    return watcher(), path


@pytest.mark.parametrize("made", [sound, video])
def test_who_reads_a_file_waits_for_a_core_and_reads_the_same(
    made: Callable[[Path], tuple[Reader, Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(shared, "_CORES", cores := Cores(2))
    reader, path = made(tmp_path)

    def read(_: int) -> str:
        if isinstance(reader, Listener):
            return reader.transcribe([path], rate=RATE)[0].text
        return reader.transcribe([path])[0].text

    expected = read(0)
    assert len(expected) > 3
    with ThreadPoolExecutor(6) as pool:
        assert cores.take(2) == 2
        first, *others = [pool.submit(read, number) for number in range(6)]
        with pytest.raises(TimeoutError):
            first.result(0.3)
        cores.give_back(2)
        assert {each.result() for each in [first, *others]} == {expected}
    assert cores.take(2) == 2
