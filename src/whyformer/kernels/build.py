"""Compiling ``source/kernels.cpp`` for the processor at hand.

It happens at install, or by ``python -m whyformer.kernels.build``.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from whyformer.kernels.compiling import LANGUAGE, compile_library, library_fingerprint

SOURCES = Path(__file__).with_name("source")
KERNELS = Path(__file__).with_name("kernels.so")
_NATIVE = ("-march=native",)


def kernels_fingerprint() -> int:
    """A number that changes with the sources."""
    return library_fingerprint(SOURCES)


def build_kernels(library: Path = KERNELS, processor: Sequence[str] = _NATIVE) -> str | None:
    """Compile ``library``, for a ``processor`` given as flags; None, or in one clause why it could not be.

    Training knows no promise of equal bits on all processors, so a product may be fused with a sum.
    """
    return compile_library(library, SOURCES / "kernels.cpp", (*LANGUAGE, "-ffp-contract=fast", *processor))


if __name__ == "__main__":
    sys.exit(build_kernels())
