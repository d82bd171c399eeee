"""Requests to ``/translate``, in JSON or in a form, read and checked."""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from starlette.requests import Request

from whyformer.serve.protocols.bodies import Fields, checked_text, form_fields, is_json, json_fields, quoted
from whyformer.serve.protocols.libretranslate.texts import TextFormat
from whyformer.serve.refusals import InvalidRequestError, RequestTooLargeError

# A list of texts as Python writes it: that is what urlencode makes of a list.
_ESCAPE = r"\\(?:[\\'\"nrt]|x[0-9a-f]{2}|u[0-9a-f]{4}|U000[0-9a-f]{5}|U0010[0-9a-f]{4})"
_STRING = rf"'(?:[^'\\\n]|{_ESCAPE})*'|\"(?:[^\"\\\n]|{_ESCAPE})*\""
_LIST = re.compile(rf"\[(?:{_STRING})(?:, (?:{_STRING}))*\]")


@dataclass(frozen=True)
class TranslationLimits:
    """Bounds of one request to ``/translate``."""

    characters: int = 20_000
    """Maximum number of characters of all texts together."""
    texts: int = 500
    """Maximum number of texts."""
    alternatives: int = 10
    """Maximum number of other translations of a text."""


@dataclass(frozen=True)
class TranslationRequest:
    """A request for translations."""

    texts: tuple[str, ...]
    is_list: bool
    """Whether the client gave a list, and gets one."""
    source: str
    target: str
    form: TextFormat
    alternatives: int
    """Number of other translations that are wanted of each text."""
    key: str | None
    """API key, which clients of this dialect send among the fields."""


async def read_request(request: Request, limits: TranslationLimits) -> TranslationRequest:
    """The request for translations in the body of ``request``.

    Raises:
        InvalidRequestError: a field is missing or wrong, or the body cannot be read.
        RequestTooLargeError: it asks for more than the ``limits`` allow.
    """
    fields = await json_fields(request) if is_json(request) else _of_form(await form_fields(request))
    texts, is_list = _texts(fields.get("q"))
    if len(texts) > limits.texts:
        raise RequestTooLargeError(f"q has {len(texts):,} texts; send {limits.texts:,} at most.", field="q")
    if (characters := sum(map(len, texts))) > limits.characters:
        raise RequestTooLargeError(
            f"q has {characters:,} characters; send {limits.characters:,} at most.", field="q"
        )
    key = fields.get("api_key")
    return TranslationRequest(
        texts,
        is_list,
        _required(fields, "source"),
        _required(fields, "target"),
        _form(fields.get("format")),
        _alternatives(fields.get("alternatives"), limits.alternatives),
        None if key is None else checked_text(key, "api_key"),
    )


def _of_form(form: Mapping[str, list[str]]) -> Fields:
    """The fields of a ``form`` as JSON has them; a field ``q`` that comes again and again is a list."""
    fields: dict[str, object] = {name: values[-1] for name, values in form.items()}
    # A form's line ends are CRLF, whatever was typed.
    texts = [text.replace("\r\n", "\n") for text in form.get("q", [])]
    match texts:
        case []:
            if any(name.lstrip().startswith("{") for name in form):
                raise InvalidRequestError(
                    "the body is JSON, but is said to be a form; add the header Content-Type: "
                    "application/json."
                )
        case [text]:
            fields["q"] = _python_list(text) or text
        case _:
            fields["q"] = texts
    return fields


def _python_list(text: str) -> list[str] | None:
    """The texts of a list that ``text`` writes exactly as Python does; None if it is another text."""
    if _LIST.fullmatch(text) is None:
        return None
    texts = cast(list[str], ast.literal_eval(text))
    return texts if repr(texts) == text else None


def _texts(q: object) -> tuple[tuple[str, ...], bool]:
    if q in (None, "", []):
        raise InvalidRequestError("q is missing: the text to translate, or a list of texts.", field="q")
    if isinstance(q, list):
        items = enumerate(cast(list[object], q))
        return tuple(checked_text(item, f"q[{index}]") for index, item in items), True
    return (checked_text(q, "q"),), False


def _required(fields: Fields, name: str) -> str:
    value = fields.get(name)
    if value in (None, ""):
        raise InvalidRequestError(f"{name} is missing: the code of a language.", field=name)
    return checked_text(value, name)


def _form(value: object) -> TextFormat:
    match value:
        case None | "" | "text":
            return "text"
        case "html":
            return "html"
        case _:
            raise InvalidRequestError(
                f"format is {quoted(checked_text(value, 'format'))}; it is text or html.", field="format"
            )


def _alternatives(value: object, most: int) -> int:
    match value:
        case None | "":
            return 0
        case bool():
            number = None
        case int():
            number = value
        case float() if value.is_integer():
            number = int(value)
        case str():
            number = int(value) if re.fullmatch(r"[+-]?[0-9]{1,100}", value.strip()) else None
        case _:
            number = None
    if number is None:
        raise InvalidRequestError("alternatives has to be a whole number.", field="alternatives")
    if number > most:
        raise RequestTooLargeError(f"alternatives is more than {most}; ask for fewer.", field="alternatives")
    return max(0, number)
