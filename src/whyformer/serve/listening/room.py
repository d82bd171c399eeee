"""Rooms: the live sessions of one run, which one thread computes together."""

import threading
from concurrent.futures import Future

import numpy as np

from whyformer.errors import DecodingError
from whyformer.serve.listening.heard import Heard
from whyformer.serve.listening.live import LiveSession, Utterance
from whyformer.serve.listening.samples import Pcm
from whyformer.tasks.speech.listener import Listener
from whyformer.tasks.streaming.settings import StreamSettings


class ListeningRoom:
    """Live sessions of a ``listener``; a chunk of each that has one makes a batch of at most ``rows``.

    Its thread lives as long as somebody is in. Every other thread may call what is public here.
    """

    def __init__(self, listener: Listener, settings: StreamSettings, rows: int) -> None:
        self.listener = listener
        self.settings = settings
        self._pool = listener.pool(settings, rows)
        self._frame = listener.clock().seconds
        self._changed = threading.Condition()
        self._entered: list[LiveSession] = []
        self._sessions: set[LiveSession] = set()
        self._busy: set[LiveSession] = set()
        self._thread: threading.Thread | None = None

    @property
    def sessions(self) -> int:
        """Number of sessions that are not over."""
        with self._changed:
            return len(self._sessions)

    def prepare(self, rate: int) -> LiveSession:
        """A session for samples at ``rate`` in Hz, not in yet; the first at a new rate takes a while.

        Raises:
            DataError: the rate cannot be used.
        """
        session = self.listener.open(
            rate, settings=self.settings, recognizer=self._pool.recognizer, note=lambda _: None
        )
        return LiveSession(session, self._frame, rate)

    def enter(self, live: LiveSession) -> None:
        """Let a session of ``prepare`` in."""
        with self._changed:
            self._entered.append(live)
            self._sessions.add(live)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="listening", daemon=True)
                self._thread.start()

    def say(self, live: LiveSession, samples: Pcm) -> Future[Heard]:
        """Feed ``samples`` (n,) to a session of this room; the answer comes once they are computed.

        It is a ``DecodingError`` where the session is over.
        """
        return self._say(live, Utterance(samples))

    def _say(self, live: LiveSession, utterance: Utterance) -> Future[Heard]:
        with self._changed:
            if live in self._sessions:
                live.said.append(utterance)
                self._busy.add(live)
                self._changed.notify()
            else:
                utterance.answer.set_exception(DecodingError("this session is over; open another."))
        return utterance.answer

    def end(self, live: LiveSession) -> Future[Heard]:
        """Say that nothing follows; what waited for its chunk to be whole is in the answer."""
        return self._say(live, Utterance(np.zeros(0, np.int16), last=True))

    def leave(self, live: LiveSession) -> None:
        """Let a session go, with all that waits in it; it may be over already."""
        with self._changed:
            if live in self._sessions:
                live.left = True
                self._busy.add(live)
                self._changed.notify()

    def _run(self) -> None:
        """Compute as long as anybody is in: the thread's work."""
        while busy := self._next():
            try:
                self._round(busy)
            except Exception as error:  # whoever is in must be answered, and the thread must not end
                self._dismiss(error)

    def _next(self) -> list[LiveSession]:
        """Wait for something to do; the sessions that have it. None if everybody has left."""
        with self._changed:
            while self._sessions and not self._busy:
                self._changed.wait()
            if not self._sessions:
                self._thread = None
            for live in self._entered:
                self._pool.add(live.session)
            self._entered.clear()
            return [*self._busy]

    def _round(self, busy: list[LiveSession]) -> None:
        """Feed the ``busy`` sessions, and compute one chunk of each that has one."""
        by_session = {live.session: live for live in busy}
        # Who leaves while this goes on is let go in the next round.
        gone = {live for live in busy if live.left}
        for live in busy:
            if live in gone:
                self._pool.remove(live.session)
            else:
                live.take()
        for session in self._pool.step():
            by_session[session].stepped()
        with self._changed:
            over = gone | {live for live in busy if live.session.ended}
            self._sessions -= over
            self._busy -= over
            self._busy -= {live for live in busy if not live.busy}

    def _dismiss(self, error: Exception) -> None:
        """Send everybody away, since an ``error`` that nobody foresaw leaves no session usable."""
        with self._changed:
            for live in self._sessions:
                self._pool.remove(live.session)
                live.fail(error)
            self._sessions.clear()
            self._busy.clear()
            self._entered.clear()
