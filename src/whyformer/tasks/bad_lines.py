"""Lines that a runner cannot take: one of them need not cost the work on all others."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from whyformer.data.corpora.lines import BadLine
from whyformer.errors import DecodingError

OnError = Literal["stop", "skip", "truncate"]


@dataclass
class BadLines:
    """The choice of what to do about them, and those that were met."""

    on_error: OnError = "skip"
    """``stop`` raises an error, ``skip`` leaves a blank in the place of the line, ``truncate`` also cuts a
    line that is too long."""
    left_out: dict[int, str] = field(default_factory=dict[int, str])
    """Lines with a blank in their place, by number, with a sentence that says why."""
    cut: dict[int, str] = field(default_factory=dict[int, str])
    """Lines of which only the beginning was read."""

    def leave_out(self, line: int, why: str) -> None:
        """Take note of a ``line`` that cannot be read at all, for which ``why`` is a sentence.

        Raises:
            DecodingError: ``why``, if the choice is to stop.
        """
        if self.on_error == "stop":
            raise DecodingError(why)
        self.left_out.setdefault(line, why)

    def cut_short(self, line: int, why: str) -> bool:
        """Take note of a ``line`` that is too long; whether to read its beginning.

        Raises:
            DecodingError: ``why``, if the choice is to stop.
        """
        if self.on_error != "truncate":
            self.leave_out(line, why)
            return False
        self.cut.setdefault(line, why)
        return True


def unreadable(text: str, line: int) -> str | None:
    """A sentence on why no model can read ``text``, which stands on ``line``; None if one can."""
    if "\0" in text:
        return f"line {line} holds a NUL character, so it is damaged or not text; correct or remove it."
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return (
            f"line {line}: character {error.start + 1} is half of a surrogate pair, so this is not Unicode "
            "text; decode it from its file or request again, as UTF-8."
        )
    return None


def blanked(lines: Iterable[str | BadLine], bad: BadLines) -> Iterator[str]:
    """The texts of ``lines``, with blanks in place of those that are no text.

    Raises:
        DataError: there is one, and the choice is to stop.
    """
    for number, line in enumerate(lines, start=1):
        if not isinstance(line, BadLine):
            yield line
            continue
        if bad.on_error == "stop":
            raise line.error()
        bad.leave_out(number, f"line {number}: {line.reason}; correct this line.")
        yield ""
