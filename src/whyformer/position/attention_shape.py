"""The shape of an attention: what its parts must know of it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class AttentionShape:
    """Numbers of an attention that scores and position schemes are built for."""

    d_model: int
    heads: int
    """Query heads."""
    dim: int
    """Components of one head."""
    causal: bool = False
    """Whether queries never see later keys."""
