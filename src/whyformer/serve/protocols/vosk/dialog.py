"""A dialog: what one of Vosk's clients has said so far, and what that means."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from whyformer.serve.listening.hall import ListeningHall
from whyformer.serve.listening.heard import Heard
from whyformer.serve.listening.live import LiveSession
from whyformer.serve.listening.room import ListeningRoom
from whyformer.serve.listening.samples import SampleJoiner
from whyformer.serve.protocols.vosk.messages import VoskConfig, read_message
from whyformer.serve.protocols.vosk.replies import reply
from whyformer.serve.refusals import InvalidRequestError


@dataclass(frozen=True)
class PendingReply:
    """A reply whose words are being computed."""

    answer: Future[Heard]
    """Understanding that is being computed."""
    config: VoskConfig
    """Form in which the client wanted it when it sent the message."""
    offset: float
    """Seconds of sound before the session."""
    last: bool = False
    """Whether the client has said that it ends."""

    def text(self, heard: Heard) -> str:
        """The reply, now that its answer has come."""
        return reply(heard, self.config, self.offset)


class Dialog:
    """Sound and settings of one client; after a reset the next session begins, and times go on.

    Args:
        hall: where sessions are.
        find: the room of a run by its name, which is None for that of the address.
    """

    def __init__(self, hall: ListeningHall, find: Callable[[str | None], ListeningRoom]) -> None:
        self._hall = hall
        self._find = find
        self._config = VoskConfig()
        self._room = find(None)
        self._live: LiveSession | None = None
        self._joiner = SampleJoiner()
        self._earlier = 0.0
        self._samples = 0

    @property
    def seconds(self) -> float:
        """Sound that has come, in seconds."""
        return self._earlier + self._samples / self._config.sample_rate

    @property
    def longest(self) -> float:
        """Sound that may come, in seconds."""
        return self._hall.limits.sound(self._room.settings)

    async def take(self, message: bytes | str) -> PendingReply | None:
        """The reply to a ``message``; None for one that gets none.

        Raises:
            InvalidRequestError: the message means nothing, or a setting cannot be used.
            UnknownRunError: it asks for a run that is not there.
        """
        if isinstance(message, bytes):
            return await self._sound(message)
        match read_message(message):
            case "eof":
                return self.finish()
            case "reset":
                ended = self.finish()
                return PendingReply(ended.answer, ended.config, ended.offset)
            case config:
                self._configure(self._config.changed(config["config"]))
        return None

    def finish(self) -> PendingReply:
        """The last reply of the session: what waited for its chunk to be whole is in it."""
        offset, answer = self._earlier, Future[Heard]()
        if self._live is None:
            answer.set_result(Heard("", final=True))
        else:
            answer = self._room.end(self._live)
        self._earlier, self._samples = self.seconds, 0
        self._live, self._joiner = None, SampleJoiner()
        return PendingReply(answer, self._config, offset, last=True)

    def leave(self) -> None:
        """Let the session go, with all that waits in it."""
        if self._live is not None:
            self._room.leave(self._live)
            self._live = None

    async def _sound(self, data: bytes) -> PendingReply:
        if self._live is None:
            self._live = await self._hall.open(self._room, self._config.sample_rate)
        samples = self._joiner.feed(data)
        self._samples += len(samples)
        return PendingReply(self._room.say(self._live, samples), self._config, self._earlier)

    def _configure(self, config: VoskConfig) -> None:
        if self._live is not None and (config.sample_rate, config.model) != (
            self._config.sample_rate,
            self._config.model,
        ):
            raise InvalidRequestError(
                "sample_rate and model can change before the first sound and after a reset only.",
                field="sample_rate",
            )
        if config.model != self._config.model:
            self._room = self._find(config.model)
        if self._live is None:
            # What came before came at the rate before.
            self._earlier, self._samples = self.seconds, 0
        self._config = config
