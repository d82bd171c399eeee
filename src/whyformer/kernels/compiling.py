"""Compiling our C++: files that are whole or not there.

It happens while whyformer is installed, too, so nothing but Python is needed here.
"""

import hashlib
import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

# What all our C++ is compiled with.
LANGUAGE = ("-std=c++20", "-O3", "-fno-math-errno", "-fno-trapping-math")
_SHARED = ("-fPIC", "-shared", "-pthread", "-Wno-psabi")
_FINGERPRINT = 15
"""Hexadecimal digits, so that it fits 64 bits."""
_PATIENCE = 300
"""Seconds that a compiler may take for a library."""


def sources_digest(*sources: Path) -> str:
    """Hexadecimal digits that change with the files in the folders ``sources``."""
    texts = [path.read_bytes() for folder in sources for path in sorted(folder.rglob("*.*"))]
    return hashlib.sha256(b"".join(texts)).hexdigest()


def library_fingerprint(sources: Path) -> int:
    """A number that changes with the files in the folder ``sources``, which a library of them tells."""
    return int(sources_digest(sources)[:_FINGERPRINT], 16)


def compile_library(library: Path, main: Path, flags: Sequence[str]) -> str | None:
    """Compile ``library`` from the file ``main`` and those beside it, by the system's C++ compiler.

    Returns:
        None, or in one clause why it could not be.
    """
    compilers = (os.environ.get("CXX"), *map(shutil.which, ("c++", "g++", "clang++")))
    compiler = next(filter(None, compilers), None)
    if compiler is None:
        return "no C++ compiler was found"
    told = f"-DWHYFORMER_FINGERPRINT={library_fingerprint(main.parent)}"
    command = [*shlex.split(compiler), *_SHARED, *flags, told, main.name]
    return compiled(library, compiler, command, _PATIENCE, main.parent)


def compiled(target: Path, compiler: str, command: Sequence[str], patience: int, sources: Path) -> str | None:
    """Make ``target`` by the ``command`` of a ``compiler``, run in the folder ``sources``.

    Args:
        target: the file; it is put in place once it is whole.
        compiler: what a user knows the compiler by.
        command: the program and its arguments, but for the name of what is made.
        patience: seconds that it may take.
        sources: the folder.

    Returns:
        None, or in one clause why it could not be.
    """
    made = target.absolute().with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        subprocess.run(
            [*command, "-o", str(made)],
            check=True,
            capture_output=True,
            text=True,
            timeout=patience,
            cwd=sources,
        )
        made.replace(target)
    except subprocess.CalledProcessError as error:
        said = str(error.stderr).strip().splitlines()
        # Before the fault itself a compiler tells by which files it came there.
        faults = [line for line in said if "error" in line] or said
        return f"{compiler} failed: {faults[0].strip() if faults else 'it does not say why'}"
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{compiler} could not be run: {error}"
    finally:
        made.unlink(missing_ok=True)
    return None
