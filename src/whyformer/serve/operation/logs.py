"""Logs: a line for each request, without what it says unless that is asked for."""

import json
import logging
import traceback
import warnings
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal, TextIO

from typing_extensions import override

from whyformer.errors import WhyformerNote

LogStyle = Literal["plain", "json"]

LOGGER = logging.getLogger("whyformer.serve")


def start_logging(style: LogStyle, stream: TextIO) -> None:
    """Write the logs of the service, and warnings of what it stands on, to ``stream``."""
    # Notes are for whoever has written a text, and quote it.
    warnings.simplefilter("ignore", WhyformerNote)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_JSONLines() if style == "json" else _Plain())
    # What is wrong with a form is told to its client.
    levels = {"whyformer.serve": logging.INFO, "uvicorn": logging.WARNING, "python_multipart": logging.ERROR}
    for name, level in levels.items():
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level)
        logger.propagate = False


def log(event: str, fields: Mapping[str, object], level: int = logging.INFO) -> None:
    """Write ``event`` with ``fields``."""
    if LOGGER.isEnabledFor(level):
        LOGGER.log(level, event, extra={"fields": fields})


def log_fault(request: str, fault: Exception, with_message: bool) -> None:
    """Write where in our code ``fault`` arose; its own words, which may quote texts, if ``with_message``."""
    fields = {"id": request, **_place(fault)}
    log("fault", fields | ({"message": str(fault)} if with_message else {}), logging.ERROR)


def _place(fault: BaseException) -> dict[str, object]:
    frames = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(fault.__traceback__)]
    return {"kind": type(fault).__name__, "at": frames[-8:]}


def _fields(record: logging.LogRecord) -> Mapping[str, object]:
    told = getattr(record, "fields", {})
    fault = record.exc_info[1] if record.exc_info else None
    return told if fault is None else {**told, **_place(fault)}


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


class _JSONLines(logging.Formatter):
    @override
    def format(self, record: logging.LogRecord) -> str:
        head = {"time": _time(record), "level": record.levelname.lower(), "event": record.getMessage()}
        return json.dumps(head | dict(_fields(record)), default=str)


class _Plain(logging.Formatter):
    @override
    def format(self, record: logging.LogRecord) -> str:
        told = "".join(f" {name}={_word(value)}" for name, value in _fields(record).items())
        return f"{_time(record)} {record.levelname.lower()} {record.getMessage()}{told}"


def _word(value: object) -> str:
    """A value as one word of ASCII, so that no line can be forged."""
    text = str(value)
    return text if text.isascii() and text.isprintable() and " " not in text else json.dumps(text)
