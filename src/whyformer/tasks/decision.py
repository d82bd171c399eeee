"""Decisions: values that a recipe leaves out and that the data choose, each with its reason."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from whyformer.config.recipe_files import RecipeLayer
from whyformer.language import translated


@dataclass(frozen=True)
class Decision:
    """One key of a recipe that nobody has written, what it shall be, and why."""

    key: str
    """Dotted, as an override writes it."""
    value: str | int | float  # a bool is an int
    """As YAML would read it."""
    reason: str
    """Reason in a few words."""
    opens: bool = False
    """Whether it is a preset or a kind, which decides the other keys of its node and so lies below them."""

    @property
    def override(self) -> str:
        """The decision as somebody would write it on the command line."""
        return f"{self.key}={self.value}"

    def __str__(self) -> str:
        return f"{self.override}  ({translated(self.reason)})"


def says(said: Mapping[str, object], key: str) -> bool:
    """Whether ``said``, a recipe as it was written, has the dotted ``key``, be it with null."""
    above, _, last = key.rpartition(".")
    node = value_of(said, above) if above else said
    return isinstance(node, Mapping) and last in node


def value_of(said: Mapping[str, object], key: str) -> object:
    """Value that ``said`` has under the dotted ``key``; None where it has nothing."""
    found: object = said
    for step in key.split("."):
        found = found.get(step) if isinstance(found, Mapping) else None
    return found


def as_layer(decisions: Iterable[Decision]) -> RecipeLayer:
    """The keys of ``decisions`` as a tree, as a recipe file would have them."""
    layer: RecipeLayer = {}
    for decision in decisions:
        *above, last = decision.key.split(".")
        node = layer
        for step in above:
            inner = node.setdefault(step, {})
            assert isinstance(inner, dict), "no decision is about what lies in another's value"
            node = inner
        node[last] = decision.value
    return layer
