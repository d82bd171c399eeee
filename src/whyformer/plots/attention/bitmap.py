"""Weights as a small picture: one image instead of thousands of rectangles.

Q query length · K key length
"""

import base64
import struct
import zlib

import numpy as np
import numpy.typing as npt

# White, then plasma backwards: every step is darker than the last, so the order also shows in grey and
# to every kind of colour blindness.
COLORS = ("#ffffff", "#fde2a3", "#fca636", "#e8705a", "#b6308b", "#6d00a8", "#0d0887")
# The same for a dark page, where weight 0 is the ground: every step is lighter than the last.
DARK_COLORS = ("#1c1e23", "#3a1773", "#7a1fa2", "#b6308b", "#e8705a", "#fca636", "#fdf0c0")
STOPS = (0, 0.04, 0.16, 0.35, 0.55, 0.78, 1)
"""Weights at which the colours stand: closer together at the foot, so that 0.02 is no longer 0."""
LEVELS = 256


def weights_image(weights: npt.NDArray[np.float64]) -> str:
    """Return ``weights`` (Q, K) in 0..1 as a PNG of one pixel for each, in a ``data:`` address.

    Its colours are ``COLORS`` at ``STOPS``, with straight lines between them in RGB.
    """
    levels = np.rint(weights.clip(0, 1) * (LEVELS - 1)).astype(np.uint8)
    return "data:image/png;base64," + base64.b64encode(_png(levels)).decode("ascii")


def color_of(weight: float) -> tuple[float, float, float]:
    """Return red, green and blue, 0 to 255, of ``weight`` in 0..1."""
    red, green, blue = (float(np.interp(weight, STOPS, band)) for band in _bands())
    return red, green, blue


def text_on(weight: float) -> str:
    """Return black or white, whichever reads better on the colour of ``weight``: 4.5 to 1 or more."""
    linear = [c / 3294.6 if c <= 10.0 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in color_of(weight)]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#000" if (luminance + 0.05) ** 2 > 1.05 * 0.05 else "#fff"


def _png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Return an 8-bit PNG with a palette (ISO/IEC 15948)."""
    height, width = pixels.shape
    bits, palette_type, rest = 8, 3, (0, 0, 0)
    header = struct.pack(">IIBBBBB", width, height, bits, palette_type, *rest)
    # A zero before every line: the line is stored as it is, without a filter.
    lines = np.pad(pixels, ((0, 0), (1, 0))).tobytes()
    chunks = [(b"IHDR", header), (b"PLTE", _palette()), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _bands() -> npt.NDArray[np.int_]:
    """Return red, green and blue of every colour, (3, colours)."""
    return np.array([list(bytes.fromhex(color[1:])) for color in COLORS]).T


def _palette() -> bytes:
    levels = np.linspace(0, 1, LEVELS)
    # 3 × (LEVELS,) -> (LEVELS, 3)
    bands = [np.interp(levels, STOPS, band) for band in _bands()]
    return np.rint(np.stack(bands, axis=1)).astype(np.uint8).tobytes()
