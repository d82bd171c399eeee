"""Bodies of requests as plain values: JSON objects and forms, whatever bytes come.

Starlette's own reading of forms takes bytes that are not percent-encoded for Latin-1, so that
``curl -d q=你好`` becomes another text without an error, and FastAPI's of JSON answers some bad bodies with
500 (docs/libraries.md). Here the whole body has to be UTF-8.
"""

from collections.abc import Mapping, Sequence
from typing import TypeVar, cast
from urllib.parse import parse_qsl

from pydantic import BaseModel, ValidationError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from whyformer.serve.protocols.strict_json import parse_json
from whyformer.serve.refusals import InvalidRequestError

NO_NUL = r"^[^\u0000]*$"
"""Pattern, for the OpenAPI document, of text that ``checked_text`` takes."""

BodyT = TypeVar("BodyT", bound=BaseModel)
Fields = Mapping[str, object]
"""Values by the names of their fields."""

_FIELDS = 2_000
"""Maximum number of fields of a form."""
_SHOWN = 40
"""Maximum number of characters of a client's own text that an error repeats."""


async def json_fields(request: Request) -> Fields:
    """The object that the body of ``request`` is in JSON.

    Raises:
        InvalidRequestError: it is none.
    """
    value = parse_json(await request.body())
    if not isinstance(value, dict):
        raise InvalidRequestError("the body is JSON, but no object; send fields by their names.")
    return cast(Fields, value)


async def form_fields(request: Request) -> Mapping[str, list[str]]:
    """The values of each field of the form, urlencoded or multipart, in the body of ``request``.

    Raises:
        InvalidRequestError: it is damaged, has too many fields, or a file among them.
    """
    text = await _text(request)
    fields = dict[str, list[str]]()
    if _content_type(request) == "multipart/form-data":
        try:
            form = await request.form(max_fields=_FIELDS, max_files=1, max_part_size=len(text.encode()) + 1)
        except HTTPException as error:
            raise InvalidRequestError(f"the form is damaged: {error.detail}") from None
        try:
            for name, value in form.multi_items():
                if isinstance(value, UploadFile):
                    raise InvalidRequestError("files are not taken here; send text.", field=name)
                fields.setdefault(name, []).append(value)
        finally:
            await form.close()
        return fields
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_FIELDS)
    except UnicodeDecodeError:
        raise InvalidRequestError("the form is no percent-encoded UTF-8; encode its text so.") from None
    except ValueError:
        raise InvalidRequestError(f"the form has more than {_FIELDS:,} fields; send fewer.") from None
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    return fields


async def read_model(request: Request, model: type[BodyT], texts: Sequence[str]) -> BodyT:
    """The ``model`` that the JSON body of ``request`` holds, whose fields ``texts`` are text where given.

    Raises:
        InvalidRequestError: a field is missing or wrong, or the body cannot be read.
    """
    fields = await json_fields(request)
    for name in fields:
        checked_text(name, "the name of a field")
    for name in texts:
        if fields.get(name) is not None:
            checked_text(fields[name], name)
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
        # A name that nobody knows may be anything.
        place = quoted(".".join(map(str, fault["loc"])))[1:-1]
        raise InvalidRequestError(
            f"{place}: {fault['msg'][0].lower()}{fault['msg'][1:]}.", field=place
        ) from None


def is_json(request: Request) -> bool:
    """Whether the body of ``request`` is said to be JSON."""
    kind = _content_type(request)
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def checked_text(value: object, field: str) -> str:
    """``value`` of a ``field`` as text that can be read and repeated.

    Raises:
        InvalidRequestError: it is no text, or holds what no text has.
    """
    if not isinstance(value, str):
        raise InvalidRequestError(f"{field} has to be text.", field=field)
    if "\0" in value:
        raise InvalidRequestError(f"{field} holds a NUL character; remove it.", field=field)
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidRequestError(
            f"{field}: character {error.start + 1} is half of a surrogate pair, so this is no Unicode text; "
            "send it as UTF-8.",
            field=field,
        ) from None
    return value


def quoted(text: str) -> str:
    """A client's ``text`` as an error repeats it: quoted, in one line, and not too long.

    >>> quoted("mine"), len(quoted("a" * 999))
    ("'mine'", 43)
    """
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")


def _content_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def _text(request: Request) -> str:
    try:
        return (await request.body()).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidRequestError("the body is not UTF-8; encode its text so.") from None
