"""The service: what all protocols ask, whatever they speak."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from whyformer.analysis.inspection import Inspection, inspect_translation
from whyformer.decoding.search import SearchSpec
from whyformer.errors import CheckpointError, WhyformerError
from whyformer.serve.asking import NOBODY, Asking, Entering
from whyformer.serve.batching.figures import Observer, QueueFigures
from whyformer.serve.batching.lane import Lane
from whyformer.serve.batching.operation import AnswerT, ItemT, Operation
from whyformer.serve.batching.queue import QueueLimits
from whyformer.serve.operations import (
    Computing,
    EmbeddingTexts,
    Filling,
    FollowedGenerating,
    Generating,
    Translating,
)
from whyformer.serve.refusals import DrainingError, RefusalError, UnknownRunError
from whyformer.serve.text_facts import TextFacts
from whyformer.tasks.causal_lm.generator import Generator, Prompt
from whyformer.tasks.embedding.embedder import Embedder
from whyformer.tasks.masked_lm.filler import Filled, Filler
from whyformer.tasks.output import Piece, TextOutput
from whyformer.tasks.task import Runner
from whyformer.tasks.translation.translator import Translator

ResultT = TypeVar("ResultT")

_DRAINED_SECONDS = 2
"""Seconds after which a client of a service that ends may find the next."""
_STREAMS = 8
"""Texts of one run that are written piece by piece at a time; each has a thread."""
_OTHER_TOKENS = 256
"""Tokens that work of another kind is taken for."""


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
    embedder: Embedder | None = None
    """Object that makes vectors of texts by the same weights; None for a run that makes none."""
    reopen: "Callable[[], HostedRun] | None" = None
    """Loads it anew, as its folder is then; None for one without a folder."""
    texts: TextFacts = field(default_factory=TextFacts)
    """Languages and examples, where its recipe tells them."""


class _Lanes(NamedTuple):
    """The queues of a run."""

    calls: Lane
    streams: Lane


class Service:
    """Hosted runs, and a queue in front of each engine. It belongs to one event loop.

    A request is answered by the run that it was asked of, as that was then, whoever else is served: a run
    that is loaded anew answers those that find it from then on.
    """

    def __init__(
        self, runs: Sequence[HostedRun], limits: QueueLimits | None = None, *, workers: int | None = None
    ) -> None:
        """Serve ``runs``, each by so many ``workers`` side by side, which share torch's threads.

        If left out there is one for each thread: small products gain little from a second one.
        """
        self._runs = {run.name: run for run in runs}
        self._limits = QueueLimits() if limits is None else limits
        self._threads = torch.get_num_threads()
        self._workers = self._threads if workers is None else workers
        self._lanes: dict[str, _Lanes] = {}
        self._observers: list[Observer] = []
        self._draining = False
        self._asked = 0
        self._idle = asyncio.Event()

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

    def check_room(self, run: HostedRun, asking: Asking) -> None:
        """Refuse a request to ``run`` that would be refused however small it is, before its work begins.

        Raises:
            OverloadedError: there is no room, or nothing could be done in time.
            DeadlinePassedError: its time is over.
        """
        self._lane(run).calls.check_room(asking)

    def refusal(self, asking: Asking, entering: Entering = NOBODY) -> RefusalError | None:
        """Refusal that a request gets now whichever run it asks; None where one of them may have room.

        Others are ``entering``, let in, but in no queue yet.
        """
        refusal = None
        for name, run in self._runs.items():
            lanes = self._lanes.get(name)
            if lanes is None:
                return None
            # Translations are not written piece by piece.
            for lane in lanes[:1] if isinstance(run.runner, Translator) else lanes:
                if (refusal := lane.refusal(asking, entering)) is None:
                    return None
        return refusal

    async def translate(
        self, run: HostedRun, texts: Sequence[str], settings: SearchSpec | None, asking: Asking
    ) -> list[list[TextOutput]]:
        """The translations of each text, best first."""
        assert isinstance(run.runner, Translator)
        operation = Translating(run.runner, run.runner.settings if settings is None else settings)
        return await self._ask(self._lane(run).calls, operation, texts, asking)

    async def generate(
        self, run: HostedRun, prompts: Sequence[Prompt], settings: SearchSpec | None, asking: Asking
    ) -> list[list[TextOutput]]:
        """Continuations of each prompt, best first."""
        assert isinstance(run.runner, Generator)
        operation = Generating(run.runner, run.runner.settings if settings is None else settings)
        return await self._ask(self._lane(run).calls, operation, prompts, asking)

    async def stream(
        self, run: HostedRun, prompt: Prompt, settings: SearchSpec | None, asking: Asking
    ) -> AsyncGenerator[Piece]:
        """The pieces of the one continuation of ``prompt``, as written; closing it ends the work."""
        assert isinstance(run.runner, Generator)
        loop, pieces = asyncio.get_running_loop(), asyncio.Queue[Piece | None]()

        def show(piece: Piece) -> None:
            _ = loop.call_soon_threadsafe(pieces.put_nowait, piece)

        operation = FollowedGenerating(
            run.runner, run.runner.settings if settings is None else settings, show
        )
        work = asyncio.ensure_future(self._ask(self._lane(run).streams, operation, [prompt], asking))
        work.add_done_callback(lambda _: pieces.put_nowait(None))
        try:
            while (piece := await pieces.get()) is not None:
                yield piece
                # Others have their turn even if the next piece is there already.
                await asyncio.sleep(0)
            await work
        finally:
            _ = work.cancel()
            _ = await asyncio.gather(work, return_exceptions=True)

    async def embed(self, run: HostedRun, texts: Sequence[str], asking: Asking) -> Tensor:
        """Vectors (N,M) of N texts.

        Raises:
            UnknownRunError: the run makes none.
        """
        if run.embedder is None:
            raise UnknownRunError(f"run {run.name!r} makes no vectors of texts.", field="model")
        vectors = await self._ask(self._lane(run).calls, EmbeddingTexts(run.embedder), texts, asking)
        return torch.stack(vectors) if vectors else torch.empty(0, run.embedder.width)

    async def fill(self, run: HostedRun, texts: Sequence[str], top: int, asking: Asking) -> list[Filled]:
        """Each text with its holes filled, and ``top`` guesses for each hole."""
        assert isinstance(run.runner, Filler)
        return await self._ask(self._lane(run).calls, Filling(run.runner, top), texts, asking)

    async def explain(
        self, run: HostedRun, source: str, translation: str | None, asking: Asking
    ) -> Inspection:
        """The look inside at one sentence."""
        assert isinstance(run.runner, Translator)
        return await self.compute(run, partial(inspect_translation, run.runner, source, translation), asking)

    async def look(self, run: HostedRun, work: Callable[[Translator], ResultT], asking: Asking) -> ResultT:
        """Result of ``work`` on the translator of ``run``, in its turn."""
        assert isinstance(run.runner, Translator)
        return await self.compute(run, partial(work, run.runner), asking)

    async def compute(self, run: HostedRun, work: Callable[[], ResultT], asking: Asking) -> ResultT:
        """The result of ``work`` of some other kind on the engine of ``run``, off the event loop."""
        operation = Computing[ResultT](_OTHER_TOKENS)
        (result,) = await self._ask(self._lane(run).calls, operation, [work], asking)
        return result

    async def reload(self, name: str | None = None) -> None:
        """Load the run called ``name`` anew, or all of them, each beside the old one, which serves meanwhile.

        Raises:
            CheckpointError: some cannot be loaded, and are served as before.
        """
        faults = list[str]()
        for run in [*self._runs.values()]:
            if run.reopen is None or name not in (None, run.name):
                continue
            try:
                self._runs[run.name] = await asyncio.to_thread(run.reopen)
            except WhyformerError as error:
                faults.append(str(error))
        if faults:
            raise CheckpointError("; ".join(faults))

    async def drain(self) -> None:
        """Take nothing new, and wait until everything else is answered."""
        self._draining = True
        if self._asked:
            _ = await self._idle.wait()

    def observe(self, observer: Observer) -> None:
        """Tell ``observer`` what queues do from now on."""
        self._observers.append(observer)

    def depths(self) -> dict[str, int]:
        """Numbers of texts that wait, by the name of their run, also of one that nobody has asked yet."""
        waiting = {
            name: sum(figures.waiting_items for figures in each.values())
            for name, each in self.figures().items()
        }
        return dict.fromkeys(self._runs, 0) | waiting

    def figures(self) -> dict[str, dict[str, QueueFigures]]:
        """The figures of each run's queues by their names, ``calls`` and ``streams``, by the run's name."""
        return {
            name: {kind: lane.figures for kind, lane in lanes._asdict().items()}
            for name, lanes in self._lanes.items()
        }

    def _lane(self, run: HostedRun) -> _Lanes:
        if run.name not in self._lanes:
            on_cpu = next(run.runner.model.parameters()).device.type == "cpu"
            workers = self._workers if on_cpu else 1
            threads = max(1, self._threads // workers)
            self._lanes[run.name] = _Lanes(
                Lane(run.name, self._limits, workers, threads, self._observers),
                Lane(run.name, self._limits, _STREAMS, 1, self._observers),
            )
        return self._lanes[run.name]

    async def _ask(
        self,
        lane: Lane,
        operation: Operation[ItemT, Any, AnswerT],
        items: Sequence[ItemT],
        asking: Asking,
    ) -> list[AnswerT]:
        if self._draining:
            raise DrainingError("the service is ending and takes nothing new.", retry_after=_DRAINED_SECONDS)
        self._asked += 1
        self._idle.clear()
        try:
            return await lane.ask(operation, items, asking)
        finally:
            self._asked -= 1
            if not self._asked:
                self._idle.set()
