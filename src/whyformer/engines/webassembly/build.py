"""Compiling the native engine for browsers, behind ``source/browser.cpp``, to WebAssembly by ``ziglang``.

It happens where whyformer is packaged, or by ``python -m whyformer.engines.webassembly.build``.
"""

import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from os.path import relpath
from pathlib import Path

from whyformer.engines.native.build import ARITHMETIC
from whyformer.engines.native.build import SOURCES as ENGINE_SOURCES
from whyformer.kernels.compiling import compiled, sources_digest

ENGINE = Path(__file__).with_name("engine.wasm")
SOURCES = Path(__file__).with_name("source")
COMPILER = "ziglang"
"""Package of the compiler; constraints.txt names the version with which files are made that are shipped."""
# Nothing of this machine goes in.
_FLAGS = (
    *("-target", "wasm32-wasi", "-mexec-model=reactor", "-msimd128", *ARITHMETIC),
    *("-fno-exceptions", "-fno-rtti"),
    # A page has little memory, and nothing here recurses.
    *("-Wl,-z,stack-size=262144", "-ffile-prefix-map=.=", "-s"),
)
_FINGERPRINT = 16
_PATIENCE = 600
"""Seconds that the compiler may take; the first time it compiles its libraries."""


def engine_fingerprint() -> str:
    """Hexadecimal digits that change with the sources."""
    return sources_digest(SOURCES, ENGINE_SOURCES)[:_FINGERPRINT]


def build_engine(engine: Path = ENGINE) -> str | None:
    """Compile ``engine``; None, or in one clause why it could not be."""
    if importlib.util.find_spec(COMPILER) is None:
        return f"the package {COMPILER} is not installed"
    told = f'-DWHYFORMER_FINGERPRINT="{engine_fingerprint()}"'
    command = [*_compiler("c++"), *_FLAGS, told, f"-I{relpath(ENGINE_SOURCES, SOURCES)}", "browser.cpp"]
    fault = compiled(engine, COMPILER, command, _PATIENCE, SOURCES)
    if fault is None:
        # It is data, which the compiler takes for a program.
        engine.chmod(0o644)
    return fault


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
