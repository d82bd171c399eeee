"""A service behind its limits, which counts what it writes."""

from collections.abc import AsyncIterator, Mapping, Sequence

from torch import Tensor
from typing_extensions import override

from whyformer.analysis.inspection import Inspection
from whyformer.decoding.search import SearchSpec
from whyformer.serve.operation.limits import Limits
from whyformer.serve.operation.logs import log
from whyformer.serve.operation.metrics import ServiceMetrics
from whyformer.serve.service import Asking, HostedRun, Service
from whyformer.tasks.output import TextOutput


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
    async def translate(
        self, run: HostedRun, texts: Sequence[str], settings: SearchSpec | None, asking: Asking
    ) -> list[list[TextOutput]]:
        self._check(texts, settings)
        return self._count(run, texts, asking, await self._service.translate(run, texts, settings, asking))

    @override
    async def generate(
        self, run: HostedRun, prompts: Sequence[str], settings: SearchSpec | None, asking: Asking
    ) -> list[list[TextOutput]]:
        self._check(prompts, settings)
        return self._count(run, prompts, asking, await self._service.generate(run, prompts, settings, asking))

    @override
    async def stream(
        self, run: HostedRun, prompt: str, settings: SearchSpec | None, asking: Asking
    ) -> AsyncIterator[str]:
        self._check([prompt], settings)
        pieces = list[str]()
        async for piece in self._service.stream(run, prompt, settings, asking):
            pieces.append(piece)
            yield piece
        self._metrics.wrote(run.name, 1, len(pieces))
        self._log(run, [prompt], ["".join(pieces)], asking)

    @override
    async def embed(self, run: HostedRun, texts: Sequence[str], asking: Asking) -> Tensor:
        self._check(texts, None)
        found = await self._service.embed(run, texts, asking)
        self._metrics.wrote(run.name, len(texts), 0)
        self._log(run, texts, [], asking)
        return found

    @override
    async def explain(
        self, run: HostedRun, source: str, translation: str | None, asking: Asking
    ) -> Inspection:
        self._check([source, translation or ""], None)
        self._log(run, [source], [translation or ""], asking)
        return await self._service.explain(run, source, translation, asking)

    def _check(self, texts: Sequence[str], settings: SearchSpec | None) -> None:
        self._limits.check_texts(texts)
        self._limits.check_search(settings)

    def _count(
        self, run: HostedRun, texts: Sequence[str], asking: Asking, found: list[list[TextOutput]]
    ) -> list[list[TextOutput]]:
        tokens = sum(len(output.ids) for outputs in found for output in outputs)
        self._metrics.wrote(run.name, len(texts), tokens)
        self._log(run, texts, [output.text for outputs in found for output in outputs], asking)
        return found

    def _log(self, run: HostedRun, asked: Sequence[str], answered: Sequence[str], asking: Asking) -> None:
        if self._log_texts:
            log("texts", {"id": asking.id, "run": run.name, "asked": asked, "answered": answered})
