"""Hash of a text: of its examples in their order, whatever their line ends."""

import hashlib
from collections.abc import Iterable, Sequence


class TextDigest:
    """Hash of columns of texts as they pass."""

    def __init__(self, columns: Iterable[Sequence[bytes]] = ()) -> None:
        self._hash = hashlib.sha256()
        self.add(columns)

    def add(self, columns: Iterable[Sequence[bytes]]) -> None:
        """Take in the next texts, a column for each side."""
        for column in columns:
            whole = b"\0".join(column)
            self._hash.update(b"%d:%d:" % (len(column), len(whole)))
            self._hash.update(whole)

    @property
    def value(self) -> str:
        """The hash so far, in hexadecimal digits."""
        return self._hash.hexdigest()
