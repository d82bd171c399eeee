"""Video files, whole and broken, and what FFmpeg's readers really do."""

import io
import struct
import warnings
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from whyformer.data.video.files import open_video, read_video, stream_video, write_video
from whyformer.data.video.front import FrameSpec
from whyformer.errors import DataError, WhyformerNote

av: Any = pytest.importorskip("av")

SPEC = FrameSpec()
ENDINGS = ["mp4", "mov", "mkv", "webm", "avi"]


def steps(count: int, height: int = 32, width: int = 32) -> np.ndarray:
    """Pictures of one brightness each, which any codec keeps."""
    grey = (np.arange(count) * 9 % 256).astype(np.uint8)
    return np.broadcast_to(grey[:, None, None], (count, height, width))


def noise(count: int, height: int = 32, width: int = 32) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, height, width), dtype=np.uint8)


def encode(path: Path, pictures: np.ndarray, container_options: dict[str, str] | None = None, **kind: Any):
    """Write a file whose inside a test wants otherwise than ``write_video``."""
    times = kind.get("times")
    with av.open(str(path), "w", format=kind.get("format"), options=container_options or {}) as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width = pictures.shape[1:]
        stream.pix_fmt = "yuv420p"
        if times:
            stream.codec_context.time_base = Fraction(1, 1000)
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="gray8")
            if times:
                frame.pts, frame.time_base = times[index], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def read(path: Path, spec: FrameSpec = SPEC) -> tuple[np.ndarray, list[str]]:
    """The frames of a file and the notes about it."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        frames = read_video(path, spec)
    assert all(issubclass(each.category, WhyformerNote) for each in said)
    return frames, [str(each.message) for each in said]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(("height", "width"), [(32, 32), (33, 31)])
def test_a_file_comes_back_as_it_was_written(tmp_path: Path, ending: str, height: int, width: int):
    path, pictures = tmp_path / f"a.{ending}", steps(25, height, width)
    write_video(path, pictures, 25)
    frames, notes = read(path, FrameSpec(height=height, width=width))
    assert frames.shape == pictures.shape
    assert frames.dtype == np.float32
    assert np.abs(frames - pictures / 255).max() <= 4 / 255
    assert not notes


@pytest.mark.parametrize("ending", ENDINGS)
def test_floats_are_written_as_bytes_are(tmp_path: Path, ending: str):
    pictures = steps(5)
    write_video(tmp_path / f"bytes.{ending}", pictures, 25)
    write_video(tmp_path / f"floats.{ending}", pictures / np.float32(255), 25)
    one, other = (read(tmp_path / f"{name}.{ending}")[0] for name in ("bytes", "floats"))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("count", [1, 2, 25])
def test_a_short_video_is_flushed(tmp_path: Path, count: int):
    """H.264 holds pictures back: without a flush 25 of them leave no file, and no error."""
    write_video(tmp_path / "a.mp4", steps(count), 25)
    with open_video(tmp_path / "a.mp4") as video:
        assert len(list(video)) == count


def test_a_webm_does_not_say_how_many_pictures_it_has(tmp_path: Path):
    """Both the number and the length of the stream are missing, so pictures are counted by decoding."""
    write_video(tmp_path / "a.webm", steps(25), 25)
    with av.open(str(tmp_path / "a.webm")) as container:
        stream = container.streams.video[0]
        assert (stream.frames, stream.duration) == (0, None)
    with open_video(tmp_path / "a.webm") as video:
        assert video.facts.promised is None
        assert len(list(video)) == video.count == 25


@pytest.mark.parametrize("brightness", [0, 255])
@pytest.mark.parametrize("ending", ["mp4", "webm"])
def test_black_is_0_and_white_is_1(tmp_path: Path, ending: str, brightness: int):
    write_video(tmp_path / f"a.{ending}", np.full((3, 32, 32), brightness, np.uint8), 25)
    assert np.unique(read(tmp_path / f"a.{ending}")[0]).tolist() == [brightness / 255]


@pytest.mark.parametrize("size", [(64, 64), (32, 64), (18, 10)])
def test_streaming_a_file_is_reading_it(tmp_path: Path, size: tuple[int, int]):
    write_video(tmp_path / "a.mp4", noise(20, *size), 30)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", WhyformerNote)
        pieces = list(stream_video(tmp_path / "a.mp4", SPEC))
        np.testing.assert_array_equal(np.concatenate(pieces), read_video(tmp_path / "a.mp4", SPEC))
    assert len(pieces) == 21


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("text.mp4", b"These are words.\n" * 50, "no video file"),
        ("text.txt", b"These are words.\n" * 50, "a text, not a video"),
        ("empty.mp4", b"", "empty"),
        ("noise.mkv", np.random.default_rng(0).bytes(5_000), "no video file"),
        ("titles.srt", b"1\n00:00:01,000 --> 00:00:02,000\nwords\n\n", "has no video in it"),
    ],
)
def test_another_kind_of_file_is_refused(tmp_path: Path, name: str, content: bytes, sentence: str):
    """FFmpeg opens a text whose name ends in .txt, and draws it as a terminal would."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=f"{name}: {sentence}"):
        open_video(tmp_path / name)


