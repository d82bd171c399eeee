"""JSON of clients, read strictly: what no text and no number can be is refused before anything uses it."""

import json
from typing import NoReturn

from whyformer.serve.refusals import InvalidRequestError

_BITS = 64


def parse_json(body: bytes) -> object:
    """The value that ``body`` spells in UTF-8, after a byte order mark or without one.

    Python's own reader also takes UTF-16, NaN, 1e400 as infinity, and halves of surrogate pairs.

    Raises:
        InvalidRequestError: it is no JSON, or holds what no answer could repeat.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidRequestError("the body is not UTF-8; send JSON in UTF-8.") from None
    try:
        value: object = json.loads(text, parse_constant=_no_number, parse_float=_float, parse_int=_int)
    except json.JSONDecodeError as error:
        raise InvalidRequestError(
            f"the body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        ) from None
    except RecursionError:
        raise InvalidRequestError("the body is nested too deeply; flatten it.") from None
    if "\\u" in text:
        _refuse_surrogates(value)
    return value


def _refuse_surrogates(value: object) -> None:
    try:
        _ = json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise InvalidRequestError(
            "the body holds half of a surrogate pair (such as \\ud800), which is no character; send both "
            "halves, or the character itself."
        ) from None


def _no_number(name: str) -> NoReturn:
    raise InvalidRequestError(f"the body holds {name}, which is no number in JSON; send one, or null.")


def _float(digits: str) -> float | int:
    value = float(digits)
    if value in (float("inf"), -float("inf")):
        raise InvalidRequestError(f"the body holds {digits[:20]}, which is too large for a number.")
    # JSON knows numbers only: 1.0 is the integer 1.
    return int(value) if value.is_integer() and abs(value) < 2 ** (_BITS - 1) else value


def _int(digits: str) -> int:
    if len(digits) <= _BITS and (value := int(digits)).bit_length() < _BITS:
        return value
    raise InvalidRequestError(f"the body holds the integer {digits[:20]}…, which has more than {_BITS} bits.")
