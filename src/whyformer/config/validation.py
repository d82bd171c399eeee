"""Checks a recipe against its spec and reports every fault at once, each with its path and its cure."""

import difflib
import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from whyformer.config.schema import ANYTHING, Node
from whyformer.errors import RecipeError, WhyformerNote

SpecT = TypeVar("SpecT", bound=BaseModel)


def check(spec_type: type[SpecT], data: Mapping[str, object], source_name: str) -> SpecT:
    """Build a ``spec_type`` from ``data``; ``source_name`` says in messages where the data came from.

    A node that leaves out keys takes them from the default of the field it stands in (see ``completed``).

    Raises:
        RecipeError: one line for each fault: its path, what is wrong, what would be right.
    """
    root = Node.root(spec_type)
    try:
        return spec_type.model_validate(completed(root, data))
    except ValidationError as error:
        faults = _faults(root, error.errors(include_url=False))
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        raise RecipeError("\n  ".join([f"{count} in {source_name}:", *map(str, faults)])) from None


def merged(base: Mapping[str, object], change: Mapping[str, object]) -> dict[str, object]:
    """``base`` with ``change`` laid over it, key by key.

    A node of the same kind keeps the keys that the change does not mention. A node whose ``kind``
    changes keeps nothing: the keys of the old kind mean nothing to the new one. A list is replaced
    whole, or element by element where the change addresses it by index (``positions.0.kind``). A
    change that names a ``preset`` starts from that.
    """
    if "preset" in change or ("kind" in change and "kind" in base and change["kind"] != base["kind"]):
        return dict(change)
    return {**base, **{key: _laid_over(base.get(key), value) for key, value in change.items()}}


def _laid_over(old: object, new: object) -> object:
    if not isinstance(new, Mapping):
        return new
    if isinstance(old, Mapping):
        return merged(old, new)
    if isinstance(old, Sequence) and new and all(_is_index(key, old) for key in new):
        return [_laid_over(value, new.get(str(index), value)) for index, value in enumerate(old)]
    return dict(new)


def _is_index(key: object, values: Sequence[object]) -> bool:
    return isinstance(key, str) and key.isdecimal() and int(key) < len(values)


def completed(node: Node, value: Mapping[str, object]) -> dict[str, object]:
    """``value`` with the missing keys of each spec in it taken from the default of the field it stands in.

    So ``norm: {epsilon: 1e-6}`` changes one number of the default norm, whatever its kind and its other
    numbers, and an override works on a node that the recipe never mentions. Where a spec has presets,
    the key ``preset`` names the one to start from instead of the default.
    """
    default = node.schema.get("default")
    usual = node.spec(default) if isinstance(default, Mapping) else None
    value = _renamed(value, (node.spec(value) or usual or node).renamed)
    presets = (node.spec(value) or usual or node).schema.get("presets", {})
    if value.get("preset") in presets:
        default = presets[value["preset"]]
        value = {key: inner for key, inner in value.items() if key != "preset"}
    if isinstance(default, Mapping) and any(alternative.keys for alternative in node.alternatives):
        value = merged(default, value)
    spec = node.spec(value) or node
    return {key: _completed(spec.child(key), inner) for key, inner in value.items()}


def _renamed(value: Mapping[str, object], names: Mapping[str, str]) -> Mapping[str, object]:
    """``value`` with keys by their present names; where both stand, the old one was laid over the other."""
    old = [key for key in value if key in names]
    for key in old:
        warnings.warn(
            f"the key {key} is called {names[key]} now; please rename it.", WhyformerNote, stacklevel=2
        )
    kept = {key: inner for key, inner in value.items() if key not in names}
    return {**kept, **{names[key]: value[key] for key in old}} if old else value


def _completed(node: Node | None, value: object) -> object:
    match value:
        case Mapping() if node is not None:
            return completed(node, value)
        case list() | tuple() if node is not None:
            array = node.array
            return [_completed(array.child(index), v) for index, v in enumerate(value)] if array else value
        case _:
            return value


@dataclass(frozen=True)
class _Fault:
    """One thing to put right; ``cure`` may be empty where the complaint says it all."""

    path: str
    complaint: str
    cure: str

    def __str__(self) -> str:
        said = f"{self.complaint}; {self.cure}" if self.cure else self.complaint
        return f"{self.path}: {said}" if self.path else said


def _faults(root: Node, errors: Iterable[ErrorDetails]) -> list[_Fault]:
    """One fault for each path: pydantic complains once for every member of a plain union."""
    faults: dict[str, _Fault] = {}
    for error in errors:
        fault = _fault(root, error)
        faults.setdefault(fault.path, fault)
    return list(faults.values())


def _fault(root: Node, error: ErrorDetails) -> _Fault:
    place = _locate(root, error["loc"])
    path, node, given = place.path, place.union, _shown(error["input"])
    context = error.get("ctx", {})
    match error["type"]:
        case "extra_forbidden":
            holder = _locate(root, error["loc"][:-1]).member
            presets = holder.schema.get("presets", {})
            if error["loc"][-1] == "preset" and presets:
                return _Fault(path, f"unknown preset {given}", f"presets: {', '.join(presets)}")
            return _Fault(path, "unknown key", _nearest(str(error["loc"][-1]), holder))
        case "missing":
            return _Fault(path, "missing", f"should be {node.text}" + (node.meaning and f": {node.meaning}"))
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
        if len(place.member.alternatives) > 1:
            place = replace(place, member=_labelled(place.member, str(step)))
        else:
            inner = place.member.only.child(step) or ANYTHING
            place = _Place((*place.names, str(step)), inner, inner)
    return replace(place, member=place.member.only)


def _labelled(union: Node, label: str) -> Node:
    """The member of a union that pydantic calls ``label``: by kind, by class, or by container."""
    if label.startswith("tagged-union["):
        return union
    if label in union.kinds:
        return union.kinds[label]
    if label.startswith(("list[", "tuple[")):
        return union.array or ANYTHING
    named = [member for member in union.alternatives if member.schema.get("title") == label]
    return named[0] if named else ANYTHING


def _unknown_kind(path: str, kind: str, kinds: Iterable[str]) -> _Fault:
    names = list(kinds)
    near = difflib.get_close_matches(kind, names, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return _Fault(path, f"unknown kind {_shown(kind)}", f"{hint}kinds: {', '.join(names)}")


def _nearest(key: str, spec: Node) -> str:
    near = difflib.get_close_matches(key, spec.keys, n=1)
    return f"did you mean {near[0]}?" if near else f"keys here: {', '.join(spec.keys)}"


def _shown(value: object) -> str:
    """A value as YAML would show it, cut to a length that fits on one line."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."
