"""The work behind a request for completions: texts are written, cut at stops, and counted."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from typing import NamedTuple

from whyformer.analysis.token_scores import text_scores, translation_scores
from whyformer.data.tokenizers.imported import opens_with_bos
from whyformer.data.tokenizers.tokenizer import Tokenizer
from whyformer.decoding.search import SearchSpec
from whyformer.serve.protocols.openai.completions.logprobs import (
    LogProbabilities,
    ScoredText,
    log_probabilities,
    whole_text,
)
from whyformer.serve.protocols.openai.completions.request import CompletionRequest, search_settings
from whyformer.serve.protocols.openai.completions.stops import StopCutter
from whyformer.serve.protocols.openai.runs import PromptInputs, as_texts, check_ids
from whyformer.serve.refusals import InvalidRequestError
from whyformer.serve.service import Asking, HostedRun, Service
from whyformer.tasks.causal_lm.generator import Generator, Prompt
from whyformer.tasks.output import Piece, TextOutput
from whyformer.tasks.translation.translator import Translator


class Written(NamedTuple):
    """A text that was written, or a part of it."""

    text: str
    """Text up to the first stop."""
    tokens: int
    """Number of tokens that were written, also those behind a stop."""
    ended: bool | None
    """Whether it came to an end by itself or at a stop, not at its longest; None if it goes on."""
    log_probabilities: LogProbabilities | None = None


@dataclass(frozen=True)
class Writing:
    """Work that one request asks for."""

    service: Service
    run: HostedRun
    request: CompletionRequest
    asking: Asking
    prompts: list[Prompt]
    """Beginnings of texts; of a run that translates, texts."""
    encoded: list[list[int]]
    """Their tokens."""
    seed: int

    @property
    def prompt_tokens(self) -> int:
        """Number of tokens of all prompts."""
        return sum(map(len, self.encoded))

    @property
    def goes_on(self) -> bool:
        """Whether texts go on from their prompts."""
        return isinstance(self.run.runner, Generator)

    @property
    def flows(self) -> bool:
        """Whether texts can be shown while they are written: none is decided only at its end."""
        request = self.request
        decided = request.logprobs is None and request.draws == request.choices and request.max_tokens != 0
        return self.goes_on and decided and self._settings(0).kind != "beam"

    async def whole(self) -> AsyncGenerator[Written]:
        """Every choice, those of the first prompt first."""
        flows = self.flows and bool(self.request.stops)
        if flows:
            for place in range(len(self.prompts)):
                for draw in range(self.request.choices):
                    parts = [part async for part in self.flow(place, draw)]
                    yield Written("".join(part.text for part in parts), parts[-1].tokens, parts[-1].ended)
            return
        for place, outputs in enumerate(await self._outputs()):
            for output in outputs:
                yield await self._choice(place, output)

    async def flow(self, place: int, draw: int) -> AsyncGenerator[Written]:
        """The parts of one choice while it is written, the last of which tells how it ended."""
        prompt, stops = self.prompts[place], StopCutter(self.request.stops)
        lead = _Lead(prompt)
        settings = self._settings(place * self.request.choices + draw)
        piece = Piece("", 0, False)
        async with aclosing(self.service.stream(self.run, prompt, settings, self.asking)) as pieces:
            async for piece in pieces:
                shown = stops.feed(lead.cut(piece.text))
                if shown:
                    yield Written(shown, piece.tokens, None)
                if stops.stopped:
                    break
        yield Written(stops.finish(), piece.tokens, stops.stopped or bool(piece.finished))

    def beginning(self, place: int) -> str:
        """The prompt as an echo shows it."""
        prompt = self.prompts[place]
        return prompt if isinstance(prompt, str) else tokenizer_of(self.run).decode(prompt)

    def _settings(self, draw: int) -> SearchSpec:
        assert isinstance(self.run.runner, Generator | Translator)
        # Draws of one request are as independent as those of several; the first has the seed that was given.
        seed = self.seed
        if draw:
            seed = int.from_bytes(blake2b(f"{seed} {draw}".encode(), digest_size=6).digest())
        return search_settings(self.request, self.run.runner.settings, seed, goes_on=self.goes_on)

    async def _outputs(self) -> list[list[TextOutput]]:
        """The choices for each prompt."""
        count = self.request.choices
        if self.request.max_tokens == 0:
            return [[TextOutput("", 0.0, (), [], finished=False)] * count for _ in self.prompts]
        settings = self._settings(0)
        if settings.kind != "sampling":
            found = await self._search(self.prompts, settings)
            # A greedy search finds one text, and would find it again.
            return [each if settings.kind == "beam" else each[:1] * count for each in found]
        drawn: list[list[TextOutput]] = []
        for place, prompt in enumerate(self.prompts):
            outputs: list[TextOutput] = []
            for draw in range(place * self.request.draws, (place + 1) * self.request.draws):
                outputs += (await self._search([prompt], self._settings(draw)))[0][:1]
            if self.request.draws > count:
                outputs.sort(key=_mean, reverse=True)
            drawn.append(outputs[:count])
        return drawn

    async def _search(self, prompts: list[Prompt], settings: SearchSpec) -> list[list[TextOutput]]:
        if self.goes_on:
            return await self.service.generate(self.run, prompts, settings, self.asking)
        texts = [prompt for prompt in prompts if isinstance(prompt, str)]
        return await self.service.translate(self.run, texts, settings, self.asking)

    async def _choice(self, place: int, output: TextOutput) -> Written:
        stops = StopCutter(self.request.stops)
        text = stops.feed(_Lead(self.prompts[place]).cut(output.text))
        text += stops.finish()
        told = None
        if self.request.logprobs is not None:
            work = partial(self._log_probabilities, place, output, text)
            told = await self.service.compute(self.run, work, self.asking)
        return Written(text, output.written, stops.stopped or output.finished, told)

    def _log_probabilities(self, place: int, output: TextOutput, text: str) -> LogProbabilities:
        """Log-probabilities of the tokens of ``text``, which ``output`` is up to its stop."""
        runner, top = self.run.runner, self.request.logprobs or 0
        prompt = self.encoded[place]
        if isinstance(runner, Generator):
            ids = whole_text(runner.tokenizer, prompt, output)
            first = 0 if self.request.echo else len(ids) - len(output.ids)
            scored = ScoredText(ids, first, text_scores(runner, ids, top))
            shown = self.beginning(place) + text if self.request.echo else text
            return log_probabilities(runner.tokenizer, scored, shown, likeliest=top > 0)
        assert isinstance(runner, Translator)
        scored = ScoredText(output.ids, 0, translation_scores(runner, prompt, output.ids, top))
        return log_probabilities(runner.tokenizers.target, scored, text, likeliest=top > 0)


class _Lead:
    """The space between a prompt and what follows, which is written once: where the prompt has it, there."""

    def __init__(self, prompt: Prompt) -> None:
        self._spaced = isinstance(prompt, str) and prompt.endswith(" ")

    def cut(self, text: str) -> str:
        if not text or not self._spaced:
            return text
        self._spaced = False
        return text.removeprefix(" ")


def tokenizer_of(run: HostedRun) -> Tokenizer:
    """The tokenizer by which a run that writes reads its prompts."""
    if isinstance(run.runner, Translator):
        return run.runner.tokenizers.source
    assert isinstance(run.runner, Generator)
    return run.runner.tokenizer


async def writing(
    service: Service,
    run: HostedRun,
    request: CompletionRequest,
    asking: Asking,
    inputs: PromptInputs,
    seed: int,
) -> Writing:
    """The work that ``request`` asks ``run`` for.

    Raises:
        InvalidRequestError: a prompt cannot be read, or is too long, or a token is none of the run's.
    """
    tokenizer = tokenizer_of(run)
    prompts: list[Prompt] = [*inputs]
    if isinstance(run.runner, Translator):
        prompts = [*as_texts(inputs, tokenizer, "prompt")]
    else:
        for place, each in enumerate(inputs):
            if not isinstance(each, str):
                check_ids(each, tokenizer, f"prompt[{place}]")
    encoded = await asyncio.to_thread(_encoded, tokenizer, prompts)
    most = _most(run)
    for place, ids in enumerate(encoded):
        if len(ids) > most:
            raise InvalidRequestError(
                f"prompt[{place}]: {len(ids):,} tokens are more than the {most:,} it reads; shorten it.",
                field="prompt",
            )
    for name in request.logit_bias or ():
        if int(name) >= tokenizer.size:
            raise InvalidRequestError(
                f"logit_bias: token {name} is outside this run's 0 to {tokenizer.size - 1:,}.",
                field="logit_bias",
            )
    return Writing(service, run, request, asking, prompts, encoded, seed)


def _encoded(tokenizer: Tokenizer, prompts: list[Prompt]) -> list[list[int]]:
    texts = iter(tokenizer.encode_all([each.rstrip(" ") for each in prompts if isinstance(each, str)]))
    return [next(texts) if isinstance(each, str) else [*each] for each in prompts]


def _most(run: HostedRun) -> int:
    """Maximum number of tokens of a prompt."""
    if isinstance(run.runner, Translator):
        return run.runner.model.longest - 1
    assert isinstance(run.runner, Generator)
    return run.runner.model.longest - opens_with_bos(run.runner.tokenizer)


def _mean(output: TextOutput) -> float:
    """Log-probability of a token on average."""
    return output.score / max(1, len(output.ids) + output.finished)
