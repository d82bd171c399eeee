"""Checks a recipe against its spec and reports every fault at once, each with its path and its cure."""

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from whyformer.config.defaults import completed
from whyformer.config.paths import DATA_FOLDER, FILE, RUN, children, elements, holds_path
from whyformer.config.schema import ANYTHING, Node
from whyformer.errors import RecipeError

# Pydantic's name of the member of a union that is a path has this in it.
_PATH_LABEL = "path_validator"

SpecT = TypeVar("SpecT", bound=BaseModel)


def check(spec_type: type[SpecT], data: Mapping[str, object], source_name: str) -> SpecT:
    """Build a ``spec_type`` from ``data``; ``source_name`` says in messages where the data came from.

    A node that leaves out keys takes them from the default of the field it stands in (see ``completed``).

    Raises:
        RecipeError: one line for each fault: its path, what is wrong, what would be right.
    """
    root = Node.root(spec_type)
    whole = completed(root, data)
    try:
        return spec_type.model_validate(whole)
    except ValidationError as error:
        faults = _faults(root, whole, error.errors(include_url=False))
        head = f"{len(faults)} fault{'' if len(faults) == 1 else 's'} in {source_name}:"
        raise RecipeError("\n  ".join([head, *map(str, faults)])) from None


@dataclass(frozen=True)
class _Fault:
    """One thing to put right; ``cure`` may be empty where the complaint says it all."""

    path: str
    complaint: str
    cure: str

    def __str__(self) -> str:
        said = f"{self.complaint}; {self.cure}" if self.cure else self.complaint
        return f"{self.path}: {said}" if self.path else said


def _faults(root: Node, data: Mapping[str, object], errors: Iterable[ErrorDetails]) -> list[_Fault]:
    """One fault for each path: pydantic complains once for every member of a plain union.

    A node whose preset is unknown lacks all that the preset would have given, which is not told besides; nor
    is what is wrong with a mapping as a spec, where it should be a path. Of faults in one another the inner
    one is told.
    """
    presets, paths = list(_preset_faults(root, data, ())), list(_path_faults((root,), data, ()))
    without = tuple(fault.path.removesuffix("preset") for fault in presets)
    without += tuple(f"{fault.path}." for fault in paths)
    faults = {fault.path: fault for fault in (*presets, *paths)}
    for error in errors:
        fault = _fault(root, error)
        if not f"{fault.path}.".startswith(without):
            faults.setdefault(fault.path, fault)
    whole = [path for path in faults if any(other.startswith(f"{path}.") for other in faults)]
    return [fault for path, fault in faults.items() if path not in whole or not fault.cure]


def _preset_faults(node: Node, value: object, names: tuple[str, ...]) -> Iterator[_Fault]:
    """The presets that ``completed`` has left where they stand, since it knows none of that name."""
    if isinstance(value, Mapping):
        spec = node.spec(value) or node
        if "preset" in value and spec.child("preset") is None:
            yield _unknown_preset(".".join([*names, "preset"]), value["preset"], node, spec)
        for key, inner in value.items():
            yield from _preset_faults(spec.child(str(key)) or ANYTHING, inner, (*names, str(key)))
    elif isinstance(value, list | tuple) and node.array:
        for index, inner in enumerate(value):
            yield from _preset_faults(node.array.child(index) or ANYTHING, inner, (*names, str(index)))


def _path_faults(nodes: Sequence[Node], value: object, names: tuple[str, ...]) -> Iterator[_Fault]:
    """The places of a path, or of a spec that ``value`` is not meant to be, where no path stands."""
    found = [each for node in nodes for each in node.alternatives]
    specs = [each for each in found if each.keys]
    is_odd = isinstance(value, Mapping) and not any(
        each.keys.keys() & value.keys() or "kind" in each.keys for each in specs
    )
    if holds_path(nodes) and (is_odd or (len(found) == 1 and _is_no_text(value))):
        yield _no_path(names, value, nodes)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _path_faults(children(nodes, value, str(key)), inner, (*names, str(key)))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _path_faults(elements(nodes, index), inner, (*names, str(index)))


def _is_no_text(value: object) -> bool:
    return not isinstance(value, str | Path | None)


