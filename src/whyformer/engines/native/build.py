"""Compiling ``source/decode.cpp`` for the processor at hand.

It happens at install, or by ``python -m whyformer.engines.native.build``.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from whyformer.kernels.compiling import LANGUAGE, compile_library, library_fingerprint

SOURCES = Path(__file__).with_name("source")
LIBRARY = Path(__file__).with_name("decode.so")
# Every processor gets the same bits: no sum is reordered (see lanes.h), and no product fused with a sum.
ARITHMETIC = (*LANGUAGE, "-ffp-contract=off")
_NATIVE = ("-march=native",)


def fingerprint() -> int:
    """A number that changes with the source, and with it the structs that Python fills."""
    return library_fingerprint(SOURCES)


def build(library: Path = LIBRARY, processor: Sequence[str] = _NATIVE) -> str | None:
    """Compile ``library``, for a ``processor`` given as flags; None, or in one clause why it could not be."""
    return compile_library(library, SOURCES / "decode.cpp", (*ARITHMETIC, *processor))


if __name__ == "__main__":
    sys.exit(build())
