"""The protocols of an engine, which searches, and of whoever takes one."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor

from whyformer.decoding.hypothesis import Hypothesis
from whyformer.decoding.search import SearchSpec
from whyformer.decoding.stopping import Wanted
from whyformer.models.encoder_decoder import AnyEncoderDecoder
from whyformer.position.layout import Padding


class Engine(Protocol):
    """A search: ``decoding.search.search`` with a model given, or another that does the same."""

    def __call__(
        self,
        source: Tensor,
        valid: Padding,
        settings: SearchSpec,
        *,
        model_limit: int,
        numbers: Sequence[int],
        wanted: Wanted | None = None,
    ) -> list[list[Hypothesis]]:
        """See ``search``."""
        ...


@runtime_checkable
class TakesEngine(Protocol):
    """A runner that searches by whichever engine it is given."""

    @property
    def model(self) -> AnyEncoderDecoder:
        """The network."""
        ...

    def use(self, engine: Engine, parallel: int | None) -> None:
        """Search by ``engine`` from now on, ``parallel`` batches at a time; None measures what is faster."""
        ...
