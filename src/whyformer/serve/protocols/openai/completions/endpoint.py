"""Completions: texts that go on from prompts, or translations of them; whole, or as they are written."""

import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Literal

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from whyformer.serve.protocols.asking import noted_asking
from whyformer.serve.protocols.openai.completions.logprobs import LogProbabilities
from whyformer.serve.protocols.openai.completions.request import CompletionRequest
from whyformer.serve.protocols.openai.completions.writing import Writing, Written, writing
from whyformer.serve.protocols.openai.events import event_stream, while_asked
from whyformer.serve.protocols.openai.runs import find_run, several
from whyformer.serve.refusals import InvalidRequestError
from whyformer.serve.service import Service

_TASKS = ("causal_lm", "translation")


class Choice(BaseModel):
    """A text, or in a stream a part of one."""

    index: int
    text: str
    logprobs: LogProbabilities | None
    finish_reason: Literal["stop", "length"] | None


class CompletionUsage(BaseModel):
    """Numbers of tokens."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Completion(BaseModel):
    """The answer, or in a stream a part of it."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[Choice]
    usage: CompletionUsage | None = None


class Completions:
    """Answers requests for completions."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def create(self, request: Request, body: CompletionRequest) -> Response:
        """Write on from a prompt, or translate it."""
        run = find_run(self._service, body.model, _TASKS, "goes on from a prompt or translates it")
        inputs = several(body.prompt, "prompt")
        body.check(len(inputs))
        if body.echo and run.task == "translation":
            raise InvalidRequestError(
                "echo: a translation does not go on from its prompt; leave it out.", field="echo"
            )
        asking = noted_asking(request)
        seed = secrets.randbits(32) if body.seed is None else body.seed
        job = await writing(self._service, run, body, asking, inputs, seed)
        if body.stream:
            return await event_stream(request, _events(job), asking)
        return JSONResponse((await while_asked(request, _completion(job), asking)).model_dump())


async def _completion(job: Writing) -> Completion:
    """The answer, whole."""
    choices: list[Choice] = []
    tokens = 0
    async with aclosing(job.whole()) as found:
        async for written in found:
            choices.append(_choice(job, len(choices), written, _echo(job, len(choices))))
            tokens += written.tokens
    answer = _answer(job, int(time.time()), choices)
    answer.usage = _usage(job, tokens)
    return answer


async def _events(job: Writing) -> AsyncGenerator[Completion]:
    """The parts of the answer."""
    created, tokens, count = int(time.time()), 0, 0
    parts = _flowing(job) if job.flows else _settled(job)
    async with aclosing(parts) as found:
        async for index, written, first in found:
            yield _answer(job, created, [_choice(job, index, written, _echo(job, index) if first else "")])
            if written.ended is not None:
                tokens, count = tokens + written.tokens, count + 1
    if job.request.stream_options is not None and job.request.stream_options.include_usage:
        last = _answer(job, created, [])
        last.usage = _usage(job, tokens)
        yield last


async def _flowing(job: Writing) -> AsyncGenerator[tuple[int, Written, bool]]:
    """The parts of each choice as they are written, with its index and whether it begins."""
    for place in range(len(job.prompts)):
        for draw in range(job.request.choices):
            first = True
            async with aclosing(job.flow(place, draw)) as parts:
                async for part in parts:
                    yield place * job.request.choices + draw, part, first
                    first = False


async def _settled(job: Writing) -> AsyncGenerator[tuple[int, Written, bool]]:
    """The choices, each in one part."""
    index = 0
    async with aclosing(job.whole()) as found:
        async for written in found:
            yield index, written, True
            index += 1


def _echo(job: Writing, index: int) -> str:
    return job.beginning(index // job.request.choices) if job.request.echo else ""


def _choice(job: Writing, index: int, written: Written, beginning: str) -> Choice:
    match written.ended:
        case None:
            reason = None
        case True:
            reason = "stop"
        case False:
            reason = "length"
    return Choice(
        index=index,
        text=beginning + written.text,
        logprobs=written.log_probabilities,
        finish_reason=reason,
    )


def _answer(job: Writing, created: int, choices: list[Choice]) -> Completion:
    return Completion(id=f"cmpl-{job.asking.id}", created=created, model=job.run.name, choices=choices)


def _usage(job: Writing, tokens: int) -> CompletionUsage:
    return CompletionUsage(
        prompt_tokens=job.prompt_tokens,
        completion_tokens=tokens,
        total_tokens=job.prompt_tokens + tokens,
    )
