"""Video files in any format that FFmpeg reads, picture by picture (PyAV); and files of our own.

Headers promise what a file may not hold, and some promise nothing, so pictures are counted by decoding them.
"""

import warnings
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from whyformer.data.video.front import Frames, FrameSpec, Pictures, VideoFront
from whyformer.data.video.libraries import video_library
from whyformer.errors import DataError, WhyformerNote

_UNKNOWN_RATE = Fraction(25)  # where a file names none, as raw streams may
_FEW = 2  # pictures that a file may be short of what its length in seconds promises
_CODECS = {
    ".mp4": ("libx264", {"crf": "12"}),
    ".mov": ("libx264", {"crf": "12"}),
    ".mkv": ("libx264", {"crf": "12"}),
    ".webm": ("libvpx-vp9", {"crf": "16", "b": "0", "deadline": "realtime", "cpu-used": "8"}),
    ".avi": ("mpeg4", {"qscale": "2"}),
}


@dataclass(frozen=True)
class VideoFacts:
    """Facts about a video file, as its header tells them."""

    height: int
    """Rows of pixels as a player shows them."""
    width: int
    """Pixels of a row, likewise."""
    rate: Fraction
    """Mean number of pictures per second."""
    promised: int | None
    """Number of pictures; None where the header does not say."""
    seconds: float | None
    """Length; None where the header does not say."""


class TimedPicture(NamedTuple):
    """A picture of a video."""

    pixels: NDArray[np.uint8]
    """(H,W), 0 black and 255 white, turned as a player shows it."""
    time: Fraction
    """Seconds on the file's own clock, which may begin anywhere."""
    period: Fraction
    """Seconds for which it is shown."""


