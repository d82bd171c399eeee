"""Schemas of requests in the OpenAPI document."""

from typing import Any, cast

from pydantic import BaseModel


def json_body(model: type[BaseModel]) -> dict[str, Any]:
    """Entry of the OpenAPI document for a request whose body is ``model`` in JSON.

    Its parts stand where they are used: a reference would look for them in the whole document.
    """
    schema = model.model_json_schema()
    parts = schema.pop("$defs", {})
    content = {"application/json": {"schema": _put_in(schema, parts)}}
    return {"requestBody": {"required": True, "content": content}}


def _put_in(value: Any, parts: dict[str, Any]) -> Any:
    if isinstance(value, list):
        return [_put_in(each, parts) for each in cast(list[Any], value)]
    if not isinstance(value, dict):
        return value
    given = cast(dict[str, Any], value)
    if "$ref" in given:
        return _put_in(parts[given["$ref"].rpartition("/")[2]], parts)
    return {name: _put_in(each, parts) for name, each in given.items()}
