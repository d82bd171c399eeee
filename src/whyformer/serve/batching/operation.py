"""Operations: kinds of work that an engine does for several requests in one call."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from whyformer.decoding.stopping import Wanted

ItemT = TypeVar("ItemT")
ItemT_contra = TypeVar("ItemT_contra", contravariant=True)
ReadyT = TypeVar("ReadyT")
AnswerT = TypeVar("AnswerT")
AnswerT_co = TypeVar("AnswerT_co", covariant=True)


class Operation(Protocol[ItemT_contra, ReadyT, AnswerT_co]):
    """Something that a runner does, in one way. Requests of equal operations share calls.

    All but ``costs`` is called in an engine's thread.
    """

    def costs(self, items: Sequence[ItemT_contra]) -> list[int]:
        """A bound of the tokens of each item, in all hypotheses, found without cutting it into tokens."""
        ...

    def prepare(self, items: Sequence[ItemT_contra], first: int) -> Sequence[ReadyT]:
        """Items of one request, of which they are those from number ``first`` on, ready for ``run``.

        Raises:
            WhyformerError: one of them cannot be taken; nobody else's work suffers from that.
        """
        ...

    def run(self, ready: Sequence[ReadyT], wanted: Wanted) -> Sequence[AnswerT_co]:
        """The answers to items of several requests, each as if it were alone.

        Nobody looks at those of items that are no longer ``wanted``, whatever they are.
        """
        ...
