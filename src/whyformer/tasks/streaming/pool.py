"""Pools: many live inputs of one process, whose chunks are computed together."""

from collections.abc import Iterator
from typing import Generic, TypeVar

from whyformer.tasks.streaming.recognizer import Recognizer
from whyformer.tasks.streaming.session import Session

SessionT = TypeVar("SessionT", bound=Session)


class SessionPool(Generic[SessionT]):
    """Sessions that share batches; each has the words, times and scores that it would have alone.

    Push to its sessions what has come, and ``step`` now and then: it computes one piece of every session
    that has one, in batches of at most ``rows``.
    """

    def __init__(self, recognizer: Recognizer, rows: int = 256) -> None:
        self._recognizer = recognizer
        self._rows = rows
        self._sessions: list[SessionT] = []

    def __len__(self) -> int:
        """Number of sessions that are not over."""
        return len(self._sessions)

    def add(self, session: SessionT) -> SessionT:
        """Take ``session`` in."""
        self._sessions.append(session)
        return session

    def remove(self, session: SessionT) -> None:
        """Let ``session`` go as it is; nothing that waits in it is computed. It may be gone already."""
        if session in self._sessions:
            self._sessions.remove(session)

    def step(self) -> list[SessionT]:
        """Compute a piece of each session that has one; these sessions come back, with new transcripts.

        A session that was ended leaves the pool after its last piece.
        """
        ready: list[SessionT] = []
        idle: list[SessionT] = []
        for session in self._sessions:
            (ready if session.stream.ready else idle).append(session)
        for start in range(0, len(ready), self._rows):
            group = ready[start : start + self._rows]
            _ = self._recognizer.advance([session.stream for session in group])
            for session in group:
                _ = session.read()
        if ready:
            for session in idle:
                session.stream.wait()
        over = [session for session in self._sessions if session.ended]
        for session in over:
            _ = session.finish()
        self._sessions = [session for session in self._sessions if not session.ended]
        return [*ready, *(session for session in idle if session.ended)]

    def drain(self) -> Iterator[SessionT]:
        """Step until no session has a piece; each session comes as often as it had one."""
        while stepped := self.step():
            yield from stepped
