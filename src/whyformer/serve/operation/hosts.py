"""Hosts: names that the service is known by.

A page of another site can let its name mean this machine, and so reach it by its reader's browser; it cannot
hide that name.
"""

import ipaddress
from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from whyformer.serve.refusals import RefusalError

_LOCAL = ("localhost",)


class ForeignHostError(RefusalError):
    """A request that names another host, or comes from a page of another."""

    status = 403
    reason = "host"


class Hosts:
    """Names that requests may ask for, and pages that may ask."""

    def __init__(self, bound: str, names: Sequence[str], origins: Sequence[str]) -> None:
        """Take the address that is listened at, further names of it, and origins of pages that may ask."""
        self._is_loopback = is_loopback(bound)
        self._names = {name.lower() for name in (*names, *_LOCAL)}
        self._is_checked = self._is_loopback or bool(names)
        self.origins = tuple(origins)
        """Origins of pages that may ask."""

    def check(self, headers: Headers) -> None:
        """Refuse a request whose ``Host`` is not ours: its client has been told a wrong address.

        Raises:
            ForeignHostError: it is not.
        """
        if not self._is_checked:
            return
        host = host_of(headers.get("host", ""))
        if host in self._names or is_loopback(host):
            return
        raise ForeignHostError(
            "this service is not known by the name in the header Host; its operator can add one by "
            "--allow-host."
        )

    def check_origin(self, headers: Headers) -> None:
        """Refuse a WebSocket from a page of another origin, whose browser asks nobody first.

        Raises:
            ForeignHostError: it comes from there.
        """
        origin = headers.get("origin")
        if origin is None or origin in self.origins or "*" in self.origins:
            return
        if urlsplit(origin).netloc.lower() != headers.get("host", "").lower():
            raise ForeignHostError(
                "a page of another origin asks, which the service's operator can let by --allow-origin."
            )


def host_of(header: str) -> str:
    """The name in a ``Host``, without port and brackets, in small letters; empty if there is none."""
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""


def is_loopback(host: str) -> bool:
    """Whether ``host`` is this machine as it calls itself."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in _LOCAL
