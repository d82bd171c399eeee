"""Questions, and how an experiment answers one.

What a *seed* shows is a number for every figure, arm and place, all arms side by side. A *claim* reads one
number off it. Over the seeds these numbers have an interval, which is held against bounds that were written
down before the run; from the claims follows the verdict.
"""

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from statistics import fmean
from types import FunctionType
from typing import Literal, NamedTuple, Self

from pydantic import JsonValue
from typing_extensions import override

from whyformer.plots.chart import Language
from whyformer.spec import Spec
from whyformer.why.interval import Interval, over_seeds

Outcome = Literal["holds", "fails", "open"]
Verdict = Literal["supported", "refuted", "undecided"]


class Text(NamedTuple):
    """The same in both languages; also the name of an arm, or of a place on an axis.

    Its English tells it from others, so that numbers on disk keep their names when the Chinese is mended.
    """

    en: str
    zh: str

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Text) and self.en == other.en

    @override
    def __ne__(self, other: object) -> bool:
        return not self == other

    @override
    def __hash__(self) -> int:
        return hash(self.en)

    def say(self, lang: Language) -> str:
        """The text in ``lang``."""
        return self.en if lang == "en" else self.zh


class Level(NamedTuple):
    """A number that the eye should find, such as a threshold or what chance gives."""

    at: float
    name: Text


@dataclass(frozen=True)
class Figure:
    """A quantity that arms are compared by: a table and, with a mark, a panel of the picture."""

    title: Text
    across: Text
    """Meaning of the places on the axis."""
    unit: Text
    """Unit of the numbers."""
    mark: Literal["line", "bar", "heat"] | None = None
    """Lines over places that are numbers; bars and cells over any. The first figure with a mark decides."""
    log: Literal["x", "y", "xy"] | None = None
    """Logarithmic axes."""
    reference: Text | None = None
    """An arm that was computed, not measured; drawn dashed."""
    levels: tuple[Level, ...] = ()
    """Drawn as dotted lines with their names, across the axis of the numbers."""


Place = float | Text
"""Place of a number on a figure's axis."""


class Measurements(dict[tuple[Figure, Text, Place], float]):
    """Numbers of one seed, by figure, arm and place; NaN where an arm refuses, or nothing can be said."""

    def line(self, figure: Figure, arm: Text) -> dict[float, float]:
        """The numbers of one arm along an axis of numbers."""
        return {
            at: value
            for (of, who, at), value in self.items()
            if of == figure and who == arm and not isinstance(at, Text)
        }


class Bounds(NamedTuple):
    """Numbers from ``low`` to ``high``."""

    low: float = -math.inf
    high: float = math.inf

    def hold(self, value: Interval) -> bool:
        """Whether the whole interval lies within."""
        return self.low <= value.low and value.high <= self.high

    def miss(self, value: Interval) -> bool:
        """Whether the whole interval lies outside."""
        return value.high < self.low or self.high < value.low

    def __str__(self) -> str:
        """As in a table."""
        if math.isinf(self.low):
            return f"≤ {self.high:g}"
        return f"≥ {self.low:g}" if math.isinf(self.high) else f"{self.low:g} … {self.high:g}"


@dataclass(frozen=True)
class Claim:
    """A number and the bounds it must keep for the answer to stand."""

    key: str
    """Name within its question, by which the prose refers to it."""
    text: Text
    value: Callable[[Measurements], float]
    """Reads the number off what one seed showed, in which the arms are paired."""
    expected: Bounds
    tolerated: Bounds | None = None
    """Beyond these the answer is refuted; None for a claim without which it is only not supported."""
    control: bool = False
    """Whether this says that the effect vanishes where it must; if it does not, nothing else counts."""

    def judge(self, measured: Sequence[Measurements]) -> "Judgement":
        """Hold the claim against what the seeds showed; NaN leaves it open."""
        values = [self.value(each) for each in measured]
        interval = over_seeds(values)
        outcome: Outcome = "open"
        if self.expected.hold(interval):
            outcome = "holds"
        elif self.expected.miss(interval):
            outcome = "fails"
        refutes = self.tolerated is not None and self.tolerated.miss(interval)
        return Judgement(self, values, interval, outcome, refutes)


class Judgement(NamedTuple):
    """A claim, held against the numbers of the seeds."""

    claim: Claim
    values: list[float]
    """By seed."""
    interval: Interval
    outcome: Outcome
    refutes: bool


def verdict(judgements: Sequence[Judgement]) -> Verdict:
    """Refuted by one claim, supported by all; undecided otherwise, and where a control does not hold."""
    sound = all(judged.outcome == "holds" for judged in judgements if judged.claim.control)
    if any(judged.refutes and (sound or judged.claim.control) for judged in judgements):
        return "refuted"
    return "supported" if all(judged.outcome == "holds" for judged in judgements) else "undecided"


def _function_name(value: object) -> JsonValue:
    """The name of a function or class, with the arguments that are bound to it."""
    match value:
        case partial(func=function, args=arguments, keywords=keywords):
            bound = [*map(repr, arguments), *(f"{name}={each!r}" for name, each in keywords.items())]
            return f"{_function_name(function)}({', '.join(bound)})"
        case FunctionType() | type():
            return f"{value.__module__}.{value.__qualname__}"
        case _:
            raise TypeError(f"a setting cannot be written as JSON: {value!r}")


class Effort(Spec, ABC):
    """Settings of work that may be more or less, such as the steps of a training."""

    @abstractmethod
    def with_budget(self, budget: float) -> Self:
        """The same with ``budget`` times as much work."""


