"""Keys that clients must show, where the operator wants any."""

import hmac
from collections.abc import Iterable
from hashlib import sha256

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection

from whyformer.serve.refusals import UnauthorizedError


class Keys:
    """Keys that are known, held as digests alone."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._digests = [_digest(key) for key in keys]

    def knows(self, given: str) -> bool:
        """Whether ``given`` is one of them; how long that takes tells nothing of them."""
        digest = _digest(given)
        # All are compared, and each in constant time.
        return sum(hmac.compare_digest(digest, known) for known in self._digests) > 0


def _digest(key: str) -> bytes:
    return sha256(key.encode("utf-8", "surrogatepass")).digest()


def check_key(connection: HTTPConnection, given: str | None) -> None:
    """Refuse a request that shows no key that is known, where keys are asked for.

    Args:
        connection: the request; a key in its head, as ``Authorization: Bearer KEY``, has been looked at.
        given: a key that stands elsewhere in it, such as in a field of its body.

    Raises:
        UnauthorizedError: neither is known.
    """
    keys: Keys | None = getattr(connection.app.state, "keys", None)
    if keys is None or (given is not None and keys.knows(given)):
        return
    if not keys.knows(bearer(connection.headers)):
        raise unauthorized()


def unauthorized() -> UnauthorizedError:
    """The refusal of a request without a key that is known."""
    return UnauthorizedError(
        "this service asks for a key, and the request has none that is known; send `Authorization: Bearer "
        "KEY`."
    )


def bearer(headers: Headers) -> str:
    """The key in a header ``Authorization: Bearer KEY``; an empty one if there is none."""
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""
