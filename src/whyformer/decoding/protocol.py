"""Protocol of a model that a search can use.

B batch · S source length · R rows, a live hypothesis each · V vocabulary
"""

from typing import Protocol, TypeVar, runtime_checkable

from torch import Tensor

from whyformer.position.layout import Padding


class DecoderState(Protocol):
    """Memory of a model: the prefixes so far, a row per live hypothesis."""

    def select(self, rows: Tensor) -> None:
        """Keep, reorder or repeat rows, in place: ``rows`` (R',) int64."""
        ...


@runtime_checkable
class AttendingState(DecoderState, Protocol):
    """A state that also tells where its model looked."""

    @property
    def attention(self) -> Tensor | None:
        """The last step's weights (R,S) over the source, each row summing to 1; None if not asked for."""
        ...


StateT = TypeVar("StateT", bound=DecoderState)


class StepDecoder(Protocol[StateT]):
    """A model that writes token by token."""

    def start(self, source: Tensor, valid: Padding, watch_attention: bool = False) -> StateT:
        """Read ``source`` (B,S) int64 with ``valid`` (B,S), once; a state with a row per sentence."""
        ...

    def step(self, tokens: Tensor, state: StateT) -> Tensor:
        """Feed each row its last token, ``tokens`` (R,); logits (R,V) of the next. Advances ``state``.

        The logits may lie in memory that the next step of ``state`` writes anew.
        """
        ...
