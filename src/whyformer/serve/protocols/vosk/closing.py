"""Closing: how a conversation ends, by the codes of RFC 6455, section 7.4.1, and its registry."""

from dataclasses import dataclass

from whyformer.serve.protocols.vosk.messages import UnknownMessageError
from whyformer.serve.refusals import DrainingError, OverloadedError, RefusalError, RequestTooLargeError

_NORMAL, _UNSUPPORTED, _POLICY, _TOO_LARGE, _FAILED, _RESTART, _LATER = (
    1000,
    1003,
    1008,
    1009,
    1011,
    1012,
    1013,
)
_LONGEST_REASON = 123
"""Bytes of a reason that a frame has room for."""


@dataclass(frozen=True)
class Farewell:
    """The last that a client is told."""

    code: int
    reason: str
    """Words in the closing frame."""
    error: str | None = None
    """Sentence that it is sent before, if something went wrong."""

    @staticmethod
    def normal() -> "Farewell":
        """The farewell of a client that said that it ends."""
        return Farewell(_NORMAL, "")

    @staticmethod
    def of_draining() -> "Farewell":
        """The farewell of a service that is ending."""
        return Farewell(_RESTART, "the service is ending; connect again")

    @staticmethod
    def of_limit(reason: str) -> "Farewell":
        """The farewell of a client that is beyond a limit of time."""
        return Farewell(_POLICY, reason)

    @staticmethod
    def of_failure(sentence: str) -> "Farewell":
        """The farewell where the service could not do its part."""
        return Farewell(_FAILED, "", sentence)


def farewell_of(refusal: RefusalError) -> Farewell:
    """The farewell of a client that is refused: the sentence, then a code that says whose fault it is."""
    match refusal:
        case UnknownMessageError():
            code = _UNSUPPORTED
        case RequestTooLargeError():
            code = _TOO_LARGE
        case DrainingError():
            code = _RESTART
        case OverloadedError():
            code = _LATER
        case _:
            code = _POLICY
    return Farewell(code, "", str(refusal))
