"""The base of every spec: a frozen description that knows how to build its module."""

import ast
import functools
import inspect
import textwrap
from collections.abc import Iterator
from itertools import pairwise
from pkgutil import resolve_name
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema
from typing_extensions import override


class Spec(BaseModel):
    """A validated, immutable node of a recipe.

    Subclasses carry a ``kind`` tag where a user may choose among several, document each field with
    the string under it, and have a typed ``build(...)`` beside the module they describe. The tree of
    specs mirrors the tree of modules, so a recipe file *is* the model, written down.
    """

    model_config = ConfigDict(
        frozen=True,
        defer_build=True,
        extra="forbid",
        validate_default=True,
        allow_inf_nan=False,
    )

    origin: ClassVar[str] = ""
    """Source of an alternative: paper and section or equation; ``whyformer parts`` prints it."""

    @override
    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Name the class under ``$comment``, so that ``meanings`` finds it."""
        schema = handler(core_schema)
        handler.resolve_ref_schema(schema)["$comment"] = f"{cls.__module__}:{cls.__qualname__}"
        return schema


@functools.cache
def meanings(spec_type: str) -> dict[str, str]:
    """The string under each field of a spec, named as ``module:class``, by the field's name.

    Pydantic could read them too (``use_attribute_docstrings``), but would do so for every spec when that is
    defined, which made each start a tenth of a second longer for what few commands print.
    """
    bases = [base for base in resolve_name(spec_type).__mro__ if issubclass(base, Spec) and base is not Spec]
    return {name: text for base in reversed(bases) for name, text in _described(base)}


def _described(base: type) -> Iterator[tuple[str, str]]:
    """The variables that have a string under them in the source of a class, with that string."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
    assert isinstance(definition, ast.ClassDef), "it is the source of a class"
    for variable, below in pairwise(definition.body):
        match variable, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, inspect.cleandoc(text)
            case _:
                pass
