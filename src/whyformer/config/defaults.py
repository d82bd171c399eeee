"""Defaults: a recipe's keys laid over one another, and over what it leaves out."""

import warnings
from collections.abc import Mapping, Sequence

from whyformer.config.schema import Node
from whyformer.errors import WhyformerNote


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
    presets = (node.spec(value) or usual or node).presets
    if (preset := str(value.get("preset"))) in presets:
        default = presets[preset]
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