def test_what_is_not_there_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match="no such file"):
        open_video(tmp_path / "a.mp4")
    with pytest.raises(DataError, match="a folder"):
        open_video(tmp_path)


def tone(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mp3", rate=16_000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1_152), np.int16), format="s16p", layout="mono")
        frame.sample_rate = 16_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())


def with_cover(path: Path) -> None:
    """Put a picture (ID3v2.3, APIC) before the sound of an MP3 file."""
    png = io.BytesIO()
    with av.open(png, "w", format="image2pipe") as container:
        stream = container.add_stream("png", rate=1)
        stream.height = stream.width = 8
        stream.pix_fmt = "gray"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((8, 8), np.uint8), format="gray8")))
        container.mux(stream.encode())
    body = b"\0image/png\0\x03\0" + png.getvalue()
    frame = b"APIC" + struct.pack(">I", len(body)) + b"\0\0" + body
    size = bytes(len(frame) >> shift & 127 for shift in (21, 14, 7, 0))
    path.write_bytes(b"ID3\x03\0\0" + size + frame + path.read_bytes())


@pytest.mark.parametrize("cover", [False, True])
def test_sound_alone_is_refused(tmp_path: Path, cover: bool):
    """The cover of an album is a stream of video to FFmpeg."""
    path = tmp_path / "a.mp3"
    tone(path)
    if cover:
        with_cover(path)
        with av.open(str(path)) as container:
            assert len(container.streams.video) == 1
    with pytest.raises(DataError, match="has sound and no video"):
        open_video(path)


