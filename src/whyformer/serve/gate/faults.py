"""Faults: whatever goes wrong with a request, as a refusal in one sentence."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from whyformer.errors import DataError, DecodingError, TokenizerError
from whyformer.serve.gate.dialect import Dialect, Dialects
from whyformer.serve.refusals import FailedError, InvalidRequestError, RefusalError

LONGEST_SENTENCE = 400
"""Maximum number of characters of a sentence on a request's form; its fields' names are the client's."""


class UnknownPathError(RefusalError):
    """A request for an address that is not here."""

    status = 404
    reason = "path"


class MethodError(RefusalError):
    """A request whose method its address does not take."""

    status = 405
    reason = "method"


def as_refusal(error: Exception) -> RefusalError:
    """The refusal that tells a client of ``error``, and nothing of our code."""
    match error:
        case RefusalError():
            return error
        case RequestValidationError():
            return _misformed(error.errors())
        case HTTPException():
            return _of_status(error)
        case DecodingError() | DataError() | TokenizerError():
            return InvalidRequestError(str(error))
        case _:
            return _fault()


def refusal_response(refusal: RefusalError, dialect: Dialect) -> Response:
    """The response by which ``refusal`` is said in ``dialect``."""
    headers = dict[str, str]()
    if refusal.retry_after is not None:
        # Whole seconds: clients that read only those sleep as long, and take 0 for none.
        headers["Retry-After"] = str(max(1, refusal.retry_after))
    if refusal.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    # Only ASCII: a sentence may quote half of a surrogate pair.
    body = json.dumps(dialect.error(refusal))
    return Response(body, refusal.status, headers, media_type="application/json")


def install_handlers(application: FastAPI, dialects: Dialects) -> None:
    """Let ``application`` answer every fault as a refusal of the dialect that was spoken."""

    async def answer(request: Request, error: Exception) -> Response:
        if request.scope["type"] != "http":
            raise error
        refusal = as_refusal(error)
        request.state.refusal = refusal
        response = refusal_response(refusal, dialects.of(request.scope))
        allowed = error.headers if isinstance(error, HTTPException) else None
        response.headers.update({name: value for name, value in (allowed or {}).items() if name == "Allow"})
        return response

    ours = (RefusalError, DecodingError, DataError, TokenizerError)
    for kind in (*ours, RequestValidationError, HTTPException, Exception):
        application.exception_handler(kind)(answer)


def _fault() -> FailedError:
    return FailedError("the service made a mistake; its log tells more under the id of this request.")


def _of_status(error: HTTPException) -> RefusalError:
    match error.status_code:
        case 404:
            return UnknownPathError("there is nothing at this address; /openapi.json lists what there is.")
        case 405:
            return MethodError("this address does not take this method; /openapi.json tells which it takes.")
        case status if status < 500:
            return InvalidRequestError(f"the request cannot be read: {error.detail or 'it is malformed'}.")
        case _:
            return _fault()


def _misformed(faults: Sequence[Mapping[str, Any]]) -> RefusalError:
    """A refusal that names the first of ``faults``, and none of what was sent."""
    fault = faults[0]
    if fault["type"] == "json_invalid":
        reason = fault.get("ctx", {}).get("error", "it is malformed")
        return InvalidRequestError(f"the body is not JSON: {str(reason).rstrip('.').lower()}.")
    place = fault["loc"][1:] if fault["loc"][:1] in [("body",), ("query",), ("path",)] else fault["loc"]
    field = _clean(".".join(map(str, place)))[: LONGEST_SENTENCE // 4] or "body"
    told = _clean(str(fault["msg"])).removeprefix("Value error, ").rstrip(".")
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return InvalidRequestError(f"{field}: {told[:LONGEST_SENTENCE]}{more}.", field=field)


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
