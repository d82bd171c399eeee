"""Weights as a small picture: one image instead of thousands of rectangles.

Q query length · K key length
"""

import base64
import struct
import zlib

import numpy as np
import numpy.typing as npt

# White, then plasma backwards: every step is darker than the last, so the order also shows in grey and
# to every kind of colour blindness, and small weights differ visibly.
COLORS = ("#ffffff", "#fde2a3", "#fca636", "#e8705a", "#b6308b", "#6d00a8", "#0d0887")
LEVELS = 256


def weights_image(weights: npt.NDArray[np.float64]) -> str:
    """Return ``weights`` (Q, K) in 0..1 as a PNG of one pixel for each, in a ``data:`` address.

    Its colours are ``COLORS``, with straight lines between them in RGB.
    """
    levels = np.rint(weights.clip(0, 1) * (LEVELS - 1)).astype(np.uint8)
    return "data:image/png;base64," + base64.b64encode(_png(levels)).decode("ascii")


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


def _palette() -> bytes:
    colors = np.array([list(bytes.fromhex(color[1:])) for color in COLORS])
    stops, levels = np.linspace(0, 1, len(COLORS)), np.linspace(0, 1, LEVELS)
    # 3 × (LEVELS,) -> (LEVELS, 3)
    return (
        np.rint(np.stack([np.interp(levels, stops, band) for band in colors.T], axis=1))
        .astype(np.uint8)
        .tobytes()
    )
