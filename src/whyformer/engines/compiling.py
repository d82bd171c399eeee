"""Compiling our C++: one set of sources for all engines, and files that are whole or not there.

It happens while whyformer is installed, too, so nothing but Python is needed here.
"""

import hashlib
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

SOURCES = Path(__file__).with_name("native") / "source"
# Every processor gets the same bits: no sum is reordered (see lanes.h), and no product fused with a sum.
ARITHMETIC = ("-std=c++20", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math")


def sources_digest() -> str:
    """Hexadecimal digits that change with the sources."""
    texts = [path.read_bytes() for path in sorted(SOURCES.iterdir())]
    return hashlib.sha256(b"".join(texts)).hexdigest()


def compiled(target: Path, compiler: str, command: Sequence[str], patience: int) -> str | None:
    """Make ``target`` by the ``command`` of a ``compiler``, run where the sources are.

    Args:
        target: the file; it is put in place once it is whole.
        compiler: what a user knows the compiler by.
        command: the program and its arguments, but for the name of what is made.
        patience: seconds that it may take.

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
            cwd=SOURCES,
        )
        made.replace(target)
    except subprocess.CalledProcessError as error:
        said = str(error.stderr).strip().splitlines()
        return f"{compiler} failed: {said[0] if said else 'it does not say why'}"
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{compiler} could not be run: {error}"
    finally:
        made.unlink(missing_ok=True)
    return None