def _no_path(names: tuple[str, ...], value: object, nodes: Sequence[Node]) -> _Fault:
    """Fault of a ``value`` where a file or a folder should be named; ``names`` is the way there."""
    # The index of a list is no key that anybody writes.
    key = next(name for name in reversed(names) if not name.isdecimal())
    inside = (
        value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    )
    example = next((text for text in inside if isinstance(text, str)), "PATH")
    kinds = {FILE: "the file", DATA_FOLDER: "the folder", RUN: "the folder of a run"}
    kind = kinds[holds_path(nodes) or FILE]
    specs = [each for node in nodes for each in node.alternatives if each.keys]
    keys = " and ".join(specs[0].keys) if specs else ""
    right = (
        f"should be the path of {kind}, as in `{key}: {example}`, or a mapping of {keys}"
        if specs
        else f"should be the path of {kind}, as in `{key}: {example}`"
    )
    meaning = next((node.meaning for node in nodes if node.field), "")
    return _Fault(".".join(names), f"is {_shown(value)}", f"{right}. {meaning}" if meaning else right)


def _unknown_preset(path: str, given: object, node: Node, spec: Node) -> _Fault:
    # Without a kind it may be a preset of any.
    specs = [spec] if spec.keys else node.kinds.values()
    names = sorted({name for each in specs for name in each.presets})
    if not names:
        here = ", ".join(spec.keys) or f"kind ({', '.join(node.kinds)})"
        return _Fault(path, "unknown key", f"there are no presets here; keys here: {here}")
    hint = _hint(str(given), names)
    return _Fault(path, f"unknown preset {_shown(given)}", f"{hint}presets: {', '.join(names)}")


def _fault(root: Node, error: ErrorDetails) -> _Fault:
    place = _locate(root, error["loc"])
    path, node, given = place.path, place.union, _shown(error["input"])
    context = error.get("ctx", {})
    match error["type"]:
        case "extra_forbidden":
            holder = _locate(root, error["loc"][:-1]).member
            return _Fault(path, "unknown key", _nearest(str(error["loc"][-1]), holder))
        case "missing":
            right = f"should be {node.text}: {node.meaning}" if node.meaning else f"should be {node.text}"
            return _Fault(path, "missing", right)
        case "union_tag_not_found":
            return _Fault(f"{path}.kind", "missing", f"kinds: {', '.join(node.kinds)}")
        case "union_tag_invalid":
            return _unknown_kind(f"{path}.kind", str(context["tag"]), node.kinds)
        case "literal_error" if path.endswith("kind"):
            return _unknown_kind(path, str(error["input"]), node.constants)
        case "value_error" | "assertion_error":
            return _Fault(path, str(context["error"]), "")
        case _:
            return _Fault(path, f"is {given}", f"should be {node.text}")


@dataclass(frozen=True)
class _Place:
    """Where a fault is."""

    names: tuple[str, ...]
    """The way there, without the labels that pydantic puts in for the members of a union."""
    union: Node
    """All that may stand there."""
    member: Node
    """The member of the union that was tried."""

    @property
    def path(self) -> str:
        return ".".join(self.names)


def _locate(root: Node, location: Sequence[str | int]) -> _Place:
    place = _Place((), root, root)
    for step in location:
        array = place.member.array
        if len(place.member.alternatives) > 1 and isinstance(step, int) and array is not None:
            # Only the schema has the other members here: a single one that may stand for the list of it.
            inner = array.child(step) or ANYTHING
            place = _Place((*place.names, str(step)), inner, inner)
        elif len(place.member.alternatives) > 1:
            place = replace(place, member=_labelled(place.member, str(step)))
        else:
            inner = place.member.only.child(step) or ANYTHING
            place = _Place((*place.names, str(step)), inner, inner)
    return replace(place, member=place.member.only)


def _labelled(union: Node, label: str) -> Node:
    """The member of a union that pydantic calls ``label``: by kind, by class, or by container."""
    if label.startswith("tagged-union["):
        return union
    if _PATH_LABEL in label and not label.startswith(("list[", "tuple[")):
        named = [member for member in union.alternatives if member.schema.get("format") in (FILE, RUN)]
        return named[0] if named else ANYTHING
    if label in union.kinds:
        return union.kinds[label]
    if label.startswith(("list[", "tuple[")):
        return union.array or ANYTHING
    named = [member for member in union.alternatives if member.schema.get("title") == label]
    return named[0] if named else ANYTHING


def _unknown_kind(path: str, kind: str, kinds: Iterable[str]) -> _Fault:
    names = list(kinds)
    return _Fault(path, f"unknown kind {_shown(kind)}", f"{_hint(kind, names)}kinds: {', '.join(names)}")


def _hint(given: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(given, names, n=1, cutoff=0.5)
    return f"did you mean {near[0]}? " if near else ""


def _nearest(key: str, spec: Node) -> str:
    near = difflib.get_close_matches(key, spec.keys, n=1)
    return f"did you mean {near[0]}?" if near else f"keys here: {', '.join(spec.keys)}"


def _shown(value: object) -> str:
    """A value as YAML would show it, cut to a length that fits on one line."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."
