"""The protocol of an engine: what searches."""

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from whyformer.decoding.hypothesis import Hypothesis
from whyformer.decoding.search import SearchSpec


class Engine(Protocol):
    """What searches: ``decoding.search.search`` with a model given, or another that does the same."""

    def __call__(
        self,
        source: Tensor,
        valid: Tensor,
        settings: SearchSpec,
        *,
        model_limit: int,
        numbers: Sequence[int],
    ) -> list[list[Hypothesis]]:
        """See ``search``."""
        ...
