"""Routes of LibreTranslate's dialect."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import override

from whyformer.decoding.beam import BeamSpec
from whyformer.decoding.constraints import ConstraintsSpec
from whyformer.decoding.search import SearchSpec
from whyformer.serve.protocols.asking import asking_of, attended
from whyformer.serve.protocols.bodies import shown
from whyformer.serve.protocols.libretranslate.languages import LanguagePair
from whyformer.serve.protocols.libretranslate.request import (
    TranslationLimits,
    TranslationRequest,
    read_request,
)
from whyformer.serve.protocols.libretranslate.schema import (
    ERRORS,
    FrontendSettings,
    LanguageAnswer,
    LanguageChoice,
    NamedLanguage,
    TranslationAnswer,
    request_body,
)
from whyformer.serve.protocols.libretranslate.served import ServedLanguages
from whyformer.serve.protocols.libretranslate.texts import Part, put_together, take_apart
from whyformer.serve.refusals import RefusalError, RequestTooLargeError, UnauthorizedError, UnknownRunError
from whyformer.serve.service import Asking, HostedRun, Service
from whyformer.tasks.output import TextOutput
from whyformer.tasks.translation.translator import Translator

KeyCheck = Callable[[str | None], None]
"""Raises ``UnauthorizedError`` unless the key, or None, is one to be let in with."""
Translations = Sequence[Sequence[TextOutput]]
"""Outputs of each sentence, best first."""

_QUIET = 500
"""Milliseconds of quiet after which a page translates, LibreTranslate's own."""


def libretranslate_router(
    service: Service,
    languages: Mapping[str, LanguagePair],
    *,
    limits: TranslationLimits | None = None,
    check_key: KeyCheck | None = None,
) -> APIRouter:
    """Routes ``/translate``, ``/languages`` and ``/frontend/settings`` in front of ``service``.

    Args:
        service: its runs that translate are asked.
        languages: what these translate between, by their names; others are asked for by their names.
        limits: bounds of a request.
        check_key: asked with the ``api_key`` among the fields; left out, nobody needs one here.
    """
    limits = TranslationLimits() if limits is None else limits
    served = ServedLanguages(service, languages)
    router = APIRouter(route_class=_Route, tags=["LibreTranslate"], responses=ERRORS)

    targets = [*dict.fromkeys(target for known in served.listed().values() for target in known)]

    @router.post(
        "/translate", response_model=TranslationAnswer, openapi_extra=request_body(limits, targets)
    )
    async def translate(request: Request) -> Response:
        """Translate a text, or each text of a list."""
        asked = await read_request(request, limits)
        if check_key is not None:
            check_key(asked.key)
        run = served.choose(asked.source, asked.target)
        answer = await attended(request, asking := asking_of(request), _answer(service, run, asked, asking))
        return JSONResponse(answer.model_dump(by_alias=True, exclude_none=True))

    @router.get("/languages", response_model=list[LanguageAnswer])
    async def languages_listed() -> Response:
        """List the languages, and what each is translated into."""
        return JSONResponse(
            [
                {"code": code, "name": served.name_of(code), "targets": targets}
                for code, targets in served.listed().items()
            ]
        )

    @router.get("/frontend/settings", response_model=FrontendSettings)
    async def frontend_settings() -> Response:
        """What a page of this dialect asks for at first."""
        pairs = ((code, target) for code, targets in served.listed().items() for target in targets)
        source, target = next(pairs, (None, None))
        if source is None or target is None:
            raise UnknownRunError("no run here translates.")
        settings = FrontendSettings(
            char_limit=limits.characters,
            frontend_timeout=_QUIET,
            api_keys=check_key is not None,
            key_required=check_key is not None,
            language=LanguageChoice(
                source=NamedLanguage(code=source, name=served.name_of(source)),
                target=NamedLanguage(code=target, name=served.name_of(target)),
            ),
        )
        return JSONResponse(settings.model_dump(by_alias=True))

    return router


class _Route(APIRoute):
    """A route that refuses as LibreTranslate does: never with 200, and with 403 where a key is wrong."""

    @override
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def refusing(request: Request) -> Response:
            try:
                return await handle(request)
            except RefusalError as refusal:
                status = 403 if isinstance(refusal, UnauthorizedError) else refusal.status
                seconds = refusal.retry_after
                headers = None if seconds is None else {"Retry-After": str(seconds)}
                return JSONResponse({"error": str(refusal)}, status, headers)

        return refusing


async def _answer(
    service: Service, run: HostedRun, asked: TranslationRequest, asking: Asking
) -> TranslationAnswer:
    translator = run.runner
    assert isinstance(translator, Translator), "a run that translates"
    parts = [take_apart(text, asked.form, translator.sentences) for text in asked.texts]
    sentences = [sentence for text in parts for part in text for sentence in part.sentences]
    _refuse_overlong(translator, sentences)
    found: Translations = []
    others: Translations = []
    if sentences:
        # The best one is the same, however many others are asked for.
        settings, apart = _searches(translator.settings, asked.alternatives)
        found = await service.translate(run, sentences, settings, asking)
        others = found if apart is None else await service.translate(run, sentences, apart, asking)
    texts = _together(parts, found, 1)
    best = [ranked[0] for ranked in texts]
    alternatives = None
    if asked.alternatives > 0:
        more = _together(parts, others, asked.alternatives + 1)
        pairs = zip(best, more, strict=True)
        alternatives = [[each for each in dict.fromkeys(ranked) if each != first] for first, ranked in pairs]
        alternatives = [ranked[: asked.alternatives] for ranked in alternatives]
    if asked.is_list:
        return TranslationAnswer(translated_text=best, alternatives=alternatives)
    return TranslationAnswer(
        translated_text=best[0], alternatives=None if alternatives is None else alternatives[0]
    )


def _together(parts: Sequence[Sequence[Part]], found: Translations, count: int) -> list[list[str]]:
    """The first ``count`` translations of each text."""
    texts: list[list[str]] = []
    begin = 0
    for text in parts:
        end = begin + sum(len(part.sentences) for part in text)
        texts.append([put_together(text, found[begin:end], rank) for rank in range(count)])
        begin = end
    return texts


def _searches(settings: SearchSpec, alternatives: int) -> tuple[SearchSpec | None, SearchSpec | None]:
    """How to search for the best translations, None for the recipe's way, and apart from it for others."""
    if alternatives == 0:
        return None, None
    if isinstance(settings, BeamSpec):
        return settings.model_copy(update={"n_best": min(alternatives + 1, settings.size)}), None
    shared = {name: getattr(settings, name) for name in ConstraintsSpec.model_fields}
    return None, BeamSpec(size=alternatives + 1, n_best=alternatives + 1, **shared)


def _refuse_overlong(translator: Translator, sentences: Sequence[str]) -> None:
    for sentence, fits in zip(sentences, translator.fits(sentences), strict=True):
        if not fits:
            raise RequestTooLargeError(
                f"the sentence {shown(sentence)} has more than the {translator.most:,} tokens that the "
                "model takes; split it.",
                field="q",
            )