class VideoFile:
    """An open video file: its facts, and its pictures one after another.

    Reads once. What is wrong with the file and can be survived is said as a note at its end.
    """

    def __init__(self, path: Path, container: Any) -> None:
        self._path = path
        self._container = container
        self._stream = next(filter(_moves, container.streams.video))
        self._damaged = 0
        self.count = 0
        """Pictures read so far."""
        self.facts = _facts(container, self._stream)

    def __enter__(self) -> "VideoFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def __iter__(self) -> Iterator[TimedPicture]:
        """The pictures in the order in which they are shown.

        Raises:
            DataError: there is no picture that can be read.
        """
        length = Fraction(0)
        for frame in self._decoded():
            picture = self._picture(frame)
            self.count += 1
            length += picture.period
            yield picture
        if not self.count:
            raise DataError(f"{self._path}: holds no picture that can be read; make the file again.")
        self._note_missing(float(length))

    def _decoded(self) -> Iterator[Any]:
        """The decoded frames; what cannot be decoded is counted and left out."""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except (OSError, ValueError, EOFError):  # the file ends, or breaks, between packets
                packet = None
            for attempt in (packet, None):  # a packet that is refused may have left others in the decoder
                try:
                    frames = self._stream.codec_context.decode(attempt)
                except EOFError:  # was flushed by the last, empty packet
                    frames = []
                except (OSError, ValueError):
                    self._damaged += 1
                    frames = []
                yield from frames
                if packet is not None:
                    break
            if packet is None:
                return

    def _picture(self, frame: Any) -> TimedPicture:
        aspect = self._stream.sample_aspect_ratio
        width = round(frame.width * aspect) if aspect else frame.width
        gray = frame.reformat(width=width, height=frame.height, format="gray").to_ndarray()
        if frame.rotation % 90 == 0 and frame.rotation:
            gray = np.ascontiguousarray(np.rot90(gray, frame.rotation // 90))
        period = 1 / self.facts.rate
        time = self.count * period if frame.pts is None else frame.pts * frame.time_base
        if frame.duration and frame.time_base:
            period = frame.duration * frame.time_base
        return TimedPicture(gray, time, period)

    def _note_missing(self, seconds: float) -> None:
        """Say that there is less than the header promises, or that some of it is damaged."""
        promised, length = self.facts.promised, self.facts.seconds
        if promised is not None and self.count < promised:
            _say(
                f"{self._path}: cut off or damaged, as {self.count:,} of its {promised:,} pictures are "
                "there; they are used."
            )
        elif promised is None and length is not None and seconds < length - _FEW / self.facts.rate:
            _say(
                f"{self._path}: cut off or damaged, as {seconds:.2f} of its {length:.2f} seconds are there; "
                "they are used."
            )
        elif self._damaged:
            _say(f"{self._path}: {self._damaged:,} damaged pictures are left out.")


def open_video(path: Path) -> VideoFile:
    """Open a video file.

    Raises:
        DataError: it is missing, no video, or cannot be read at all.
    """
    av = video_library("av")
    if path.is_dir():
        raise DataError(f"{path}: a folder; name a video file.")
    try:
        container = av.open(str(path))
    except FileNotFoundError:
        raise DataError(f"{path}: no such file.") from None
    except PermissionError:
        raise DataError(f"{path}: may not be read; change its permissions.") from None
    except (OSError, ValueError, EOFError):
        raise DataError(f"{path}: {_reason(path)}") from None
    try:
        _refuse(path, container)
        return VideoFile(path, container)
    except BaseException:
        container.close()
        raise


def stream_video(path: Path, spec: FrameSpec) -> Iterator[Frames]:
    """Read a video file as a model sees it, frames (m,h,w) for each picture of the file, m may be 0.

    Raises:
        DataError: it is no video, or has no picture that can be read.
    """
    with closing(open_video(path)) as video:
        front = VideoFront(spec, str(path))
        front.note_other_rate(float(video.facts.rate))
        for picture in video:
            yield front.feed_timed(picture.pixels[None], [picture.time], picture.period)
        yield front.finish()


def read_video(path: Path, spec: FrameSpec) -> Frames:
    """Read a whole video file as a model sees it: frames (T,h,w).

    Raises:
        DataError: it is no video, or has no picture that can be read.
    """
    return np.concatenate(list(stream_video(path, spec)))


def write_video(path: Path, frames: Pictures, rate: float) -> None:
    """Write gray pictures (T,H,W), bytes or floats in [0, 1], as a video that any player shows.

    The codec follows from the name's ending, and compresses with little loss.

    Raises:
        DataError: the ending is unknown, there is no picture, or they cannot be written.
    """
    av = video_library("av")
    if path.suffix.lower() not in _CODECS:
        raise DataError(f"{path}: no ending of a video; use one of {', '.join(_CODECS)}.")
    if frames.ndim != 3 or 0 in frames.shape:
        raise DataError(f"{path}: pictures of shape {frames.shape}; give at least one as (n, height, width).")
    pixels = np.asarray(
        frames if frames.dtype == np.uint8 else np.rint(np.clip(frames.astype(np.float32), 0.0, 1.0) * 255),
        np.uint8,
    )
    codec, options = _CODECS[path.suffix.lower()]
    try:
        with av.open(str(path), "w") as container:
            stream = container.add_stream(
                codec, rate=Fraction(rate).limit_denominator(1_001), options=options
            )
            stream.height, stream.width = pixels.shape[1:]
            # Half as many pixels of colour need an even number of pixels.
            even = stream.height % 2 == 0 and stream.width % 2 == 0
            stream.pix_fmt = "yuv420p" if even or codec == "mpeg4" else "yuv444p"
            for picture in pixels:
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="gray8")
                container.mux(stream.encode(frame))
            # What the encoder still holds; without it a short video leaves no file at all.
            container.mux(stream.encode())
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be written ({error}).") from error


def _facts(container: Any, stream: Any) -> VideoFacts:
    rate = stream.average_rate or stream.guessed_rate or _UNKNOWN_RATE
    seconds = None
    if stream.duration:
        seconds = float(stream.duration * stream.time_base)
    elif container.duration and not container.streams.audio:
        seconds = container.duration / 1e6
    aspect = stream.sample_aspect_ratio or 1
    return VideoFacts(stream.height, round(stream.width * aspect), rate, stream.frames or None, seconds)


def _refuse(path: Path, container: Any) -> None:
    """Refuse a file that FFmpeg opens and that is no video."""
    # It draws any text whose name ends in .txt as a terminal would.
    if container.format.name == "tty":
        raise DataError(f"{path}: a text, not a video; name a video file.")
    if any(map(_moves, container.streams.video)):
        return
    if not len(container.streams):
        raise DataError(f"{path}: {_reason(path)}")
    if container.streams.audio:
        raise DataError(f"{path}: has sound and no video; `whyformer listen` hears it.")
    raise DataError(f"{path}: has no video in it; name a video file.")


def _moves(stream: Any) -> bool:
    """Whether a video stream is one, and not the cover of an album, which counts as video too."""
    # An attribute of the value itself would be the flag, and so be true of every stream.
    return not stream.disposition & type(stream.disposition).attached_pic


def _reason(path: Path) -> str:
    """Why a file could not be opened, from its first bytes."""
    with path.open("rb") as file:
        head = file.read(12)
    if not head:
        return "empty; make the file again."
    if head[4:8] == b"ftyp":
        return "cut off before the index at its end, without which nothing can be read; copy it again."
    return "no video file, or damaged at its beginning; name a video file."


def _say(note: str) -> None:
    warnings.warn(note, WhyformerNote, stacklevel=4)