@pytest.mark.parametrize("share", [0.5, 0.9])
@pytest.mark.parametrize("ending", ["mkv", "webm", "mp4"])
def test_a_file_that_was_cut_off_gives_what_is_there(tmp_path: Path, ending: str, share: float):
    """Whether the header promises pictures, seconds, or both; decoding ends with an error in a packet."""
    path = tmp_path / f"a.{ending}"
    if ending == "webm":
        write_video(path, noise(50), 25)
    else:
        encode(path, noise(50), {"movflags": "faststart"} if ending == "mp4" else None)
    whole, _ = read(path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    frames, notes = read(path)
    assert 50 * share - 15 < len(frames) < 50
    np.testing.assert_array_equal(frames, whole[: len(frames)])
    (note,) = notes
    assert "cut off or damaged" in note


def test_an_mp4_without_its_index_is_refused_with_the_reason(tmp_path: Path):
    """It is written last and stands at the end of the file, unless one asks otherwise."""
    encode(tmp_path / "a.mp4", noise(50))
    content = (tmp_path / "a.mp4").read_bytes()
    (tmp_path / "a.mp4").write_bytes(content[: content.index(b"moov") + 50])
    with pytest.raises(DataError, match="cut off before the index"):
        open_video(tmp_path / "a.mp4")


def test_a_file_with_no_picture_is_refused(tmp_path: Path):
    write_video(tmp_path / "a.mkv", noise(25), 25)
    content = (tmp_path / "a.mkv").read_bytes()
    (tmp_path / "a.mkv").write_bytes(content[: content.rindex(b"\x1f\x43\xb6\x75") + 40])
    with pytest.raises(DataError, match="no picture that can be read"):
        read(tmp_path / "a.mkv")


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_video_is_seen_as_players_show_it(tmp_path: Path, turns: int):
    """Telephones write how they were held, and PyAV's pictures are as the sensor saw them."""
    pictures = np.zeros((3, 32, 32), np.uint8)
    pictures[:, :16, :16] = 255  # above, on the left
    write_video(tmp_path / "a.mp4", pictures, 25)
    content = bytearray((tmp_path / "a.mp4").read_bytes())
    matrix = content.index(b"tkhd") + 44
    across, down = [(0, 65_536), (-65_536, 0), (0, -65_536)][turns - 1]
    content[matrix : matrix + 36] = struct.pack(">9i", across, down, 0, -down, across, 0, 0, 0, 1 << 30)
    (tmp_path / "a.mp4").write_bytes(content)
    frames, _ = read(tmp_path / "a.mp4")
    clockwise = np.rot90(pictures, -turns, axes=(1, 2)) / 255
    assert np.abs(frames - clockwise).mean() < 0.01


def test_pictures_are_picked_by_time_where_their_rate_varies(tmp_path: Path):
    times = [0, 40, 80, 200, 400, 440, 1_000]
    encode(tmp_path / "a.mp4", steps(7) * 3, times=times)
    frames, notes = read(tmp_path / "a.mp4")
    seen = np.rint(frames[:, 0, 0] * 255 / 27).astype(int)
    grid = [max(index for index, time in enumerate(times) if time <= 40 * k) for k in range(26)]
    assert seen.tolist() == grid
    assert any("of which the model sees 25" in note for note in notes)


def test_a_clock_that_starts_late_starts_at_0(tmp_path: Path):
    """A transport stream begins at another time than zero."""
    encode(tmp_path / "a.ts", steps(10), format="mpegts")
    with open_video(tmp_path / "a.ts") as video:
        assert next(iter(video)).time > 0
    assert len(read(tmp_path / "a.ts")[0]) == 10


def test_a_size_that_changes_on_the_way_is_scaled_and_said(tmp_path: Path):
    encode(tmp_path / "one.ts", noise(10), format="mpegts")
    encode(tmp_path / "two.ts", noise(10, 32, 64), format="mpegts")
    both = tmp_path / "both.ts"
    both.write_bytes((tmp_path / "one.ts").read_bytes() + (tmp_path / "two.ts").read_bytes())
    frames, notes = read(both)
    assert frames.shape == (20, 32, 32)
    assert not frames[10:, :8].any()
    assert frames[10:, 8:24].all(axis=0).any()
    assert len(notes) == 2
    assert any("pictures of 64x32 pixels, scaled to 32x16 in 32x32" in note for note in notes)
    assert any("its clock jumps on the way" in note for note in notes)


def test_raw_streams_have_no_times_and_are_counted(tmp_path: Path):
    encode(tmp_path / "a.h264", steps(10), format="h264")
    frames, _ = read(tmp_path / "a.h264")
    assert len(frames) == 10


def test_what_cannot_be_written_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match=r"no ending of a video; use one of \.mp4"):
        write_video(tmp_path / "a.doc", steps(3), 25)
    with pytest.raises(DataError, match="give at least one"):
        write_video(tmp_path / "a.mp4", steps(0), 25)
    with pytest.raises(DataError, match="cannot be written"):
        write_video(tmp_path / "missing" / "a.mp4", steps(3), 25)
