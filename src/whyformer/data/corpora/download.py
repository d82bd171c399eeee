"""Data that lies on the web: fetched once, checked, kept in a cache folder."""

import hashlib
import os
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit

from pydantic import Field

from whyformer.errors import DataError
from whyformer.files import file_sha256, write_atomically
from whyformer.spec import Spec

_CHUNK = 1 << 20
_TIMEOUT = 30.0  # seconds without a byte


class Download(Spec):
    """A file on the web, known by its content."""

    url: str = Field(pattern=r"^(https?|file)://.")
    """Address of the file: ``https``, ``http`` or ``file``."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """The SHA-256 checksum of its content, as 64 lower-case hexadecimal digits."""

    @property
    def path(self) -> Path:
        """Place where the file is kept; content with another checksum has another place."""
        name = Path(unquote(urlsplit(self.url).path)).name or "data"
        return cache_folder() / self.sha256[:16] / name

    def fetch(self) -> Path:
        """Return the local file, downloading it if it is not there yet. Its checksum is checked every time.

        Raises:
            DataError: no network, no such address, or a wrong checksum; says where to put it by hand.
        """
        path = self.path
        if not path.exists():
            write_atomically(path, self._download)
        elif (found := file_sha256(path)) != self.sha256:
            raise DataError(
                f"{path}: has checksum {found}, not {self.sha256}; delete it, and it is fetched again from "
                f"{self.url}."
            )
        return path

    def _download(self, temporary: Path) -> None:
        digest = hashlib.sha256()
        with temporary.open("wb") as file:
            for chunk in self._chunks():
                digest.update(chunk)
                file.write(chunk)
        if digest.hexdigest() != self.sha256:
            raise DataError(
                f"{self.url}: has checksum {digest.hexdigest()}, not {self.sha256}: it changed or broke on "
                f"the way; get the right file by other means and put it at {self.path}."
            )

    def _chunks(self) -> Iterator[bytes]:
        try:
            with urllib.request.urlopen(self.url, timeout=_TIMEOUT) as answer:
                while chunk := answer.read(_CHUNK):
                    yield chunk
        except (OSError, HTTPException) as error:  # all of urllib's errors are one or the other
            if isinstance(error, HTTPError):
                error.close()  # it holds the connection open
            cause = error.reason if isinstance(error, URLError) else error
            raise DataError(
                f"{self.url}: cannot be fetched ({cause}); get the file by other means and put it at "
                f"{self.path}."
            ) from error


def cache_folder() -> Path:
    """Return the folder of fetched files: ``$WHYFORMER_CACHE``, or ``~/.cache/whyformer``."""
    return Path(os.environ.get("WHYFORMER_CACHE") or "~/.cache/whyformer").expanduser()
