"""Routes of LibreTranslate's dialect."""

from collections.abc import Callable, Mapping, Sequence

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from starlette.requests import Request
from starlette.responses import Response

from whyformer.data.tokenizers.text.normalization import most_tokens
from whyformer.data.tokenizers.text.sentences import split_line
from whyformer.decoding.beam import BeamSpec
from whyformer.decoding.constraints import ConstraintsSpec
from whyformer.decoding.search import SearchSpec
from whyformer.serve.asking import Asking
from whyformer.serve.languages import LanguagePair
from whyformer.serve.protocols.asking import noted_asking
from whyformer.serve.protocols.bodies import quoted
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
from whyformer.serve.protocols.libretranslate.texts import TextPart, put_together, take_apart
from whyformer.serve.refusals import RequestTooLargeError, UnauthorizedError, UnknownRunError
from whyformer.serve.service import HostedRun, Service
from whyformer.tasks.output import TextOutput
from whyformer.tasks.translation.translator import Translator

KeyCheck = Callable[[Request, str | None], None]
"""Raises ``UnauthorizedError`` unless a request, or the key among its fields, is to be let in."""
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
    router = APIRouter(tags=["LibreTranslate"], responses=ERRORS)

    targets = [*dict.fromkeys(target for known in served.listed().values() for target in known)]

    @router.post("/translate", response_model=TranslationAnswer, openapi_extra=request_body(limits, targets))
    async def translate(request: Request) -> Response:
        """Translate a text, or each text of a list."""
        asked = await read_request(request, limits)
        if check_key is not None:
            _check_key(check_key, request, asked.key)
        run = served.choose(asked.source, asked.target)
        asking = noted_asking(request)
        asking.texts = len(asked.texts)
        answer = await _answer(service, run, asked, asking)
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
        """Tell a page of this dialect what it begins with."""
        settings = _settings(served, limits, keys=check_key is not None)
        return JSONResponse(settings.model_dump(by_alias=True))

    return router


def _settings(served: ServedLanguages, limits: TranslationLimits, *, keys: bool) -> FrontendSettings:
    pairs = ((code, target) for code, targets in served.listed().items() for target in targets)
    source, target = next(pairs, (None, None))
    if source is None or target is None:
        raise UnknownRunError("no run here translates.")
    return FrontendSettings(
        char_limit=limits.characters,
        frontend_timeout=_QUIET,
        api_keys=keys,
        key_required=keys,
        language=LanguageChoice(
            source=NamedLanguage(code=source, name=served.name_of(source)),
            target=NamedLanguage(code=target, name=served.name_of(target)),
        ),
    )


class UnknownKeyError(UnauthorizedError):
    """A request without a key that is known here, as clients of LibreTranslate hear of it."""

    status = 403


def _check_key(check_key: KeyCheck, request: Request, key: str | None) -> None:
    try:
        check_key(request, key)
    except UnauthorizedError as refusal:
        raise UnknownKeyError(str(refusal), field="api_key") from None


async def _answer(
    service: Service, run: HostedRun, asked: TranslationRequest, asking: Asking
) -> TranslationAnswer:
    translator = run.runner
    assert isinstance(translator, Translator), "a run that translates"
    # Of ten requests too many, none shall be taken apart: that would keep the engine from its work.
    service.check_room(run, asking)
    normalized = translator.tokenizers.source.normalized

    def cut(line: str) -> list[str]:
        return split_line(normalized(line))

    parts = [take_apart(text, asked.form, cut) for text in asked.texts]
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


def _together(parts: Sequence[Sequence[TextPart]], found: Translations, count: int) -> list[list[str]]:
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
    most = translator.model.longest - 1  # EOS is the last
    tokenizer = translator.tokenizers.source
    doubtful = [
        each
        for each in sentences
        if most_tokens(each) > most or not (each.isascii() or tokenizer.has_normal_form)
    ]
    for sentence, fits in zip(doubtful, translator.fits(doubtful), strict=True):
        if not fits:
            raise RequestTooLargeError(
                f"the sentence {quoted(sentence)} has more tokens than the {most:,} "
                "that the model takes; split it.",
                field="q",
            )