class Experiment(Spec, ABC):
    """Experiment whose fields are its settings; a test shrinks them, or breaks the part in question."""

    @abstractmethod
    def measure(self, seed: int) -> Measurements:
        """Put all arms to the test once, from one seed; called by ``run``."""

    def run(self, seed: int) -> Measurements:
        """Numbers of one seed, measured under equal conditions."""
        # A list of questions needs no torch.
        from whyformer.why.conditions import equal_conditions

        with equal_conditions():
            return self.measure(seed)

    def settings(self) -> dict[str, JsonValue]:
        """The fields as JSON; a function by its name, as the code's fingerprint says the rest of it."""
        return self.model_dump(mode="json", fallback=_function_name)

    def with_budget(self, budget: float) -> Self:
        """The same with ``budget`` times as much of every ``Effort`` among the fields."""
        efforts = {name: getattr(self, name) for name in type(self).model_fields}
        return self.model_copy(
            update={
                name: each.with_budget(budget) for name, each in efforts.items() if isinstance(each, Effort)
            }
        )


Rank = Literal["junior", "middle", "senior"]
Group = Literal["attention", "positions", "blocks", "training", "families"]


class Topic(NamedTuple):
    """Place of a question in the book."""

    rank: Rank
    """How far a learner should be."""
    group: Group
    related: tuple[int, ...] = ()
    """Numbers of questions that one would ask next."""
    words: str = ""
    """Further words that a search should find it by, in both languages."""


@dataclass(frozen=True)
class Question:
    """A question and its test; ``book.prose`` has the answer that is put to the test."""

    number: int
    title: Text
    topic: Topic
    claims: tuple[Claim, ...]
    figures: tuple[Figure, ...]
    """In the order in which they are shown."""
    experiment: Experiment
    numbers: Mapping[str, Callable[[Measurements], float]] = field(default_factory=dict)
    """Further numbers that the prose names, besides those of the claims."""
    seeds: range = range(1, 6)
    """Seeds of the published answer; an experiment that was bettered after a look takes others."""

    def wanted(self, count: int | None = None) -> range:
        """The first ``count`` seeds; those of the published answer if left out."""
        return self.seeds if count is None else range(self.seeds.start, self.seeds.start + count)

    @property
    def stem(self) -> str:
        """The name of its files."""
        return f"q{self.number:02}"

    def with_budget(self, budget: float) -> "Question":
        """The same with ``budget`` times as much work in its experiment."""
        return self if budget == 1.0 else replace(self, experiment=self.experiment.with_budget(budget))

    def ask(self, seeds: Iterable[int]) -> "Findings":
        """Run the experiment from every seed, and keep nothing on disk; for that see ``SeedResults``."""
        began = time.perf_counter()
        measured = {seed: self.experiment.run(seed) for seed in seeds}
        return self.conclude(measured, time.perf_counter() - began)

    def conclude(
        self, measured: Mapping[int, Measurements], seconds: float, origin: "MeasurementOrigin | None" = None
    ) -> "Findings":
        """Judge numbers, by seed, that the experiment gave in so many ``seconds``."""
        judgements = [claim.judge([*measured.values()]) for claim in self.claims]
        return Findings(self, measured, judgements, verdict(judgements), seconds, origin)


class MeasurementOrigin(NamedTuple):
    """Machine, day and code of a measurement."""

    machine: str
    """Name of its processor."""
    date: str
    """The day, such as 2026-11-28."""
    commit: str | None
    """The commit of this package, with a + if files differed; None where it is not known."""
    whyformer: str
    torch: str


@dataclass(frozen=True)
class Findings:
    """The numbers of all seeds, and the verdict on them."""

    question: Question
    measured: Mapping[int, Measurements]
    """By seed."""
    judgements: Sequence[Judgement]
    verdict: Verdict
    seconds: float
    """Time of all measurements, those included that were read back."""
    origin: MeasurementOrigin | None = None
    """Origin of the last seed's numbers, where they were kept on disk."""

    @property
    def held(self) -> int:
        """How many of the claims hold."""
        return [judged.outcome for judged in self.judgements].count("holds")

    @property
    def arms(self) -> list[Text]:
        """All arms, in the order in which they were measured."""
        return list(dict.fromkeys(arm for measured in self.measured.values() for _, arm, _ in measured))

    def values(self) -> dict[str, float]:
        """Numbers for the prose by name: each claim's mean by its key, and those named besides."""
        named = {
            name: fmean(read(measured) for measured in self.measured.values())
            for name, read in self.question.numbers.items()
        }
        return {**named, **{judged.claim.key: judged.interval.mean for judged in self.judgements}}

    def numbers(self, figure: Figure) -> dict[tuple[Text, Place], list[float]]:
        """The numbers of all seeds by arm and place, in the order in which they were measured."""
        return self._by_figure.get(figure, {})

    @cached_property
    def _by_figure(self) -> dict[Figure, dict[tuple[Text, Place], list[float]]]:
        """The numbers of each figure, sorted once: who draws one asks for them often."""
        found: dict[Figure, dict[tuple[Text, Place], list[float]]] = {}
        for measured in self.measured.values():
            for (figure, arm, place), value in measured.items():
                found.setdefault(figure, {}).setdefault((arm, place), []).append(value)
        return found


def place_name(place: Place, lang: Language) -> str:
    """A place on an axis, as a reader sees it."""
    return place.say(lang) if isinstance(place, Text) else f"{place:g}"
