"""Errors in the form that OpenAI's clients read, whatever went wrong and wherever."""

import logging
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from typing_extensions import override

from whyformer.errors import WhyformerError, bare_complaint
from whyformer.serve.protocols.strict_json import parse_json
from whyformer.serve.refusals import FailedError, InvalidRequestError, RefusalError, RequestTooLargeError

_CODES = {
    "key": "invalid_api_key",
    "run": "model_not_found",
    "size": "request_too_large",
    "overload": "rate_limit_exceeded",
    "draining": "service_unavailable",
    "deadline": "timeout",
    "fault": "internal_error",
}

_logger = logging.getLogger(__name__)


class ErrorDetail(BaseModel):
    """Fault, and whose it is."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorBody(BaseModel):
    """Body of every answer that is an error."""

    error: ErrorDetail


def error_body(refusal: RefusalError) -> ErrorBody:
    """The body that says ``refusal``, of an answer or of an event."""
    match refusal.status:
        case 401:
            kind = "authentication_error"
        case 429:
            kind = "rate_limit_error"
        case status if status >= 500:
            kind = "server_error"
        case _:
            kind = "invalid_request_error"
    code = _CODES.get(refusal.reason)
    return ErrorBody(error=ErrorDetail(message=str(refusal), type=kind, param=refusal.field, code=code))


def refusal_of(error: Exception) -> RefusalError:
    """The refusal that ``error`` stands for; what is no fault of the client's is logged."""
    match error:
        case RefusalError():
            return error
        case RequestValidationError():
            return _invalid(error)
        case HTTPException(__cause__=RefusalError() as cause):  # FastAPI wraps whatever reading a body raises
            return cause
        case HTTPException(status_code=RequestTooLargeError.status):
            return RequestTooLargeError("the body is too large.")
        case HTTPException():
            return InvalidRequestError(f"the body cannot be read: {error.detail}.")
        case WhyformerError():
            return InvalidRequestError(" ".join(str(error).split()).rstrip(".") + ".")
        case _:
            _logger.error("a request failed", exc_info=error)
            return FailedError("something went wrong here; it was logged.")


def _invalid(error: RequestValidationError) -> InvalidRequestError:
    """The first fault that was found, without what the client sent."""
    fault = error.errors()[0]
    path = [str(part) for part in fault["loc"][1:]]
    complaint = bare_complaint(str(fault["msg"])).rstrip(".")
    if fault["type"] == "extra_forbidden":
        complaint = "there is no such field here; leave it out"
    if fault["type"] == "missing":
        complaint = "this field is missing"
    if not path:
        return InvalidRequestError("the body has to be a JSON object, sent as application/json.")
    complaint = complaint[:1].lower() + complaint[1:]
    return InvalidRequestError(f"{path[0]}: {complaint}.", field=path[0])


class StrictRequest(Request):
    """A request whose body is read by ``parse_json``."""

    @override
    async def json(self) -> Any:
        """The body.

        Raises:
            InvalidRequestError: it cannot be read.
        """
        return parse_json(await self.body())


class OpenAIRoute(APIRoute):
    """A path whose JSON is read strictly, and whose errors are refusals."""

    @override
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The function that answers."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handle(StrictRequest(request.scope, request.receive))
            except ClientDisconnect:
                return Response(status_code=InvalidRequestError.status)  # nobody reads it
            except (WhyformerError, RequestValidationError, HTTPException) as error:
                raise refusal_of(error) from error

        return answer
