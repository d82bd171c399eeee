"""Compiling ``source/decode.cpp`` for the processor at hand.

It happens at install, or by ``python -m whyformer.engines.native.build``. The
installer runs this file by itself, so it needs nothing but Python.
"""

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

SOURCE = Path(__file__).with_name("source") / "decode.cpp"
LIBRARY = Path(__file__).with_name("decode.so")
# Every processor gets the same bits: no sum is reordered (see lanes.h), and no product fused with a sum.
ARITHMETIC = ("-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math")
_FLAGS = ("-std=c++20", "-O3", "-fPIC", "-shared", "-pthread", "-Wno-psabi", *ARITHMETIC)
_NATIVE = ("-march=native",)
_FINGERPRINT = 15
"""Hexadecimal digits, so that it fits 64 bits."""
_PATIENCE = 300
"""Seconds that a compiler may take."""


def fingerprint() -> int:
    """A number that changes with the source, and with it the structs that Python fills."""
    texts = [path.read_bytes() for path in sorted(SOURCE.parent.iterdir())]
    return int(hashlib.sha256(b"".join(texts)).hexdigest()[:_FINGERPRINT], 16)


def build(library: Path = LIBRARY, processor: Sequence[str] = _NATIVE) -> str | None:
    """Compile ``library``, for a ``processor`` given as flags; None, or in one clause why it could not be."""
    compilers = (os.environ.get("CXX"), *map(shutil.which, ("c++", "g++", "clang++")))
    compiler = next(filter(None, compilers), None)
    if compiler is None:
        return "no C++ compiler was found"
    made = library.with_name(f".{library.name}.{os.getpid()}.tmp")
    told = f"-DWHYFORMER_FINGERPRINT={fingerprint()}"
    command = [*shlex.split(compiler), *_FLAGS, told, *processor, str(SOURCE), "-o", str(made)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=_PATIENCE)
        made.replace(library)
    except subprocess.CalledProcessError as error:
        said = str(error.stderr).strip().splitlines()
        return f"{compiler} failed: {said[0] if said else 'it does not say why'}"
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{compiler} could not be run: {error}"
    finally:
        made.unlink(missing_ok=True)
    return None


if __name__ == "__main__":
    sys.exit(build())
