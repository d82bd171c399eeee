"""The file of keys that an operator writes."""

from pathlib import Path

from whyformer.errors import DataError
from whyformer.serve.operation.keys import Keys

SHORTEST_KEY = 16
"""Minimum number of characters of a key; a shorter one can be guessed."""


def read_keys(path: Path) -> Keys:
    """The keys in the file ``path``, one a line; blank lines and those that begin with ``#`` are none.

    Raises:
        DataError: the file cannot be read, has no key, or one that is short or is not visible ASCII.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise DataError(f"{path}: the keys cannot be read ({reason}).") from None
    keys = list[str]()
    for number, line in enumerate(map(str.strip, lines), start=1):
        if not line or line.startswith("#"):
            continue
        if len(line) < SHORTEST_KEY or not all("!" <= character <= "~" for character in line):
            raise DataError(
                f"{path}, line {number}: a key has {SHORTEST_KEY} or more visible ASCII characters and no "
                "spaces."
            )
        keys.append(line)
    if not keys:
        raise DataError(f"{path}: there is no key in it; write one a line, or leave out --key-file.")
    return Keys(keys)
