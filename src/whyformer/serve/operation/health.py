"""Health: whether the process lives, whether it takes requests, and what it has counted."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from whyformer import __version__
from whyformer.serve.operation.keys import check_key
from whyformer.serve.operation.lifecycle import Lifecycle
from whyformer.serve.operation.metrics import ServiceMetrics
from whyformer.serve.service import Service

_METRICS = "text/plain; version=0.0.4"


class RunHealth(BaseModel):
    """A run that is served."""

    name: str
    """Name that clients ask for."""
    task: str
    """Its task."""
    weights: str
    """SHA-256 of its weights file."""
    created: int
    """Time at which the weights were written, in seconds since 1970."""


class Health(BaseModel):
    """Word of a process that lives."""

    status: Literal["ok"] = "ok"
    version: str
    """Version of Whyformer."""
    runs: list[RunHealth]
    """Runs that are served."""


class Readiness(BaseModel):
    """Word of a process that takes requests."""

    status: Literal["ready"] = "ready"


def health_router(service: Service, lifecycle: Lifecycle, metrics: ServiceMetrics) -> APIRouter:
    """The routes that operators ask."""
    router = APIRouter(tags=["operation"])

    @router.get("/health")
    async def health() -> Health:
        """Tell that the process lives, whatever it is busy with."""
        runs = [
            RunHealth(name=run.name, task=run.task, weights=run.weights, created=run.created)
            for run in service.runs.values()
        ]
        return Health(version=__version__, runs=runs)

    @router.get("/ready")
    async def ready() -> Readiness:
        """Tell whether requests are taken."""
        lifecycle.check_ready()
        return Readiness()

    @router.get("/metrics", response_class=Response, responses={200: {"content": {_METRICS: {}}}})
    async def counted(request: Request) -> Response:
        """Give all metrics as Prometheus reads them."""
        check_key(request, None)
        return Response(metrics.text(), media_type=_METRICS)

    return router
