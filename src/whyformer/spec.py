"""The base of every spec: a frozen description that knows how to build its module."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class Spec(BaseModel):
    """A validated, immutable node of a recipe.

    Subclasses carry a ``kind`` tag where a user may choose among several, document each field with
    the string under it, and have a typed ``build(...)`` beside the module they describe. The tree of
    specs mirrors the tree of modules, so a recipe file *is* the model, written down.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        validate_default=True,
        allow_inf_nan=False,
    )

    origin: ClassVar[str] = ""
    """Where an alternative comes from: paper and section or equation; ``whyformer parts`` prints it."""
