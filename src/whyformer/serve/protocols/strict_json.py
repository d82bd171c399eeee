"""JSON of clients, read strictly: what no text and no number can be is refused before anything uses it."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from whyformer.serve.refusals import InvalidRequestError

_BITS = 64
_SHOWN = 40
"""Maximum number of characters of a client's own names that an error repeats."""
_HALF = (
    "holds half of a surrogate pair (such as \\ud800), which is no character; send both halves, or the "
    "character itself."
)


@dataclass(frozen=True)
class _Unusable:
    """What stands in the place of a number that is none, until it is known where that is."""

    why: str


def parse_json(body: bytes) -> object:
    """The value that ``body`` spells in UTF-8, after a byte order mark or without one.

    Python's own reader also takes UTF-16, NaN, 1e400 as infinity, and halves of surrogate pairs.

    Raises:
        InvalidRequestError: it is no JSON, or holds what no answer could repeat, in a field that is named.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidRequestError("the body is not UTF-8; send JSON in UTF-8.") from None
    unusable = list[_Unusable]()

    def noted(number: object) -> object:
        if isinstance(number, _Unusable):
            unusable.append(number)
        return number

    try:
        value: object = json.loads(
            text,
            parse_constant=lambda name: noted(_Unusable(f"{name} is no number in JSON; send one, or null.")),
            parse_float=lambda digits: noted(_float(digits)),
            parse_int=lambda digits: noted(_int(digits)),
        )
        # Only an escape can spell half of a pair.
        found = _fault(value) if unusable or "\\u" in text else None
    except json.JSONDecodeError as error:
        raise InvalidRequestError(
            f"the body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        ) from None
    except RecursionError:
        raise InvalidRequestError("the body is nested too deeply; flatten it.") from None
    if found is not None:
        why, names = found
        place, field = _shown(".".join(names)), _shown("".join(names[:1]))
        raise InvalidRequestError(f"{place or 'the body'}: {why}", field=field or None)
    return value


def _fault(value: object) -> tuple[str, list[str]] | None:
    """The fault of something in ``value``, and the names that lead there; None if there is none."""
    inner: Iterable[tuple[object, object]] = ()
    match value:
        case _Unusable(why):
            return why, []
        case str():
            return (f"the text {_HALF}", []) if _has_half(value) else None
        case dict():
            inner = cast(dict[object, object], value).items()
        case list():
            inner = enumerate(cast(list[object], value))
        case _:
            pass
    for name, each in inner:
        if isinstance(name, str) and _has_half(name):
            return f"the name of a field {_HALF}", []
        found = _fault(each)
        if found is not None:
            found[1].insert(0, str(name))
            return found
    return None


def _shown(name: str) -> str:
    """A client's ``name``, which may be anything, in one line."""
    return repr(name[:_SHOWN])[1:-1].strip()


def _has_half(text: str) -> bool:
    try:
        _ = text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _float(digits: str) -> float | int | _Unusable:
    value = float(digits)
    if value in (float("inf"), -float("inf")):
        return _Unusable(f"{digits[:20]} is too large for a number.")
    # JSON knows numbers only: 1.0 is the integer 1.
    return int(value) if value.is_integer() and abs(value) < 2 ** (_BITS - 1) else value


def _int(digits: str) -> int | _Unusable:
    if len(digits) <= _BITS and (value := int(digits)).bit_length() < _BITS:
        return value
    return _Unusable(f"the integer {digits[:20]}… has more than {_BITS} bits.")
