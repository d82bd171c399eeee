"""Paces: what each of many takes, as measured of late."""

_MEMORY = 0.9
"""Share that what was measured keeps each time that something new is."""


class Pace:
    """Amount that each takes of what is counted: seconds of a token or a request, tokens of a byte."""

    def __init__(self) -> None:
        self._count = 0.0
        self._amount = 0.0

    def learn(self, count: int, amount: float) -> None:
        """Take note that so many took this ``amount`` together."""
        self._count = _MEMORY * self._count + count
        self._amount = _MEMORY * self._amount + amount

    @property
    def each(self) -> float:
        """Amount of one; 0 while nothing is known."""
        return self._amount / self._count if self._count else 0.0
