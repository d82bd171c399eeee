"""Compiling ``native/source/browser.cpp`` to WebAssembly, by the compiler that the package ``ziglang`` has.

It happens where whyformer is packaged, or by ``python -m whyformer.engines.webassembly.build``. The
packager runs this file by itself, so it needs nothing but Python.
"""

import hashlib
import importlib.util
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ENGINE = Path(__file__).with_name("engine.wasm")
COMPILER = "ziglang"
"""Package of the compiler; constraints.txt names the version with which files are made that are shipped."""
_SOURCES = Path(__file__).parents[1] / "native" / "source"
# Arithmetic as in the native engine's own build, whose bits are to come out; nothing of this machine goes in.
_FLAGS = (
    *("-target", "wasm32-wasi", "-mexec-model=reactor", "-msimd128", "-std=c++20", "-O3"),
    *("-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-fno-exceptions", "-fno-rtti"),
    # A page has little memory, and nothing here recurses.
    *("-Wl,-z,stack-size=262144", "-ffile-prefix-map=.=", "-s"),
)
_FINGERPRINT = 16
_PATIENCE = 600
"""Seconds that the compiler may take; the first time it compiles its libraries."""


def engine_fingerprint() -> str:
    """Hexadecimal digits that change with the sources."""
    texts = [path.read_bytes() for path in sorted(_SOURCES.iterdir())]
    return hashlib.sha256(b"".join(texts)).hexdigest()[:_FINGERPRINT]


def build_engine(engine: Path = ENGINE, sources: Path = _SOURCES) -> str | None:
    """Compile ``engine`` of ``sources``; None, or in one clause why it could not be."""
    if importlib.util.find_spec(COMPILER) is None:
        return f"the package {COMPILER} is not installed"
    made = engine.with_name(f".{engine.name}.{os.getpid()}.tmp")
    told = f'-DWHYFORMER_FINGERPRINT="{engine_fingerprint()}"'
    command = [*_compiler("c++"), *_FLAGS, told, "browser.cpp", "-o", str(made.resolve())]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=_PATIENCE, cwd=sources)
        made.chmod(0o644)
        made.replace(engine)
    except subprocess.CalledProcessError as error:
        said = str(error.stderr).strip().splitlines()
        return f"{COMPILER} failed: {said[0] if said else 'it does not say why'}"
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{COMPILER} could not be run: {error}"
    finally:
        made.unlink(missing_ok=True)
    return None


def compiler_version() -> str:
    """The version that the compiler tells of itself."""
    return subprocess.run(
        _compiler("version"), check=True, capture_output=True, text=True, timeout=_PATIENCE
    ).stdout.strip()


def missing_engine(engine: Path = ENGINE) -> str | None:
    """Reason for which there is no ``engine`` to put into a page, in a sentence; None where there is one."""
    again = f"run `pip install {COMPILER}` and `python -m whyformer.engines.webassembly.build`"
    if not engine.exists():
        return f"the engine for browsers was not compiled when whyformer was packaged; {again}."
    if engine_fingerprint().encode() not in engine.read_bytes():
        return f"the engine for browsers was compiled from another version's source; {again}."
    return None


def _compiler(verb: str) -> Sequence[str]:
    return (sys.executable, "-m", COMPILER, verb)


if __name__ == "__main__":
    sys.exit(build_engine())
