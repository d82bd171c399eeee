"""Schema of a spec tree, read from its JSON schema: keys, kinds, types and meaning of every node."""

import functools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel

from whyformer.spec import meanings

# A JSON schema is by nature a free mapping; `Any` stays inside this file.
Schema = Mapping[str, Any]

_TYPES = {
    "integer": "int",
    "number": "float",
    "string": "text",
    "path": "path",
    "directory-path": "folder",
    "data-directory-path": "folder",
    "boolean": "true or false",
    "object": "mapping",
    "null": "null",
}
_BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


@dataclass(frozen=True)
class Node:
    """One place of a spec tree: a key's value, a list's element, or the root.

    What stands below it is read once: a check of one recipe asks for it thousands of times.
    """

    schema: Schema
    """The place's own JSON schema, references resolved."""
    definitions: Schema
    """The schemas of all specs in the tree, by name."""
    field: tuple[str, str] | None = None
    """The spec that has it as a key, as ``module:class``, and the key."""

    @staticmethod
    @functools.cache
    def root(spec_type: type[BaseModel]) -> "Node":
        """The node that stands for a whole ``spec_type``, made once: its schema takes some 40 ms."""
        schema = spec_type.model_json_schema()
        return Node(schema, schema.get("$defs", {})).resolved()

    def resolved(self) -> "Node":
        """The same node with its own reference, if it has one, replaced by what it points to."""
        reference = self.schema.get("$ref")
        if reference is None:
            return self
        target = self.definitions[reference.rpartition("/")[2]]
        own = {key: value for key, value in self.schema.items() if key != "$ref"}
        return Node({**target, **own}, self.definitions, self.field)

    @functools.cached_property
    def alternatives(self) -> "tuple[Node, ...]":
        """Nodes that may stand here: the members of a union, nested ones included; ``null`` is left out."""
        members = self.schema.get("oneOf") or self.schema.get("anyOf")
        if members is None:
            return () if self.schema.get("type") == "null" else (self,)
        return tuple(node for member in members for node in self._at(member).alternatives)

    @functools.cached_property
    def keys(self) -> "dict[str, Node]":
        """The keys of a spec; empty where something else stands."""
        spec = self.schema.get("$comment")
        return {
            name: replace(self._at(schema), field=spec and (spec, name))
            for name, schema in self.schema.get("properties", {}).items()
        }

    @functools.cached_property
    def renamed(self) -> dict[str, str]:
        """The present names of a spec's keys by what they were called once (``formerly`` of their fields)."""
        properties = self.schema.get("properties", {})
        return {schema["formerly"]: name for name, schema in properties.items() if "formerly" in schema}

    @functools.cached_property
    def kinds(self) -> "dict[str, Node]":
        """The specs to choose among by ``kind``."""
        return {
            kind: spec
            for spec in self.alternatives
            if "kind" in spec.keys
            for kind in spec.keys["kind"].constants
        }

    @property
    def presets(self) -> Mapping[str, Mapping[str, object]]:
        """The values that the key ``preset`` can start from here, by name."""
        return self.schema.get("presets", {})

    @property
    def constants(self) -> tuple[str, ...]:
        """The words that may stand here, as ``Literal`` lists them."""
        if "const" in self.schema:
            return (str(self.schema["const"]),)
        return tuple(str(value) for value in self.schema.get("enum", ()))

    @property
    def meaning(self) -> str:
        """The docstring under the field, else of the spec there, on one line, without its markup."""
        under = meanings(self.field[0]).get(self.field[1]) if self.field else None
        text = self.schema.get("description", "") if under is None else under
        return " ".join(str(text).replace("``", "`").split())

    @property
    def text(self) -> str:
        """Type of what may stand here, in a few words: ``int ≥ 1``, ``layer | rms``, ``list of float``."""
        kinds = [f"{{kind: {' | '.join(self.kinds)}}}"] if self.kinds else []
        words = [node._word for node in self.alternatives if "kind" not in node.keys]
        return " | ".join([*kinds, *words, *self.null])

    @property
    def null(self) -> tuple[str, ...]:
        """The word ``null``, where the place may be empty."""
        return ("null",) if {"type": "null"} in self.schema.get("anyOf", ()) else ()

    @functools.cached_property
    def array(self) -> "Node | None":
        """The list that may stand here, if one may."""
        return next((node for node in self.alternatives if node.schema.get("type") == "array"), None)

    @property
    def elements(self) -> "dict[str, Node]":
        """Elements of the list (``N``) or of the free mapping (``NAME``) that may stand here."""
        free = (node.child("") for node in self.alternatives if not node.keys)
        inner = {"N": self.array and self.array.child(0), "NAME": next(filter(None, free), None)}
        return {step: node for step, node in inner.items() if node is not None}

    @property
    def only(self) -> "Node":
        """The one thing that may stand here; the node itself where there are several."""
        return self.alternatives[0] if len(self.alternatives) == 1 else self

    def spec(self, value: Mapping[str, object]) -> "Node | None":
        """The spec that ``value`` describes: the one of its kind, or the only one there is."""
        if "kind" in value:
            return self.kinds.get(str(value["kind"]))
        specs = [alternative for alternative in self.alternatives if alternative.keys]
        return specs[0] if len(specs) == 1 else None

    def child(self, step: str | int) -> "Node | None":
        """The node under a key or index, or None where the schema knows nothing of it."""
        match step:
            case str() if step in self.keys:
                return self.keys[step]
            case str():
                inner = self.schema.get("additionalProperties")
            case int():
                fixed = self._fixed
                return fixed[step] if step < len(fixed) else self._item
        return self._at(inner) if isinstance(inner, Mapping) else None

    @functools.cached_property
    def _fixed(self) -> "tuple[Node, ...]":
        """The first elements of a list, each of which has a schema of its own."""
        return tuple(self._at(schema) for schema in self.schema.get("prefixItems", ()))

    @functools.cached_property
    def _item(self) -> "Node | None":
        """Any other element of a list."""
        schema = self.schema.get("items")
        return self._at(schema) if isinstance(schema, Mapping) else None

    def _at(self, schema: Schema) -> "Node":
        return Node(schema, self.definitions).resolved()

    @property
    def _word(self) -> str:
        """The text of one alternative."""
        if self.constants:
            return " | ".join(self.constants)
        if self.schema.get("type") == "array":
            element = self.child(0)
            return f"list of {element.text}" if element else "list"
        bounds = [f"{sign} {self.schema[name]:g}" for name, sign in _BOUNDS.items() if name in self.schema]
        named = self.schema.get("format") or self.schema.get("type")
        return " ".join([_TYPES.get(str(named), "any value"), ", ".join(bounds)]).rstrip()


