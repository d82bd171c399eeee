"""Compiling ``source/decode.cpp`` for the processor at hand.

It happens at install, or by ``python -m whyformer.engines.native.build``.
"""

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from whyformer.engines.compiling import ARITHMETIC, compiled, sources_digest

LIBRARY = Path(__file__).with_name("decode.so")
_FLAGS = (*ARITHMETIC, "-fPIC", "-shared", "-pthread", "-Wno-psabi")
_NATIVE = ("-march=native",)
_FINGERPRINT = 15
"""Hexadecimal digits, so that it fits 64 bits."""
_PATIENCE = 300
"""Seconds that a compiler may take."""


def fingerprint() -> int:
    """A number that changes with the source, and with it the structs that Python fills."""
    return int(sources_digest()[:_FINGERPRINT], 16)


def build(library: Path = LIBRARY, processor: Sequence[str] = _NATIVE) -> str | None:
    """Compile ``library``, for a ``processor`` given as flags; None, or in one clause why it could not be."""
    compilers = (os.environ.get("CXX"), *map(shutil.which, ("c++", "g++", "clang++")))
    compiler = next(filter(None, compilers), None)
    if compiler is None:
        return "no C++ compiler was found"
    told = f"-DWHYFORMER_FINGERPRINT={fingerprint()}"
    command = [*shlex.split(compiler), *_FLAGS, told, *processor, "decode.cpp"]
    return compiled(library, compiler, command, _PATIENCE)


if __name__ == "__main__":
    sys.exit(build())
