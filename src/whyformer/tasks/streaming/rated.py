"""Sessions whose signal comes at a rate: so many samples or pictures a second."""

from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from whyformer.tasks.streaming.recognizer import Recognizer
from whyformer.tasks.streaming.session import Session, StreamReading
from whyformer.tasks.streaming.transcript import Transcript

SignalT_contra = TypeVar("SignalT_contra", contravariant=True)


class RatedFront(Protocol):
    """Front end that is told with each piece at which rate it comes."""

    @property
    def seconds(self) -> float:
        """Time that was fed."""
        ...

    def feed(self, signal: Any, rate: Any, /) -> NDArray[np.float32]:
        """The frames (T,...) that ``signal`` completes."""
        ...

    def finish(self) -> NDArray[np.float32]:
        """The last frames (T,...)."""
        ...


class FrontAtRate:
    """A front end with the rate at which a session's signal comes."""

    def __init__(self, front: RatedFront, rate: float) -> None:
        self.front = front
        self.rate = rate

    @property
    def heard(self) -> float:
        """Seconds of the signal that have come."""
        return self.front.seconds

    def feed(self, signal: Any, /) -> NDArray[np.float32]:
        """The frames (T,...) that ``signal`` completes."""
        return self.front.feed(signal, self.rate)

    def finish(self) -> NDArray[np.float32]:
        """The last frames (T,...)."""
        return self.front.finish()


class RatedSession(Session, Generic[SignalT_contra]):
    """A session that is fed at a rate, which a call may change from there on."""

    def __init__(self, recognizer: Recognizer, front: FrontAtRate, reading: StreamReading) -> None:
        self._at_rate = front
        super().__init__(recognizer, front, reading)

    @override
    def push(self, signal: SignalT_contra, rate: float | None = None) -> None:
        """Take ``signal`` without computing anything; ``rate`` is that of the session if left out."""
        self._at_rate.rate = rate or self._at_rate.rate
        super().push(signal)

    @override
    def feed(self, signal: SignalT_contra, rate: float | None = None) -> Transcript:
        """The transcript after ``signal``; ``rate`` is that of the session if left out."""
        self._at_rate.rate = rate or self._at_rate.rate
        return super().feed(signal)
