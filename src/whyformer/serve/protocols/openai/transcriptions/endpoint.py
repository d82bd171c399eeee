"""Transcriptions: sound files as text, with times, as subtitles, or word by word as they are heard."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from math import ceil
from typing import Annotated, Literal

from fastapi import File, Form, Request, Response, UploadFile
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel
from starlette.datastructures import FormData

from whyformer.serve.protocols.asking import noted_asking
from whyformer.serve.protocols.openai.events import event_stream, while_asked
from whyformer.serve.protocols.openai.runs import find_run
from whyformer.serve.protocols.openai.transcriptions.subtitles import subrip, web_subtitles
from whyformer.serve.refusals import InvalidRequestError, RequestTooLargeError
from whyformer.serve.service import Service
from whyformer.serve.transcription import SoundReport, transcribe

_TASKS = ("speech",)
_FIELDS = (
    *("file", "model", "response_format", "timestamp_granularities[]", "stream"),
    *("temperature", "language", "prompt"),
)
_LARGEST = 25 * 2**20
"""Maximum number of bytes of a file, as with OpenAI."""

AnswerForm = Literal["json", "text", "verbose_json", "srt", "vtt"]
Granularity = Literal["word", "segment"]


class SoundUsage(BaseModel):
    """Length of the sound."""

    type: Literal["duration"] = "duration"
    seconds: int


class Transcription(BaseModel):
    """The answer."""

    text: str
    usage: SoundUsage
    notes: list[str]
    """Sentences on the file, if it was truncated."""


class SpokenWord(BaseModel):
    """A word, and where it stands, in seconds."""

    word: str
    start: float
    end: float


class SpokenSegment(BaseModel):
    """Words up to a pause."""

    id: int
    start: float
    end: float
    text: str
    temperature: float = 0.0


class VerboseTranscription(Transcription):
    """The answer with times."""

    task: Literal["transcribe"] = "transcribe"
    language: str
    """Language as the client named it: a run knows but one, and not its name."""
    duration: float
    words: list[SpokenWord] | None = None
    segments: list[SpokenSegment] | None = None


class TranscriptDelta(BaseModel):
    """Words that are certain now."""

    type: Literal["transcript.text.delta"] = "transcript.text.delta"
    delta: str


class TranscriptDone(BaseModel):
    """All words."""

    type: Literal["transcript.text.done"] = "transcript.text.done"
    text: str
    usage: SoundUsage
    notes: list[str]


class Transcriptions:
    """Answers requests for transcriptions."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def create(
        self,
        request: Request,
        file: Annotated[UploadFile, File()],
        model: Annotated[str, Form(min_length=1)],
        timestamp_granularities: Annotated[
            list[Granularity], Form(alias="timestamp_granularities[]", default_factory=list)
        ],
        response_format: Annotated[AnswerForm, Form()] = "json",
        stream: Annotated[bool, Form()] = False,
        temperature: Annotated[float, Form(ge=0, le=0)] = 0.0,
        language: Annotated[str, Form()] = "",
        prompt: Annotated[str, Form(max_length=0)] = "",
    ) -> Response:
        """Transcribe a sound file; the language is that of the run, whatever is named."""
        run = find_run(self._service, model, _TASKS, "hears")
        _refuse_others(await request.form())
        if timestamp_granularities and response_format != "verbose_json":
            raise InvalidRequestError(
                "timestamp_granularities[]: times are in verbose_json only.",
                field="timestamp_granularities[]",
            )
        if stream and response_format != "json":
            raise InvalidRequestError(
                "response_format: a stream is of JSON; leave it out.", field="response_format"
            )
        sound = await file.read(_LARGEST + 1)
        if len(sound) > _LARGEST:
            raise RequestTooLargeError("file: it has more than 25 MiB; cut it.", field="file")
        asking, report = noted_asking(request), SoundReport()
        words = transcribe(self._service, run, sound, asking, report)
        if stream:
            return await event_stream(request, _events(words, report), asking)
        await while_asked(request, _all(words), asking)
        return _answer(report, response_format, timestamp_granularities or ["segment"], language)


def _refuse_others(form: FormData) -> None:
    for name in form:
        if name not in _FIELDS:
            raise InvalidRequestError(
                f"{name[:80]}: there is no such field here; leave it out.", field=name[:80]
            )


async def _all(words: AsyncGenerator[str]) -> None:
    async with aclosing(words):
        async for _ in words:
            pass


async def _events(
    words: AsyncGenerator[str], report: SoundReport
) -> AsyncGenerator[TranscriptDelta | TranscriptDone]:
    between = ""
    async with aclosing(words):
        async for word in words:
            yield TranscriptDelta(delta=between + word)
            between = " "
    yield TranscriptDone(text=report.text, usage=_usage(report), notes=report.notes)


def _answer(report: SoundReport, form: AnswerForm, parts: list[Granularity], language: str) -> Response:
    match form:
        case "json":
            answer = Transcription(text=report.text, usage=_usage(report), notes=report.notes)
            return JSONResponse(answer.model_dump())
        case "verbose_json":
            return JSONResponse(_verbose(report, parts, language).model_dump(exclude_none=True))
        case "text":
            return PlainTextResponse(f"{report.text}\n")
        case "srt":
            return PlainTextResponse(subrip(report.segments))
        case "vtt":
            return PlainTextResponse(web_subtitles(report.segments, report.notes), media_type="text/vtt")


def _verbose(report: SoundReport, parts: list[Granularity], language: str) -> VerboseTranscription:
    spoken = [each for each in report.segments if each.words]
    words = [word for each in spoken for word in each.words]
    return VerboseTranscription(
        text=report.text,
        usage=_usage(report),
        notes=report.notes,
        language=language,
        duration=report.seconds,
        words=[SpokenWord(word=each.text, start=each.start, end=each.end) for each in words]
        if "word" in parts
        else None,
        segments=[
            SpokenSegment(id=id, start=each.words[0].start, end=each.words[-1].end, text=each.text)
            for id, each in enumerate(spoken)
        ]
        if "segment" in parts
        else None,
    )


def _usage(report: SoundReport) -> SoundUsage:
    return SoundUsage(seconds=ceil(report.seconds))
