"""Paths in recipes: which keys hold one, and the folder from which a relative one counts.

A key holds a path if the schema says so, by the type of its field: ``Path`` is a file, ``FolderPath`` a
folder of data, ``RunPath`` the folder of a run. Nothing here knows the keys' names.

A relative path counts from the folder of the file that it stands in. Which file that is has to be known
before recipes are laid over one another, and its interpolations are resolved after that; so in between each
path carries a mark, the number of its folder.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, cast

from pydantic import BaseModel, WithJsonSchema

from whyformer.config.schema import Node

FILE, RUN, DATA_FOLDER = "path", "directory-path", "data-directory-path"
"""Formats of the three in a JSON schema."""
RunPath = Annotated[Path, WithJsonSchema({"type": "string", "format": RUN})]
"""The folder of a run, as the type of a spec's field."""
FolderPath = Annotated[Path, WithJsonSchema({"type": "string", "format": DATA_FOLDER})]
"""A folder of data, as the type of a spec's field."""
PathUse = Literal["file", "folder", "run"]
_USES: dict[str, PathUse] = {FILE: "file", DATA_FOLDER: "folder", RUN: "run"}

_MARK = re.compile("\0([0-9]+)\0")
_MARKS = re.compile("(?:\0[0-9]+\0)*")
# A path that is nothing but another key: it brings along the mark of that.
_REFERENCE = re.compile(r"\$\{[^{}:]*\}")


class PathKey(NamedTuple):
    """A key of a recipe that holds a path."""

    key: str
    """Dotted, as an override writes it."""
    path: Path
    holds: PathUse


def paths_in(root: Node, data: Mapping[str, object]) -> list[PathKey]:
    """Every path that a recipe holds, in the order of its keys; ``data`` is the recipe, ``root`` its type."""
    found: list[PathKey] = []

    def note(key: str, text: str, place: str | None) -> str:
        if place is not None:
            found.append(PathKey(key, Path(text), _USES[place]))
        return text

    _changed((root,), data, note)
    return found


def paths_of(spec: BaseModel) -> list[PathKey]:
    """Every path that ``spec`` holds, in the order of its keys."""
    return paths_in(Node.root(type(spec)), spec.model_dump(mode="json"))


def alike_but_for_files(one: BaseModel, other: BaseModel) -> bool:
    """Whether two specs of one type differ in nothing but where their files lie."""

    def without(_key: str, text: str, place: str | None) -> str:
        return "" if place in (FILE, DATA_FOLDER) else text

    root = (Node.root(type(one)),)
    left, right = (_changed(root, spec.model_dump(mode="json"), without) for spec in (one, other))
    return left == right


def has_relative_path(value: object) -> bool:
    """Whether a spec, or anything in it, holds a path that is not absolute; found without the schema."""
    match value:
        case Path():
            return not value.is_absolute()
        case BaseModel():
            return any(has_relative_path(inner) for _, inner in value)
        case Mapping():
            return any(map(has_relative_path, value.values()))
        case list() | tuple():
            return any(map(has_relative_path, value))
        case _:
            return False


def marked(root: Node, layer: Mapping[str, object], number: int) -> Mapping[str, object]:
    """``layer`` with the ``number`` of its folder before each path that may be relative to it."""

    def mark(_key: str, text: str, place: str | None) -> str:
        whole = Path(text).is_absolute() and "${" not in text
        return text if place is None or whole or _REFERENCE.fullmatch(text) else f"\0{number}\0{text}"

    return cast(Mapping[str, object], _changed((root,), layer, mark))


def placed(root: Node, data: Mapping[str, object], folders: Sequence[Path]) -> Mapping[str, object]:
    """``data`` with every path absolute, by the ``folders`` that were marked, and without marks.

    A path without a mark counts from the first of the ``folders``. ``~`` is the home folder.
    """

    def place(_key: str, text: str, place: str | None) -> str:
        plain = unmarked(text)
        if place is None:
            return plain
        # Marks in a row: a path that was taken from another key has the mark of that key last.
        row = _MARKS.match(text)
        numbers = _MARK.findall(row[0] if row else "")
        return str(absolute(plain, folders[int(numbers[-1]) if numbers else 0]))

    return cast(Mapping[str, object], _changed((root,), data, place))


def unmarked(text: str) -> str:
    """``text`` without the marks of folders."""
    return _MARK.sub("", text)


def absolute(text: str, folder: Path) -> Path:
    """The path ``text``, which counts from ``folder`` if it is relative; ``~`` is the home folder."""
    path = Path(text)
    if text.startswith("~"):
        with suppress(RuntimeError):  # nobody of that name: then it is a file's name
            path = path.expanduser()
    path = folder.absolute() / path
    if ".." not in path.parts:
        return path
    # Behind a link `..` is not what its text says. A file that is a link itself may come to lead elsewhere.
    return path.resolve() if path.name == ".." else path.parent.resolve() / path.name


def is_location(nodes: Sequence[Node]) -> bool:
    """Whether at ``nodes`` stands where one file lies, and nothing in which other paths might stand."""
    inner = (child for node in nodes for each in node.alternatives for child in each.keys.values())
    return holds_path(nodes) == FILE and all(holds_path((child,)) is None for child in inner)


def names_path(nodes: Sequence[Node], value: object) -> bool:
    """Whether ``value`` at ``nodes`` says, anywhere in it, where a file lies, here or on the web."""
    match value:
        case str():
            return holds_path(nodes) == FILE
        case Mapping():
            return is_location(nodes) or any(
                names_path(children(nodes, value, str(key)), inner) for key, inner in value.items()
            )
        case list() | tuple():
            return any(names_path(elements(nodes, index), inner) for index, inner in enumerate(value))
        case _:
            return False


def children(nodes: Sequence[Node], value: Mapping[str, object], key: str) -> tuple[Node, ...]:
    """All that may stand under ``key`` of ``value``; where it tells no kind, in any of the kinds.

    ``key`` may also be the index of a list, as overrides write it.
    """
    found: list[Node | None] = []
    for node in nodes:
        spec = node.spec(value)
        holders = node.alternatives if spec is None else (spec,)
        found += [holder.child(holder.renamed.get(key, key)) for holder in holders]
    return tuple(node for node in found if node is not None) or (
        elements(nodes, int(key)) if key.isdecimal() else ()
    )


def elements(nodes: Sequence[Node], index: int) -> tuple[Node, ...]:
    """All that may stand at an index of the lists that may stand at ``nodes``."""
    lists = (node.array for node in nodes)
    found = (each.child(index) for each in lists if each is not None)
    return tuple(node for node in found if node is not None)


def holds_path(nodes: Sequence[Node]) -> str | None:
    """Format in JSON schema of the path that may stand at one of ``nodes``; None where none may."""
    formats = (each.schema.get("format") for node in nodes for each in node.alternatives)
    return next((str(named) for named in formats if named in _USES), None)


def _changed(
    nodes: Sequence[Node], value: object, change: Callable[[str, str, str | None], str], key: str = ""
) -> object:
    """``value`` with each text changed, by its key, itself and the kind of path that may stand there."""
    above = f"{key}." if key else ""
    match value:
        case str():
            return change(key, value, holds_path(nodes))
        case Mapping():
            return {
                name: _changed(children(nodes, value, str(name)), inner, change, f"{above}{name}")
                for name, inner in value.items()
            }
        case list() | tuple():
            return [
                _changed(elements(nodes, index), inner, change, f"{above}{index}")
                for index, inner in enumerate(value)
            ]
        case _:
            return value
