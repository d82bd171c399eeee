"""Inheritance of data: which of a base's files a recipe that names files of its own still has.

Settings are inherited key by key. Files are not, or a model would be chosen and scored by text of another
corpus without a word:

- where a recipe names a file of a set (``data.valid``), the set's other files are not inherited;
- where it names a test set, no other test set is, unless an override names one that there is;
- where it names a file to train on, no file of the sets that go with it is: these are the keys that the field
  ``decides``, as its schema says. Overrides are no recipe of their own: beside theirs the sets stay.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from whyformer.config.paths import children, is_location, names_path
from whyformer.config.schema import Node


class Inherited(NamedTuple):
    """What a layer takes and does not take from the layers below, where it names files of its own."""

    named: tuple[str, ...]
    """Keys under which it names files."""
    kept: tuple[str, ...]
    """Keys that come from below."""
    left_out: tuple[str, ...]
    """Keys that stand below, and whose files do not go with those that it names."""

    def sentence(self, layer: str, below: str) -> str:
        """Say it in one sentence; ``layer`` and ``below`` name the recipes."""
        named, kept, left_out = map(_listed, self)
        if not self.left_out:
            return f"{layer} names files of its own for {named} and keeps {kept} of {below}."
        if not self.kept:
            return (
                f"{layer} names files of its own for {named} and does without {left_out} of {below}: name "
                "such files, too, where they are needed."
            )
        return (
            f"{layer} names files of its own for {named}, keeps {kept} of {below}, and does without "
            f"{left_out}: name such files, too, where they are needed."
        )


def without_replaced(
    root: Node, below: Mapping[str, object], layer: Mapping[str, object], *, overrides: bool = False
) -> tuple[dict[str, object], list[Inherited]]:
    """``below`` without the files that ``layer`` replaces, and what is to be said of it."""
    told: list[Inherited] = []
    return _Pruning(told, decisive=not overrides).pruned((root,), below, layer, ""), told


class _Pruning(NamedTuple):
    """A walk through two layers at once."""

    told: list[Inherited]
    decisive: bool
    """Whether a file to train on decides about other sets."""

    def pruned(
        self, nodes: Sequence[Node], below: Mapping[str, object], layer: Mapping[str, object], prefix: str
    ) -> dict[str, object]:
        """``below`` without what ``layer`` replaces; ``prefix`` is the way there."""
        if "kind" in layer and layer["kind"] != below.get("kind", layer["kind"]):
            return dict(below)  # nothing of another kind is kept anyway
        both = {**below, **layer}
        under = {key: children(nodes, both, key) for key in both}
        files = {key for key in below if names_path(under[key], below[key])}
        # No sets at all are a choice of sets, too.
        empty = {key for key in files if layer.get(key) == {}}
        named = [key for key in layer if key in empty or names_path(under[key], layer[key])]
        decided = self._decided(named, under) & files
        sets = any("decides" in node.schema for places in under.values() for node in places)
        # The files of one set are beside one another; the sets are not.
        beside = not sets and any(is_location(under[key]) for key in named)
        apart = {key for key in files if key in decided or (beside and is_location(under[key]))}
        dropped = apart - set(layer)
        kept = {key: value for key, value in below.items() if key not in dropped}
        for key in files & set(layer) - dropped:
            old, new = below[key], layer[key]
            if isinstance(old, Mapping) and isinstance(new, Mapping):
                old = _without_files(under[key], old) if key in decided else old
                again = not self.decisive and new.keys() <= old.keys()
                if key in named and not again and any("NAME" in node.elements for node in under[key]):
                    # Sets by name: those that are not named again are gone; of the others each is looked at.
                    old = {name: value for name, value in old.items() if name in new}
                kept[key] = self.pruned(under[key], old, new, f"{prefix}{key}.")
        if named and sets:
            rest = [key for key in kept if key not in layer and key != "kind"]
            gone = [key for key in below if key in dropped and key not in layer]
            if rest or gone:
                keys = ([f"{prefix}{key}" for key in group] for group in (named, rest, gone))
                self.told.append(Inherited(*map(tuple, keys)))
        return kept

    def _decided(self, named: Sequence[str], under: Mapping[str, Sequence[Node]]) -> set[str]:
        """The keys whose files go with those that are ``named``, and with no others."""
        if not self.decisive:
            return set()
        return {other for key in named for node in under[key] for other in node.schema.get("decides", ())}


def _without_files(nodes: Sequence[Node], value: Mapping[str, object]) -> dict[str, object]:
    """``value`` at ``nodes`` without what says where a file lies."""
    kept: dict[str, object] = {}
    for key, inner in value.items():
        under = children(nodes, value, key)
        if isinstance(inner, Mapping) and not is_location(under):
            kept[key] = _without_files(under, inner)
        elif not names_path(under, inner):
            kept[key] = inner
    return kept


def _listed(keys: Sequence[str]) -> str:
    *most, last = keys or ("",)
    return f"{', '.join(most)} and {last}" if most else last
