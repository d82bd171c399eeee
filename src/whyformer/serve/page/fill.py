"""Route ``/v1/fill``: what may stand in the holes of a text, as the page asks it."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from whyformer.errors import DecodingError
from whyformer.serve.protocols.asking import noted_asking
from whyformer.serve.protocols.bodies import NO_NUL, read_model
from whyformer.serve.protocols.documents import json_body
from whyformer.serve.refusals import InvalidRequestError
from whyformer.serve.service import Service
from whyformer.tasks.masked_lm.filler import Filled

_TASK = "masked_lm"
_LONGEST = 2_000
"""Maximum number of characters of a text; no model takes as many tokens."""
_MOST_GUESSES = 20


class FillRequest(BaseModel):
    """A text with holes."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    text: Annotated[
        str, Field(max_length=_LONGEST, json_schema_extra={"pattern": r"^[^\u0000]*\[MASK\][^\u0000]*$"})
    ]
    """The text, with [MASK] where something is to be filled in."""
    model: Annotated[str | None, Field(json_schema_extra={"pattern": NO_NUL})] = None
    """Name of the run; the first that fills holes if left out."""
    top: Annotated[int, Field(ge=1, le=_MOST_GUESSES)] = 5
    """Guesses for each hole."""


class HoleGuess(BaseModel):
    """A piece that may stand in a hole."""

    text: str
    token: str
    probability: float


class FillAnswer(BaseModel):
    """A text filled in, and the likeliest pieces of each hole."""

    model: str
    text: str
    holes: list[list[HoleGuess]]


def fill_router(service: Service) -> APIRouter:
    """Return the route ``/v1/fill`` in front of ``service``; refusals are left to the application."""
    router = APIRouter(prefix="/v1", tags=["Whyformer"])

    @router.post("/fill", openapi_extra=json_body(FillRequest))
    async def fill(request: Request) -> FillAnswer:
        """Fill the holes of one text: the likeliest pieces of each, best first."""
        asked = await read_model(request, FillRequest, ("text", "model"))
        run = service.find(asked.model, _TASK)
        try:
            [filled] = await service.fill(run, [asked.text], asked.top, noted_asking(request))
        except DecodingError as error:
            raise InvalidRequestError(str(error), field="text") from error
        return _answer(run.name, filled)

    return router


def _answer(model: str, filled: Filled) -> FillAnswer:
    holes = [
        [HoleGuess(text=each.text, token=each.token, probability=each.probability) for each in guesses]
        for guesses in filled.holes
    ]
    return FillAnswer(model=model, text=filled.text, holes=holes)
