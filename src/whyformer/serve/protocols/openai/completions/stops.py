"""Stop strings: a text ends where the first of them does, and shows nothing of it."""

from collections.abc import Sequence


class StopCutter:
    """Cuts a text that comes in pieces; pieces of any size give the same.

    Of stops that lie across each other the one that is complete first counts.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = stops
        self._held = ""
        self.stopped = False
        """Whether a stop has come, so that all that follows is nothing."""

    def feed(self, text: str) -> str:
        """The part of the text so far that is sure to be shown and was not given yet."""
        if self.stopped:
            return ""
        held = self._held + text
        places = [(place + len(stop), place) for stop in self._stops if (place := held.find(stop)) >= 0]
        if places:
            self.stopped = True
            self._held = ""
            return held[: min(places)[1]]
        sure = len(held) - self._begun(held)
        self._held = held[sure:]
        return held[:sure]

    def finish(self) -> str:
        """The rest: nothing more comes, so what might have become a stop is none."""
        rest, self._held = self._held, ""
        return rest

    def _begun(self, text: str) -> int:
        """The number of characters at the end of ``text`` with which a stop may begin."""
        longest = max((len(stop) for stop in self._stops), default=1) - 1
        sizes = range(min(longest, len(text)), 0, -1)
        return next((size for size in sizes if any(s.startswith(text[-size:]) for s in self._stops)), 0)
