"""Settings: the rules of a service."""

from dataclasses import dataclass, field

from whyformer.serve.operation.hosts import Hosts
from whyformer.serve.operation.keys import Keys
from whyformer.serve.operation.limits import Limits


@dataclass(frozen=True)
class Settings:
    """Rules of a service."""

    hosts: Hosts
    """Names it is known by, and pages that may ask."""
    limits: Limits = field(default_factory=Limits)
    keys: Keys | None = None
    """Keys of which clients must show one; None if anybody may ask."""
    patience: float | None = 60.0
    """Seconds after which an answer is worth nothing any more: the deadline of requests."""
    log_texts: bool = False
    """Whether logs hold what was asked and answered."""
