"""The dialects that a service speaks: the one table that lists them, a row each."""

from collections.abc import Sequence

from whyformer.serve.gate.dialect import Dialect
from whyformer.serve.operation.lifecycle import Lifecycle
from whyformer.serve.operation.settings import Settings
from whyformer.serve.service import Service


def dialects_of(service: Service, settings: Settings, lifecycle: Lifecycle) -> Sequence[Dialect]:
    """The dialects of ``service``."""
    return []
