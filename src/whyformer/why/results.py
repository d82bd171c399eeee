"""Results on disk: the numbers of each seed, which are read back, and findings as a record for programs."""

import math
import time
import warnings
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, JsonValue, NonNegativeInt, model_validator

from whyformer import __version__
from whyformer.errors import WhyformerNote
from whyformer.files import write_text
from whyformer.machine import code_version, processor_name
from whyformer.why.fingerprint import code_fingerprint
from whyformer.why.question import (
    Experiment,
    Figure,
    Findings,
    Judgement,
    MeasurementOrigin,
    Measurements,
    Question,
    Text,
    place_name,
)


class Provenance(BaseModel):
    """Origin of a seed's numbers; seeds are judged together only where all of it is equal."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    question: int
    settings: dict[str, JsonValue]
    """The fields of the experiment."""
    experiment: str
    """The fingerprint of its code."""
    whyformer: str
    torch: str

    @classmethod
    def here(cls, question: Question) -> Self:
        """The provenance of numbers that would be measured now."""
        # Whoever only reads what was published needs no torch.
        import torch

        return cls(
            question=question.number,
            settings=question.experiment.settings(),
            experiment=code_fingerprint(type(question.experiment)),
            whyformer=__version__,
            torch=str(torch.__version__),
        )

    def differences(self, now: Self) -> list[str]:
        """Names of the fields that are not as ``now``."""
        return [name for name in type(self).model_fields if getattr(self, name) != getattr(now, name)]


Series = tuple[NonNegativeInt, Text, tuple[tuple[int | float | Text, int | float], ...]]
"""Index of the figure, the arm, and its numbers by place, in the order in which they were measured."""


class SeedResult(BaseModel):
    """Numbers that one seed gave, with all that they depend on; the content of ``seed-N.json``."""

    # JSON has no word for numbers that are not finite.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    provenance: Provenance
    seed: int
    seconds: float
    """Time of the measurement."""
    machine: str
    """Name of the processor."""
    date: str
    """Day of the measurement, such as 2026-11-28."""
    code: str | None
    """The commit of this package, to be read by people; the fingerprint says what matters of it."""
    figures: tuple[Figure, ...]
    series: tuple[Series, ...]

    @model_validator(mode="after")
    def _refuse_unknown_figures(self) -> Self:
        if any(index >= len(self.figures) for index, _, _ in self.series):
            raise ValueError("a number belongs to no figure")
        return self

    @classmethod
    def of(cls, measured: Measurements, provenance: Provenance, seed: int, seconds: float) -> Self:
        """The result that holds ``measured``."""
        index = {figure: at for at, figure in enumerate(dict.fromkeys(figure for figure, _, _ in measured))}
        series: dict[tuple[int, Text], list[tuple[float | Text, float]]] = {}
        for (figure, arm, place), value in measured.items():
            series.setdefault((index[figure], arm), []).append((place, value))
        return cls(
            provenance=provenance,
            seed=seed,
            seconds=seconds,
            machine=processor_name(),
            date=datetime.now().astimezone().date().isoformat(),
            code=code_version(),
            figures=tuple(index),
            series=tuple((at, arm, tuple(numbers)) for (at, arm), numbers in series.items()),
        )

    @property
    def measurements(self) -> Measurements:
        """The numbers as the experiment gave them, those of an arm in a figure together."""
        return Measurements(
            {
                (self.figures[index], arm, place): value
                for index, arm, numbers in self.series
                for place, value in numbers
            }
        )

    @property
    def origin(self) -> MeasurementOrigin:
        """Machine, day and code, as pages tell them."""
        return MeasurementOrigin(
            self.machine, self.date, self.code, self.provenance.whyformer, self.provenance.torch
        )


def measure_seed(experiment: Experiment, provenance: Provenance, seed: int, path: Path) -> SeedResult:
    """Run ``experiment`` from ``seed`` and write the result to ``path``.

    Raises:
        WhyformerError: the file cannot be written, or the machine is too slow for the experiment.
    """
    began = time.perf_counter()
    measured = experiment.run(seed)
    result = SeedResult.of(measured, provenance, seed, time.perf_counter() - began)
    write_text(path, result.model_dump_json() + "\n")
    return result


class SeedResults:
    """Results of one question in a folder, a file for each seed: ``q03/seed-1.json``.

    A seed that was measured before is read back; so a run that was killed resumes after its last finished
    seed. It is measured anew if anything in its ``Provenance`` differs from now, or if its file is damaged.
    """

    def __init__(self, question: Question, folder: Path) -> None:
        self.question = question
        self.folder = folder / question.stem
        self.provenance = Provenance.here(question)

    def path(self, seed: int) -> Path:
        """The file of ``seed``."""
        return self.folder / f"seed-{seed}.json"

    def read(self, seeds: Iterable[int]) -> dict[int, SeedResult]:
        """Results that need no second measurement; a ``WhyformerNote`` says why others do."""
        found: dict[int, SeedResult] = {}
        refused: dict[str, list[int]] = {}
        for seed in seeds:
            match self._read(seed):
                case SeedResult() as result:
                    found[seed] = result
                case str(reason):
                    refused.setdefault(reason, []).append(seed)
                case None:
                    pass
        for reason, of in refused.items():
            told = f"{self.folder}: {name_seeds(of)}: {reason}; measured anew."
            warnings.warn(WhyformerNote(told), stacklevel=2)
        return found

    def current(self) -> dict[int, SeedResult]:
        """All results that need no second measurement, whatever their seeds; of others nothing is said."""
        read = {seed: self._read(seed) for seed in seeds_in(self.folder)}
        return {seed: result for seed, result in read.items() if isinstance(result, SeedResult)}

    def _read(self, seed: int) -> SeedResult | str | None:
        """The result of ``seed``, or why it is of no use; None where there is none."""
        try:
            result = SeedResult.model_validate_json(self.path(seed).read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            return "damaged, or not written by this program"
        if result.seed != seed:
            return "the file is of another seed"
        different = result.provenance.differences(self.provenance)
        return f"measured under other conditions ({', '.join(different)})" if different else result

    def measure(self, seed: int) -> SeedResult:
        """Run the experiment from ``seed`` in this process and write the result.

        Raises:
            WhyformerError: as ``measure_seed``.
        """
        return measure_seed(self.question.experiment, self.provenance, seed, self.path(seed))


def seeds_in(folder: Path) -> list[int]:
    """The seeds that have files in ``folder``, in order; none where there is no such folder."""
    names = (path.stem.removeprefix("seed-") for path in folder.glob("seed-*.json"))
    return sorted(int(name) for name in names if name.isdecimal())


def concluded(question: Question, results: Mapping[int, SeedResult]) -> Findings:
    """Findings over ``results``, by seed.

    Raises:
        KeyError: they lack numbers that the claims read.
    """
    measured = {seed: _by_present_figures(question, result.measurements) for seed, result in results.items()}
    *_, last = results.values()
    return question.conclude(measured, sum(result.seconds for result in results.values()), last.origin)


def _by_present_figures(question: Question, measured: Measurements) -> Measurements:
    """``measured`` with the figures that ``question`` has now, of other marks and Chinese words perhaps."""
    same = {figure: figure for figure in question.figures}
    alike = {(figure.title, figure.across, figure.unit): figure for figure in question.figures}
    now = {
        figure: same.get(figure) or alike.get((figure.title, figure.across, figure.unit), figure)
        for figure in dict.fromkeys(figure for figure, _, _ in measured)
    }
    return Measurements(
        {(now[figure], arm, place): value for (figure, arm, place), value in measured.items()}
    )


def name_seeds(seeds: Iterable[int]) -> str:
    """Seeds in a sentence.

    >>> name_seeds([1]), name_seeds([1, 3])
    ('seed 1', 'seeds 1, 3')
    """
    names = [*map(str, seeds)]
    return f"seed{'s' * (len(names) > 1)} {', '.join(names)}"


def result_record(findings: Findings) -> dict[str, object]:
    """All that was asked, set, measured and concluded; bounds and numbers that are not finite are null."""
    question = findings.question
    return {
        "number": question.number,
        "title": question.title._asdict(),
        "verdict": findings.verdict,
        "claims": [_claim_record(judged) for judged in findings.judgements],
        "figures": [
            {
                "title": figure.title._asdict(),
                "across": figure.across._asdict(),
                "unit": figure.unit._asdict(),
                "numbers": [
                    {"arm": arm.en, "place": place_name(place, "en"), "by_seed": list(map(_finite, values))}
                    for (arm, place), values in findings.numbers(figure).items()
                ],
            }
            for figure in question.figures
        ],
        "settings": question.experiment.settings(),
        "seeds": [*findings.measured],
        "seconds": findings.seconds,
        "origin": None if findings.origin is None else findings.origin._asdict(),
    }


def _claim_record(judged: Judgement) -> dict[str, object]:
    claim = judged.claim
    return {
        "key": claim.key,
        "text": claim.text._asdict(),
        "control": claim.control,
        "expected": list(map(_finite, claim.expected)),
        "tolerated": None if claim.tolerated is None else list(map(_finite, claim.tolerated)),
        "by_seed": list(map(_finite, judged.values)),
        "mean": _finite(judged.interval.mean),
        "interval": [_finite(judged.interval.low), _finite(judged.interval.high)],
        "outcome": judged.outcome,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
