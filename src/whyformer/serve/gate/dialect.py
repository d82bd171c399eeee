"""Dialect: a protocol that clients speak, as the service mounts it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.types import Scope

from whyformer.serve.refusals import RefusalError
from whyformer.serve.service import Service


class PlainError(BaseModel):
    """The body of a refusal where no protocol asks for another."""

    error: str
    """One sentence."""


def plain_error(refusal: RefusalError) -> Mapping[str, object]:
    """The body that says ``refusal`` where no protocol asks for another."""
    return {"error": str(refusal)}


@dataclass(frozen=True)
class Dialect:
    """A protocol: where it is found, what answers, and how it says no."""

    name: str
    """Its name in metrics and logs."""
    prefixes: Sequence[str]
    """Beginnings of its paths."""
    router: Callable[[Service], APIRouter]
    """Maker of what answers."""
    error: Callable[[RefusalError], Mapping[str, object]] = plain_error
    """Body that says a refusal."""
    error_model: type[BaseModel] = PlainError
    """Schema of that body."""
    key: Literal["header", "router", "none"] = "header"
    """Who looks for the client's key: the service, in the request's head; the router, by ``check_key``;
    nobody, as anybody may ask."""

    kind: Literal["http", "websocket"] = "http"
    """Kind of its requests."""
    ends_itself: bool = False
    """Whether its WebSockets hear of the service's end by the router; else they see their clients leave."""

    def covers(self, kind: str, path: str) -> bool:
        """Whether a request of ``kind`` for ``path`` is one of its."""
        return kind == self.kind and any(
            path == prefix or path.startswith(f"{prefix}/") for prefix in self.prefixes
        )


class Dialects:
    """All dialects of a service; what belongs to none is plain."""

    def __init__(self, dialects: Sequence[Dialect]) -> None:
        self.all = dialects
        """Dialects that have been named."""
        self.plain = Dialect("other", (), lambda _: APIRouter(), key="none")
        """Dialect of all other paths."""

    def of_path(self, path: str) -> Dialect:
        """The dialect of a request over HTTP for ``path``."""
        return self.of({"type": "http", "path": path})

    def of(self, scope: Scope) -> Dialect:
        """The dialect of a request, by its ``scope``."""
        covers = (each for each in self.all if each.covers(scope["type"], scope["path"]))
        return next(covers, self.plain)
