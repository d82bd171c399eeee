"""The paths of OpenAI's protocol, in front of a service."""

from typing import Any

from fastapi import APIRouter

from whyformer.serve.protocols.openai.completions.endpoint import Completion, Completions
from whyformer.serve.protocols.openai.embeddings import EmbeddingList, Embeddings
from whyformer.serve.protocols.openai.errors import ErrorBody, OpenAIRoute
from whyformer.serve.protocols.openai.runs import Models
from whyformer.serve.protocols.openai.transcriptions.endpoint import (
    Transcription,
    Transcriptions,
    VerboseTranscription,
)
from whyformer.serve.service import Service

_ERRORS: dict[int | str, dict[str, Any]] = {status: {"model": ErrorBody} for status in ("4XX", "5XX")}
_NO_OTHERS = {"unevaluatedProperties": False}
_EVENT = {"type": "object", "properties": {"data": {"type": "string"}}, "required": ["data"]}
_EVENTS: dict[str, Any] = {"text/event-stream": {"itemSchema": _EVENT}}


def openai_router(service: Service) -> APIRouter:
    """The routes by which clients of OpenAI ask ``service``."""
    router = APIRouter(prefix="/v1", route_class=OpenAIRoute, tags=["OpenAI"], responses=_ERRORS)
    models = Models(service)
    router.add_api_route("/models", models.list, methods=["GET"])
    router.add_api_route("/models/{name:path}", models.retrieve, methods=["GET"])
    router.add_api_route(
        "/completions",
        Completions(service).create,
        methods=["POST"],
        responses={200: {"model": Completion, "content": _EVENTS}},
    )
    router.add_api_route(
        "/embeddings",
        Embeddings(service).create,
        methods=["POST"],
        responses={200: {"model": EmbeddingList}},
    )
    texts: dict[str, Any] = {kind: {"schema": {"type": "string"}} for kind in ("text/plain", "text/vtt")}
    router.add_api_route(
        "/audio/transcriptions",
        Transcriptions(service).create,
        methods=["POST"],
        responses={200: {"model": VerboseTranscription | Transcription, "content": {**_EVENTS, **texts}}},
        openapi_extra={"requestBody": {"content": {"multipart/form-data": {"schema": _NO_OTHERS}}}},
    )
    return router
