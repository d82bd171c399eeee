"""The dialects that a service speaks: the one table that lists them, a row each."""

from collections.abc import Mapping, Sequence

from whyformer.serve.gate.dialect import Dialect
from whyformer.serve.listening.hall import ListeningHall
from whyformer.serve.listening.limits import ListeningLimits
from whyformer.serve.operation.keys import check_key
from whyformer.serve.operation.lifecycle import Lifecycle
from whyformer.serve.operation.settings import Settings
from whyformer.serve.page.fill import fill_router
from whyformer.serve.page.router import page_router
from whyformer.serve.protocols.explain.router import explain_router
from whyformer.serve.protocols.libretranslate.request import TranslationLimits
from whyformer.serve.protocols.libretranslate.router import libretranslate_router
from whyformer.serve.protocols.openai.errors import ErrorBody, error_body
from whyformer.serve.protocols.openai.router import openai_router
from whyformer.serve.protocols.vosk.router import vosk_router
from whyformer.serve.refusals import RefusalError
from whyformer.serve.service import Service


def dialects_of(service: Service, settings: Settings, lifecycle: Lifecycle) -> Sequence[Dialect]:
    """The dialects of ``service``; of two that cover a path the first has it."""
    languages = {
        run.name: run.texts.languages for run in service.runs.values() if run.texts.languages is not None
    }
    limits, keys = settings.limits, settings.keys
    translations = TranslationLimits(limits.characters, limits.items, limits.alternatives - 1)
    hall = ListeningHall(ListeningLimits(sessions=limits.sessions), lifecycle.draining)
    return (
        Dialect("page", ("/", "/assets"), lambda _: page_router(), key="none"),
        Dialect("explain", ("/v1/explain", "/v1/runs"), lambda guarded: explain_router(guarded, languages)),
        Dialect("fill", ("/v1/fill",), fill_router),
        Dialect("openai", ("/v1",), openai_router, error=_openai_error, error_model=ErrorBody),
        Dialect(
            "libretranslate",
            ("/translate", "/languages", "/frontend"),
            lambda guarded: libretranslate_router(
                guarded, languages, limits=translations, check_key=None if keys is None else check_key
            ),
            key="router",
        ),
        Dialect(
            "vosk",
            ("/vosk", "/"),
            lambda guarded: vosk_router(guarded, hall),
            kind="websocket",
            ends_itself=True,
        ),
    )


def _openai_error(refusal: RefusalError) -> Mapping[str, object]:
    return error_body(refusal).model_dump()
