"""The images of the small maps, read back by hand."""

import base64
import struct
import zlib

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from whyformer.plots.attention.bitmap import COLORS, LEVELS, color_of, text_on, weights_image

Image = npt.NDArray[np.uint8]
UNIT = st.floats(0, 1)
WEIGHTS = arrays.arrays(np.float64, arrays.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=UNIT)


def colors(address: str) -> Image:
    """The pixels (height, width, red green blue) of a PNG in a ``data:`` address; every checksum must fit."""
    kind, text = address.split(",")
    assert kind == "data:image/png;base64"
    rest, chunks = base64.b64decode(text)[8:], {}
    while rest:
        (length,), name = struct.unpack(">I", rest[:4]), rest[4:8]
        data, (checksum,) = rest[8 : 8 + length], struct.unpack(">I", rest[8 + length : 12 + length])
        assert zlib.crc32(name + data) == checksum
        chunks[name], rest = data, rest[12 + length :]
    width, height = struct.unpack(">II", chunks[b"IHDR"][:8])
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, width + 1)
    assert not lines[:, 0].any()
    return np.frombuffer(chunks[b"PLTE"], np.uint8).reshape(256, 3)[lines[:, 1:]]


def test_zero_is_white_one_is_the_last_color_and_rows_are_queries() -> None:
    image = colors(weights_image(np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 0.35]])))
    white, last, middle = ([*bytes.fromhex(color[1:])] for color in (COLORS[0], COLORS[-1], COLORS[3]))
    assert image[0].tolist() == [white, last, white]
    assert image[1, :2].tolist() == [white, white]
    assert np.abs(image[1, 2].astype(int) - middle).max() <= 2  # it lies between two of 256 levels


def test_two_hundredths_do_not_look_like_nothing() -> None:
    image = colors(weights_image(np.array([[0.0, 0.02]]))).astype(int)
    assert np.abs(image[0, 0] - image[0, 1]).max() > 30


def luminance(color: tuple[float, ...]) -> float:
    """By WCAG 2.2, for bands from 0 to 255."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (b / 255 for b in color)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_a_number_reads_well_on_every_color() -> None:
    for level in range(LEVELS):
        ground, text = luminance(color_of(level / (LEVELS - 1))), {"#000": 0.0, "#fff": 1.0}
        shades = sorted((ground, text[text_on(level / (LEVELS - 1))]))
        assert (shades[1] + 0.05) / (shades[0] + 0.05) >= 4.5


@given(WEIGHTS)
def test_more_weight_is_never_lighter(weights: npt.NDArray[np.float64]) -> None:
    image = colors(weights_image(weights))
    assert image.shape == (*weights.shape, 3)
    order = np.argsort(weights.ravel())
    brightness = (image.reshape(-1, 3) @ np.array([0.2126, 0.7152, 0.0722]))[order]
    assert (np.diff(brightness) <= 1.0).all()  # of 255: colours are whole numbers