ANYTHING = Node({}, {})
"""A place of which the schema says nothing."""


@dataclass(frozen=True)
class Key:
    """One key of a recipe, as ``whyformer recipes --keys`` lists it."""

    path: str
    """Dotted, as an override writes it; ``N`` stands for an index, ``NAME`` for a name that users choose."""
    when: str
    """The kinds that have this key, as ``path=kind``; empty where it always exists."""
    type: str
    default: str | None
    """As YAML would show it; None where the recipe must give a value."""
    meaning: str
    alike: str = ""
    """Place above that holds the same choice and has its keys listed; empty where they are listed here."""

    @property
    def head(self) -> str:
        """All but the meaning, on one line."""
        value = "(required)" if self.default is None else f"= {self.default}"
        return f"{self.path}: {self.type} {value}" + (f"   only where {self.when}" if self.when else "")

    @property
    def note(self) -> str:
        """Sentence on where the keys below it are listed; empty where that is below it."""
        return f"Its keys are those of {self.alike}." if self.alike else ""

    def __str__(self) -> str:
        return "\n    ".join(filter(None, [self.head, self.meaning, self.note]))


def describe(spec_type: type[BaseModel]) -> list[Key]:
    """Every key of ``spec_type``, depth first, in the order of the fields.

    Kinds that have a key alike share its row; a choice among kinds that holds itself is described once.
    """
    rows: dict[Key, list[str]] = {}
    for key in _rows(Node.root(spec_type), "", "", {}):
        place, _, kinds = key.when.partition("=")
        rows.setdefault(replace(key, when=place), []).append(kinds)
    return [
        replace(key, when=f"{key.when}={'|'.join(dict.fromkeys(kinds))}" if key.when else "")
        for key, kinds in rows.items()
    ]


def _rows(spec: Node, prefix: str, when: str, above: Mapping[str, str]) -> Iterator[Key]:
    """The rows of one spec's keys and of all below; ``above``: places of ancestors, to stop recursion."""
    above = {**above, str(spec.schema.get("title")): prefix}
    for name, node in spec.keys.items():
        if name != "kind":  # the place that holds the spec has told its kind already
            yield from _below(node, prefix + name, when, above)


def _below(node: Node, path: str, when: str, above: Mapping[str, str]) -> Iterator[Key]:
    """The rows of what may stand at ``path``: its kinds or type, then what lies in it."""
    specs = [alternative for alternative in node.alternatives if alternative.keys]
    kinds = node.kinds
    choice = " | ".join(kinds)
    is_told = len(kinds) > 1 and choice in above
    if kinds:
        named, alike = " | ".join([*kinds, *node.null]), above[choice] if is_told else ""
        yield Key(f"{path}.kind", when, named, _default(node), node.meaning, alike)
    elif not specs or len(specs) < len(node.alternatives) or node.null:
        yield Key(path, when, node.text, _default(node), node.meaning)
    if is_told:
        return
    if len(kinds) > 1:
        above = {**above, choice: path}
    for spec in specs:
        if spec.schema.get("title") not in above:
            chosen = f"{path}={'|'.join(spec.kinds)}" if len(kinds) > 1 else when
            yield from _rows(spec, f"{path}.", chosen, above)
    for step, inner in node.elements.items():
        if any(alternative.keys for alternative in inner.alternatives):
            yield from _below(inner, f"{path}.{step}", when, above)


def _default(node: Node) -> str | None:
    """The default of a key; of a place for a spec, the kind of its default."""
    if "default" not in node.schema:
        return None
    value = node.schema["default"]
    if isinstance(value, Mapping) and "kind" in value:
        value = value["kind"]
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)
