"""Text messages of Vosk's clients: how they speak, and that they have ended."""

import json
import math
from dataclasses import dataclass, replace
from typing import Any, Literal

from whyformer.serve.listening.hall import HIGHEST_CLIENT_RATE, LOWEST_CLIENT_RATE
from whyformer.serve.refusals import InvalidRequestError

_RATES = f"send a whole number of Hz from {LOWEST_CLIENT_RATE:,} to {HIGHEST_CLIENT_RATE:,}"


class UnknownMessageError(InvalidRequestError):
    """A text message that means nothing in this dialect."""


@dataclass(frozen=True)
class VoskConfig:
    """How a client speaks, and in which form it wants its results."""

    sample_rate: int = 8000
    """Samples per second; that of telephones unless said otherwise, as in Vosk's server."""
    words: bool = True
    """Whether a result lists its words with their times."""
    max_alternatives: int = 0
    """Readings in a result at most; 0 asks for the form with one."""
    model: str | None = None
    """Name of a run; None for that of the address."""

    def changed(self, config: object) -> "VoskConfig":
        """The configuration with what a message says; keys that are not known mean nothing.

        Raises:
            InvalidRequestError: a value cannot be used.
        """
        match config:
            case dict():
                said: dict[str, Any] = {str(key): value for key, value in config.items()}
            case _:
                raise InvalidRequestError(
                    'config is no object; send such as {"config": {"sample_rate": 8000}}.'
                )
        if said.get("phrase_list"):
            raise InvalidRequestError(
                "phrase_list is not supported here, since a run knows its words; leave it out.",
                field="phrase_list",
            )
        changed = self
        if "sample_rate" in said:
            changed = replace(changed, sample_rate=_rate(said["sample_rate"]))
        if "words" in said:
            changed = replace(changed, words=bool(said["words"]))
        if "max_alternatives" in said:
            changed = replace(changed, max_alternatives=_count(said["max_alternatives"]))
        if "model" in said:
            changed = replace(changed, model=_name(said["model"]))
        return changed


def read_message(text: str) -> dict[str, Any] | Literal["eof", "reset"]:
    """The configuration that a text message brings, or the word of its command, in any spacing.

    Raises:
        UnknownMessageError: it is neither.
    """
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        message = None
    match message:
        case {"config": _}:
            return message
        case {"eof": ended} if ended:
            return "eof"
        case {"reset": again} if again:
            return "reset"
        case _:
            raise UnknownMessageError(
                'a text message is {"config": …}, {"reset": 1} or {"eof": 1}; sound comes in binary ones.'
            )


def _rate(value: object) -> int:
    # Vosk's server takes text as well, and its clients send it.
    try:
        rate = (
            float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else math.nan
        )
    except (ValueError, OverflowError):
        rate = math.nan
    if not (LOWEST_CLIENT_RATE <= rate <= HIGHEST_CLIENT_RATE and rate.is_integer()):
        raise InvalidRequestError(f"sample_rate is {_shown(value)}; {_RATES}.", field="sample_rate")
    return int(rate)


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InvalidRequestError(
            f"max_alternatives is {_shown(value)}; send a whole number from 0.", field="max_alternatives"
        )
    return value


def _name(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidRequestError(f"model is {_shown(value)}; send the name of a run.", field="model")
    return value


def _shown(value: object) -> str:
    """A value as a sentence shows it, cut short."""
    try:
        text = json.dumps(value)
    except (ValueError, RecursionError):
        return "no number"
    return text if len(text) <= 40 else f"{text[:40]}…"
