"""A service behind its limits, which counts what it writes."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import TypeVar

from torch import Tensor
from typing_extensions import override

from whyformer.analysis.inspection import Inspection
from whyformer.decoding.search import SearchSpec
from whyformer.serve.operation.limits import Limits
from whyformer.serve.operation.logs import log
from whyformer.serve.operation.metrics import ServiceMetrics
from whyformer.serve.service import Asking, HostedRun, Service
from whyformer.tasks.causal_lm.generator import Prompt
from whyformer.tasks.masked_lm.filler import Filled
from whyformer.tasks.output import Piece, TextOutput
from whyformer.tasks.translation.translator import Translator

ResultT = TypeVar("ResultT")


class GuardedService(Service):
    """The service as protocols see it: whatever they forget to limit is limited here."""

    def __init__(self, service: Service, limits: Limits, metrics: ServiceMetrics, log_texts: bool) -> None:
        super().__init__([])
        self._service = service
        self._limits = limits
        self._metrics = metrics
        self._log_texts = log_texts

    @property
    @override
    def runs(self) -> Mapping[str, HostedRun]:
        return self._service.runs

    @override
    def find(self, name: str | None, task: str) -> HostedRun:
        return self._service.find(name, task)

    @override
    def check_room(self, run: HostedRun, asking: Asking) -> None:
        self._service.check_room(run, asking)

    @override
    async def translate(
        self, run: HostedRun, texts: Sequence[str], settings: SearchSpec | None, asking: Asking
    ) -> list[list[TextOutput]]:
        self._check(texts, settings, asking)
        return self._count(run, texts, asking, await self._service.translate(run, texts, settings, asking))

    @override
    async def generate(
        self, run: HostedRun, prompts: Sequence[Prompt], settings: SearchSpec | None, asking: Asking
    ) -> list[list[TextOutput]]:
        self._check(prompts, settings, asking)
        return self._count(run, prompts, asking, await self._service.generate(run, prompts, settings, asking))

    @override
    async def stream(
        self, run: HostedRun, prompt: Prompt, settings: SearchSpec | None, asking: Asking
    ) -> AsyncGenerator[Piece]:
        self._check([prompt], settings, asking)
        pieces = list[Piece]()
        # Whoever stops listening stops the search.
        async with aclosing(self._service.stream(run, prompt, settings, asking)) as written:
            async for piece in written:
                pieces.append(piece)
                yield piece
        self._metrics.wrote(run.name, 1, pieces[-1].tokens if pieces else 0)
        self._log(run, [prompt], ["".join(piece.text for piece in pieces)], asking)

    @override
    async def embed(self, run: HostedRun, texts: Sequence[str], asking: Asking) -> Tensor:
        self._check(texts, None, asking)
        found = await self._service.embed(run, texts, asking)
        self._metrics.wrote(run.name, len(texts), 0)
        self._log(run, texts, [], asking)
        return found

    @override
    async def explain(
        self, run: HostedRun, source: str, translation: str | None, asking: Asking
    ) -> Inspection:
        self._check([source, translation or ""], None, asking)
        self._log(run, [source], [translation or ""], asking)
        return await self._service.explain(run, source, translation, asking)

    @override
    async def fill(self, run: HostedRun, texts: Sequence[str], top: int, asking: Asking) -> list[Filled]:
        self._check(texts, None, asking)
        found = await self._service.fill(run, texts, top, asking)
        self._metrics.wrote(run.name, len(texts), sum(len(filled.holes) for filled in found))
        self._log(run, texts, [filled.text for filled in found], asking)
        return found

    @override
    async def look(self, run: HostedRun, work: Callable[[Translator], ResultT], asking: Asking) -> ResultT:
        return await self._service.look(run, work, asking)

    @override
    async def compute(self, run: HostedRun, work: Callable[[], ResultT], asking: Asking) -> ResultT:
        return await self._service.compute(run, work, asking)

    def _check(self, texts: Sequence[Prompt], settings: SearchSpec | None, asking: Asking) -> None:
        # Tokens are numbers: the model's own length bounds them.
        self._limits.check_texts([text for text in texts if isinstance(text, str)], asking.texts)
        self._limits.check_search(settings)

    def _count(
        self, run: HostedRun, texts: Sequence[Prompt], asking: Asking, found: list[list[TextOutput]]
    ) -> list[list[TextOutput]]:
        tokens = sum(len(output.ids) for outputs in found for output in outputs)
        self._metrics.wrote(run.name, len(texts), tokens)
        self._log(run, texts, [output.text for outputs in found for output in outputs], asking)
        return found

    def _log(self, run: HostedRun, asked: Sequence[Prompt], answered: Sequence[str], asking: Asking) -> None:
        if self._log_texts:
            log("texts", {"id": asking.id, "run": run.name, "asked": asked, "answered": answered})
