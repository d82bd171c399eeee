"""Operations of the service: what each kind of run does for several requests at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from torch import Tensor
from typing_extensions import override

from whyformer.decoding.search import SearchSpec
from whyformer.decoding.stopping import Wanted
from whyformer.serve.batching.operation import Operation
from whyformer.tasks.causal_lm.generator import BegunText, Generator, Prompt
from whyformer.tasks.embedding.embedder import Embedder
from whyformer.tasks.masked_lm.filler import Filled, Filler
from whyformer.tasks.output import Piece, TextOutput
from whyformer.tasks.translation.translator import SourceSentence, Translator

ResultT = TypeVar("ResultT")


def hypotheses(settings: SearchSpec) -> int:
    """Hypotheses of a sentence that a search follows side by side."""
    strategy = settings.build()
    return strategy.width * strategy.samples


@dataclass(frozen=True)
class Translating(Operation[str, SourceSentence, list[TextOutput]]):
    """Translation by one translator with one way to search."""

    translator: Translator
    settings: SearchSpec

    @override
    def costs(self, items: Sequence[str]) -> list[int]:
        rows = hypotheses(self.settings)
        return [(len(item) + 1) * rows for item in items]

    @override
    def prepare(self, items: Sequence[str], first: int) -> list[SourceSentence]:
        return self.translator.encode(items, first=first)

    @override
    def run(self, ready: Sequence[SourceSentence], wanted: Wanted) -> list[list[TextOutput]]:
        return self.translator.translate(ready, self.settings, batch=len(ready), wanted=wanted)


@dataclass(frozen=True)
class Generating(Operation[Prompt, BegunText, list[TextOutput]]):
    """Continuations by one generator with one way to search."""

    generator: Generator
    settings: SearchSpec

    @override
    def costs(self, items: Sequence[Prompt]) -> list[int]:
        settings, rows = self.settings, hypotheses(self.settings)
        lengths, most = [len(item) + 1 for item in items], self.generator.model.longest
        return [
            (length + min(int(settings.longest_factor * length) + settings.longest_extra, most)) * rows
            for length in lengths
        ]

    @override
    def prepare(self, items: Sequence[Prompt], first: int) -> list[BegunText]:
        return self.generator.begin(items, self.settings, first=first)

    @override
    def run(self, ready: Sequence[BegunText], wanted: Wanted) -> list[list[TextOutput]]:
        return self.generator.search(ready, self.settings, batch=len(ready), wanted=wanted)


@dataclass(frozen=True, eq=False)
class FollowedGenerating(Operation[Prompt, Prompt, None]):
    """One continuation whose pieces are shown as they are written; a call of its own."""

    generator: Generator
    settings: SearchSpec
    show: Callable[[Piece], None]

    @override
    def costs(self, items: Sequence[Prompt]) -> list[int]:
        return Generating(self.generator, self.settings).costs(items)

    @override
    def prepare(self, items: Sequence[Prompt], first: int) -> Sequence[Prompt]:
        return items

    @override
    def run(self, ready: Sequence[Prompt], wanted: Wanted) -> list[None]:
        (prompt,) = ready
        self.generator.follow(prompt, self.show, self.settings, wanted=wanted)
        return [None]


@dataclass(frozen=True)
class EmbeddingTexts(Operation[str, str, Tensor]):
    """Vectors by one embedder."""

    embedder: Embedder

    @override
    def costs(self, items: Sequence[str]) -> list[int]:
        return [len(item) + 1 for item in items]

    @override
    def prepare(self, items: Sequence[str], first: int) -> Sequence[str]:
        self.embedder.check(items, first=first)
        return items

    @override
    def run(self, ready: Sequence[str], wanted: Wanted) -> list[Tensor]:
        return [*self.embedder.embed(ready, batch=len(ready))]


@dataclass(frozen=True)
class Filling(Operation[str, str, Filled]):
    """Guesses for holes by one filler, so many for each hole."""

    filler: Filler
    top: int

    @override
    def costs(self, items: Sequence[str]) -> list[int]:
        return [len(item) + 1 for item in items]

    @override
    def prepare(self, items: Sequence[str], first: int) -> Sequence[str]:
        self.filler.check(items, first=first)
        return items

    @override
    def run(self, ready: Sequence[str], wanted: Wanted) -> list[Filled]:
        return self.filler.fill(ready, self.top, batch=len(ready))


@dataclass(frozen=True, eq=False)
class Computing(Operation[Callable[[], ResultT], Callable[[], ResultT], ResultT], Generic[ResultT]):
    """Work of any other kind, one call each, which costs as much as so many ``tokens``."""

    tokens: int

    @override
    def costs(self, items: Sequence[Callable[[], ResultT]]) -> list[int]:
        return [self.tokens for _ in items]

    @override
    def prepare(self, items: Sequence[Callable[[], ResultT]], first: int) -> Sequence[Callable[[], ResultT]]:
        return items

    @override
    def run(self, ready: Sequence[Callable[[], ResultT]], wanted: Wanted) -> list[ResultT]:
        return [work() for work in ready]
