"""Differences between two specs of a trained model, and the overrides of a recipe that end them."""

import json
from collections.abc import Iterator, Sequence
from shlex import quote

from pydantic import JsonValue

_TRAINING_ONLY = ("dropout", "deviation")
"""Fields that change nothing about a trained model."""


def spec_differences(
    ours: JsonValue, theirs: JsonValue, path: Sequence[str] = ()
) -> Iterator[tuple[str, JsonValue, JsonValue]]:
    """Places where two specs say different things about a trained model."""
    if isinstance(ours, dict) and isinstance(theirs, dict) and ours.get("kind") == theirs.get("kind"):
        for key in (key for key in ours if key not in _TRAINING_ONLY):
            yield from spec_differences(ours[key], theirs[key], (*path, key))
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, pair in enumerate(zip(ours, theirs, strict=True)):
            yield from spec_differences(*pair, (*path, str(index)))
    elif ours != theirs:
        yield ".".join(path), ours, theirs


def model_override(path: str, value: JsonValue) -> str:
    """The override that gives a key of the model a ``value``; of a part, its kind."""
    match value:
        case {"kind": str(kind)}:
            return f"model.{path}.kind={kind}"
        case _:
            return quote(f"model.{path}={json.dumps(value)}")
