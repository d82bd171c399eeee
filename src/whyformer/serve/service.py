"""The service: what all protocols ask, whatever they speak."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from torch import Tensor

from whyformer.analysis.inspection import Inspection, inspect_translation
from whyformer.decoding.search import SearchSpec
from whyformer.serve.refusals import UnknownRunError
from whyformer.tasks.causal_lm.generator import Generator
from whyformer.tasks.output import TextOutput
from whyformer.tasks.task import Runner
from whyformer.tasks.translation.translator import Translator

Looked = TypeVar("Looked")


@dataclass
class Asking:
    """A request on its way: who asks, until when, and whether anybody still waits."""

    id: str
    """Id of the request, echoed to the client and written to logs."""
    deadline: float | None = None
    """Time (``time.monotonic()``) at which the answer is worth nothing any more."""
    gone: bool = False
    """Whether the client has left: work for it is dropped, and a running search of it is stopped."""
    began: float = field(default_factory=time.monotonic)
    """Time at which the request came."""


@dataclass(frozen=True)
class HostedRun:
    """A run that is served."""

    name: str
    """Name that clients ask for."""
    task: str
    """Name of its task, as in ``runs.registry``."""
    runner: Runner
    """Object that does the work."""
    weights: str
    """SHA-256 of its weights file, in hexadecimal digits."""
    created: int
    """Time at which the weights were written, in seconds since 1970."""


class Service:
    """Hosted runs, and a queue in front of each engine."""

    def __init__(self, runs: Sequence[HostedRun]) -> None:
        self._runs = {run.name: run for run in runs}

    @property
    def runs(self) -> Mapping[str, HostedRun]:
        """Runs by name, in the order they were named in."""
        return self._runs

    def find(self, name: str | None, task: str) -> HostedRun:
        """The run called ``name``, which must be of ``task``; the first of that task if None.

        Raises:
            UnknownRunError: there is none.
        """
        for run in self._runs.values():
            if run.task == task and name in (None, run.name):
                return run
        raise UnknownRunError(f"there is no run {name!r} for this here.", field="model")

    async def translate(
        self, run: HostedRun, texts: Sequence[str], settings: SearchSpec | None, asking: Asking
    ) -> list[list[TextOutput]]:
        """The translations of each text, best first."""
        assert isinstance(run.runner, Translator)
        return await asyncio.to_thread(run.runner.translate, texts, settings)

    async def generate(
        self, run: HostedRun, prompts: Sequence[str], settings: SearchSpec | None, asking: Asking
    ) -> list[list[TextOutput]]:
        """Continuations of each prompt, best first."""
        assert isinstance(run.runner, Generator)
        return await asyncio.to_thread(run.runner.generate, prompts, settings)

    async def stream(
        self, run: HostedRun, prompt: str, settings: SearchSpec | None, asking: Asking
    ) -> AsyncIterator[str]:
        """The pieces of the one continuation of ``prompt``, as they are written."""
        for output in await self.generate(run, [prompt], settings, asking):
            yield output[0].text

    async def embed(self, run: HostedRun, texts: Sequence[str], asking: Asking) -> Tensor:
        """Vectors (N,M) of N texts."""
        raise NotImplementedError

    async def explain(
        self, run: HostedRun, source: str, translation: str | None, asking: Asking
    ) -> Inspection:
        """The look inside at one sentence."""
        assert isinstance(run.runner, Translator)
        return await asyncio.to_thread(inspect_translation, run.runner, source, translation)

    async def look(self, run: HostedRun, work: Callable[[Translator], Looked], asking: Asking) -> Looked:
        """What ``work`` makes of the translator of ``run``, in its turn."""
        assert isinstance(run.runner, Translator)
        return await asyncio.to_thread(work, run.runner)
