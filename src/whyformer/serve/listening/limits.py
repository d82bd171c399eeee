"""Limits of live sound."""

from dataclasses import dataclass

from whyformer.tasks.streaming.settings import StreamSettings


@dataclass(frozen=True)
class ListeningLimits:
    """Bounds of what clients that speak can take up."""

    sessions: int = 128
    """Clients that are connected at once, silent ones too."""
    idle: float = 60.0
    """Seconds after which a client that sends nothing, or takes no answer, has to leave."""
    message: int = 4 * 2**20
    """Bytes of one message."""
    unread: int = 2**20
    """Bytes of a client's messages that wait for their answers; no more is read from it meanwhile. A message
    counts at least ``MESSAGE_COST``, and one that is larger than this waits alone."""
    rows: int = 64
    """Sessions of a run that are computed in one batch."""
    seconds: float = 4 * 3600.0
    """Sound of one client, in seconds."""
    remembered_seconds: float = 600.0
    """Sound of one client where memory grows with it: a run that hears all of a signal at once or looks back
    without end."""

    def sound(self, settings: StreamSettings) -> float:
        """Seconds of sound that a client of a run with these ``settings`` may send."""
        chunks = settings.chunks
        growing = chunks.milliseconds is None or chunks.left is None
        return min(self.seconds, self.remembered_seconds) if growing else self.seconds


MESSAGE_COST = 4096
"""Bytes that a message counts at least: small ones take memory, too."""
