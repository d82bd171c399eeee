"""Routes of our own dialect: ``/v1/runs`` and ``/v1/explain``."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from starlette.requests import Request
from starlette.responses import Response

from whyformer.serve.languages import LanguagePair
from whyformer.serve.protocols.asking import noted_asking
from whyformer.serve.protocols.documents import json_body
from whyformer.serve.protocols.explain.answer import facts_of, look_into
from whyformer.serve.protocols.explain.request import ExplainRequest, read_question
from whyformer.serve.service import HostedRun, Service
from whyformer.tasks.translation.translator import Translator


def explain_router(service: Service, languages: Mapping[str, LanguagePair]) -> APIRouter:
    """Routes ``/v1/explain`` and ``/v1/runs`` in front of ``service``; refusals are left to the application.

    ``languages`` are what runs translate between, by their names, where that is known.
    """
    router = APIRouter(prefix="/v1", tags=["Whyformer"])

    @router.post("/explain", openapi_extra=json_body(ExplainRequest))
    async def explain(request: Request) -> Response:
        """Look into one sentence: tokens, what each step would rather have written, attention, the search.

        With a translation, or its ids, nothing is searched for: outputs and tree are empty then.
        """
        asked = await read_question(request)
        run = service.find(asked.model, "translation")
        answer = await service.look(run, partial(look_into, asked=asked), noted_asking(request))
        return JSONResponse(answer)

    @router.get("/runs")
    async def runs() -> Response:
        """List the runs that are served: names, tasks, languages, sizes, and texts to try."""
        return JSONResponse({"runs": [_told(run, languages) for run in service.runs.values()]})

    return router


def _told(run: HostedRun, languages: Mapping[str, LanguagePair]) -> dict[str, Any]:
    pair = languages.get(run.name)
    translator = run.runner if isinstance(run.runner, Translator) else None
    return {
        "name": run.name,
        "task": run.task,
        "languages": None if pair is None else {"source": pair.source, "target": pair.target},
        "examples": [*run.texts.examples],
        "parameters": sum(each.numel() for each in run.runner.model.parameters()),
        "weights": run.weights,
        "created": run.created,
        "facts": None if translator is None else facts_of(translator),
        "decoding": None if translator is None else translator.settings.model_dump(mode="json"),
    }
