"""Findings as records for programs."""

import math

import torch

from whyformer import __version__
from whyformer.machine import code_version
from whyformer.why.book.labels import (
    place_name,
)
from whyformer.why.question import Findings, Judgement


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
        "settings": question.experiment.model_dump(mode="json"),
        "seeds": [*findings.measured],
        "seconds": findings.seconds,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "whyformer": __version__,
        "code": code_version(),
    }


def _claim_record(judged: Judgement) -> dict[str, object]:
    claim = judged.claim
    return {
        "text": claim.text._asdict(),
        "control": claim.control,
        "expected": list(map(_finite, claim.expected)),
        "tolerated": None if claim.tolerated is None else list(map(_finite, claim.tolerated)),
        "by_seed": list(map(_finite, judged.values)),
        "mean": _finite(judged.estimate.mean),
        "interval": [_finite(judged.estimate.low), _finite(judged.estimate.high)],
        "outcome": judged.outcome,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
