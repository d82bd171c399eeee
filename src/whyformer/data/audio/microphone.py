"""Live sound from the machine's microphone (sounddevice, over PortAudio)."""

import importlib
import warnings
from collections.abc import Iterator
from typing import Any

from whyformer.data.audio.files import AudioSource
from whyformer.data.audio.resampling import Samples
from whyformer.errors import DataError, WhyformerNote

_BLOCK_SECONDS = 0.02


def open_microphone(rate: int, device: int | str | None = None) -> AudioSource:
    """Open a microphone: its blocks (n, 1) come in as they are heard, until the reader stops.

    Args:
        rate: Samples per second to ask for.
        device: Number or name of the device; the system's own choice if None.

    Raises:
        DataError: sounddevice or PortAudio is missing, or there is no such device at this rate.
    """
    sounddevice = _library()
    try:
        sounddevice.check_input_settings(device=device, channels=1, dtype="float32", samplerate=rate)
    except (sounddevice.PortAudioError, ValueError) as error:
        wanted = "microphone" if device is None else f"microphone {device}"
        raise DataError(
            f"no {wanted} at {rate} Hz ({_first_line(error)}); plug one in, or name a sound file instead."
        ) from None

    def read() -> Iterator[Samples]:
        size, told = round(rate * _BLOCK_SECONDS), False
        with sounddevice.InputStream(
            samplerate=rate, device=device, channels=1, dtype="float32", blocksize=size
        ) as stream:
            while True:
                try:
                    block, overflowed = stream.read(size)
                except sounddevice.PortAudioError as error:
                    note = f"the microphone stopped ({_first_line(error)}); the sound before it is kept."
                    warnings.warn(note, WhyformerNote, stacklevel=2)
                    return
                if overflowed and not told:
                    told = True
                    note = "the microphone was faster than this machine, and some of its sound is lost."
                    warnings.warn(note, WhyformerNote, stacklevel=2)
                yield block.copy()

    return AudioSource("the microphone", rate, 1, None, read)


def _library() -> Any:
    try:
        return importlib.import_module("sounddevice")
    except ImportError:
        raise DataError(
            "the microphone needs sounddevice; install it with `pip install 'whyformer[microphone]'`."
        ) from None
    except OSError:  # it is there, and the system's library is not
        raise DataError(
            "the microphone needs PortAudio, a library of the system; install it (on Debian and Ubuntu "
            "`apt install libportaudio2`), or name a sound file instead."
        ) from None


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
