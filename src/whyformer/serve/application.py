"""The application: one process that speaks every dialect of a service."""

from collections.abc import Sequence
from typing import NamedTuple

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from whyformer import __version__
from whyformer.serve.gate.dialect import Dialect, Dialects
from whyformer.serve.gate.faults import install_handlers
from whyformer.serve.gate.passage import Gate
from whyformer.serve.gate.shedding import LoadShedder
from whyformer.serve.gate.shortcut import Shortcut
from whyformer.serve.operation.guarded import GuardedService
from whyformer.serve.operation.health import health_router
from whyformer.serve.operation.lifecycle import Lifecycle
from whyformer.serve.operation.metrics import ServiceMetrics
from whyformer.serve.operation.settings import Settings
from whyformer.serve.service import Service


class ServiceApplication(NamedTuple):
    """The application that answers requests, and who sheds load before it."""

    asgi: ASGIApp
    shedder: LoadShedder
    """Asked by the server first."""


def make_application(
    service: Service, dialects: Sequence[Dialect], settings: Settings, lifecycle: Lifecycle
) -> ServiceApplication:
    """The application that answers for ``service`` in ``dialects``, by the rules of ``settings``."""
    table = Dialects(dialects)
    metrics = ServiceMetrics(service, lifecycle)
    guarded = GuardedService(service, settings.limits, metrics, settings.log_texts)
    # The pages that FastAPI would show load their parts from elsewhere; the document itself stays.
    application = FastAPI(title="Whyformer", version=__version__, docs_url=None, redoc_url=None)
    application.state.keys = settings.keys
    application.state.limits = settings.limits
    install_handlers(application, table)
    shortcut = Shortcut(application)
    operation = Dialect("operation", (), lambda _: health_router(service, lifecycle, metrics))
    for dialect in (*dialects, operation):
        said = {"model": dialect.error_model, "description": "A refusal, in one sentence."}
        router = dialect.router(guarded)
        application.include_router(router, responses={"4XX": said, "5XX": said})
        shortcut.include(router)
    shedder = LoadShedder(table, settings, lifecycle, metrics, service.refusal)
    gate = Gate(shortcut, table, settings, lifecycle, metrics, shedder)
    if not settings.hosts.origins:
        return ServiceApplication(gate, shedder)
    asgi = CORSMiddleware(
        gate,
        allow_origins=settings.hosts.origins,
        allow_methods=["GET", "POST"],
        allow_headers=["*"],
        expose_headers=["X-Request-Id", "Retry-After"],
    )
    return ServiceApplication(asgi, shedder)
