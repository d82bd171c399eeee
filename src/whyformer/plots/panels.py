"""Which figures of a training are drawn; each task says its own."""

from dataclasses import dataclass
from typing import NamedTuple


class Curve(NamedTuple):
    """A figure of validations."""

    name: str
    """In the log."""
    legend: str
    axis: str = "score (%)"
    """Title of the axis; curves of one title share a panel."""


@dataclass(frozen=True)
class Curves:
    """The figures of a task besides those that every training has."""

    per: str = "token"
    """Unit that losses are a mean over."""
    scores: tuple[Curve, ...] = ()
