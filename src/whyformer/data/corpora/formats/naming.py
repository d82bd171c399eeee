"""Short ways to name files in a recipe: a path alone, a list of paths, a spec without its kind."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from pydantic import GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from whyformer.data.corpora.formats.tables import format_of
from whyformer.data.corpora.held_out import refuse_share


class FileByPath:
    """Tells the schema that a single path may stand for the list of it."""

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [handler(core_schema), {"type": "string", "format": "path"}]}


class PairsByPath:
    """Tells the schema that a path, or a list, may stand where a spec of pairs is due."""

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        spec = handler(core_schema)
        path = {"type": "string", "format": "path"}
        return {"anyOf": [spec, path, {"type": "array", "items": {"anyOf": [spec, path]}}]}


def listed(data: object) -> object:
    """``data`` of a spec, with each set that is a single file as the list of it."""
    if not isinstance(data, Mapping):
        return data
    given = dict(cast(Mapping[str, object], data))
    for key in {"train", "valid"} & given.keys():
        given[key] = _as_list(given[key])
    refuse_share(given.get("test"))
    match given.get("test"):
        case Mapping() as test:
            sets = cast(Mapping[str, object], test)
            given["test"] = {name: _as_list(files) for name, files in sets.items()}
        case str() | Path() as file:
            given["test"] = {"test": [file]}
        case _:
            pass
    return given


def _as_list(files: object) -> object:
    match files:
        case str() | Path() | {"url": _}:
            return [files]
        case _:
            return files


def named_pairs_at(sets: object, like: object = None) -> object:
    """The specs, see ``pairs_at``, of sets of pairs by their names.

    What holds no names is left as it is, for validation to refuse.

    Raises:
        ValueError: the ending of a file does not tell its kind.
    """
    if not isinstance(sets, Mapping):
        return sets
    return {name: pairs_at(files, like) for name, files in cast(Mapping[str, object], sets).items()}


def pairs_at(value: object, like: object = None) -> object:
    """The spec, as a recipe writes it, of what may be only a path, a list of paths, or lack its kind.

    A bare path is read like ``like``, another spec, where their kinds agree: with its columns and header.

    Raises:
        ValueError: the ending of a file does not tell its kind.
    """
    match value:
        case str() | Path():
            kind = _kind_of(str(value))
            same = cast(Mapping[str, object], like) if isinstance(like, Mapping) else {}
            return {**(same if same.get("kind") == kind else {}), "kind": kind, "path": value}
        case list() | tuple():
            parts = cast(Sequence[object], value)
            return {"kind": "joined", "parts": [pairs_at(part, like) for part in parts]}
        case {"url": str() as url}:
            return {"kind": _kind_of(url), "path": value}
        case Mapping() if "kind" not in value:
            given = cast(Mapping[str, object], value)
            match given:
                case {"path": str() | Path() as path}:
                    return {"kind": _kind_of(str(path)), **given}
                case {"source": _, "target": _}:
                    return {"kind": "text", **given}
                case _:
                    return value
        case _:
            return value


def _kind_of(name: str) -> str:
    kind = format_of(name)
    if kind is None:
        raise ValueError(
            f"{name}: its ending does not tell how to find pairs in it; name a .tsv, .csv or .jsonl file, "
            "say kind and path, or {source: FILE, target: FILE} for two files side by side"
        )
    return kind
