"""Who asks: the request behind a protocol's work."""

from uuid import uuid4

from starlette.requests import Request

from whyformer.serve.asking import Asking


def noted_asking(request: Request) -> Asking:
    """The asking that is noted on ``request``; a new one where nobody has."""
    noted = getattr(request.state, "asking", None)
    return noted if isinstance(noted, Asking) else Asking(uuid4().hex)
