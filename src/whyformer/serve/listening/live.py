"""Live sessions: what one client says, and the thread of its room answers."""

from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field

from whyformer.serve.listening.heard import Certainty, Heard, heard_of
from whyformer.serve.listening.samples import Pcm
from whyformer.tasks.speech.listener import ListeningSession


@dataclass
class Utterance:
    """A piece of sound that waits for its answer."""

    samples: Pcm
    last: bool = False
    """Whether nothing follows in this session."""
    taken: int = 0
    """Samples that were fed."""
    answer: Future[Heard] = field(default_factory=Future[Heard])
    """The answer, once there is one."""


class LiveSession:
    """A session with the sound that waits for it; all but ``say`` and ``leave`` is for its room's thread.

    Args:
        session: a fresh one.
        frame: seconds of a frame of the encoder.
        slice_samples: samples that are fed at once, so that a long piece does not make others wait.
    """

    def __init__(self, session: ListeningSession, frame: float, slice_samples: int) -> None:
        self.session = session
        self.said: deque[Utterance] = deque()
        """Pieces without an answer, in order."""
        self.left = False
        """Whether the client has gone."""
        self._frame = frame
        self._slice = slice_samples
        self._certainty = Certainty()
        self._frames = 0

    @property
    def busy(self) -> bool:
        """Whether there is anything to do for it."""
        return bool(self.said) or self.left

    def take(self) -> None:
        """Feed what waits, up to a slice or until there is a chunk to compute; answer what needs none."""
        room = self._slice
        while self.said and room and not self.session.stream.ready:
            utterance = self.said[0]
            samples = utterance.samples[utterance.taken : utterance.taken + room]
            if len(samples):
                utterance.taken += len(samples)
                room -= len(samples)
                self.session.push(samples)
            elif utterance.last and not self.session.ended:
                self.session.end()
            elif utterance.last:
                return
            else:
                self._answer()

    def stepped(self) -> None:
        """Take that its room has computed a chunk of it, or has finished it; answer what is heard whole."""
        stream = self.session.stream
        if stream.frames > self._frames:
            assert stream.emitted is not None, "a chunk was computed"
            self._certainty.add(stream.emitted)
            self._frames = stream.frames
        if self.session.ended or (self.said and self._heard_whole(self.said[0])):
            self._answer()

    def fail(self, error: Exception) -> None:
        """Answer all that waits by ``error``."""
        while self.said:
            answer = self.said.popleft().answer
            if answer.set_running_or_notify_cancel():
                answer.set_exception(error)

    def _heard_whole(self, utterance: Utterance) -> bool:
        whole = utterance.taken == len(utterance.samples)
        return whole and not utterance.last and not self.session.stream.ready

    def _answer(self) -> None:
        utterance = self.said.popleft()
        heard = heard_of(self.session, self._certainty, self._frame, last=utterance.last)
        # Who has left does not want it any more.
        if utterance.answer.set_running_or_notify_cancel():
            utterance.answer.set_result(heard)
