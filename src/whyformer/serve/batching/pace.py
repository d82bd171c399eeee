"""Pace: the time that each of many takes, as measured of late."""

MEMORY = 0.9
"""Share that a measured pace or size keeps of what it was before."""


class Pace:
    """Seconds that each takes of what is counted: a token, or a request."""

    def __init__(self) -> None:
        self._count = 0.0
        self._spent = 0.0

    def learn(self, count: int, seconds: float) -> None:
        """Take note that so many took so many ``seconds`` together."""
        self._count = MEMORY * self._count + count
        self._spent = MEMORY * self._spent + seconds

    @property
    def seconds(self) -> float:
        """Time of one; 0 while nothing is known."""
        return self._spent / self._count if self._count else 0.0
