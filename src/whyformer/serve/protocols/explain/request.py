"""Questions to ``/v1/explain``, read and checked."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from whyformer.decoding.beam import BeamSpec
from whyformer.decoding.constraints import ConstraintsSpec
from whyformer.decoding.greedy import GreedySpec
from whyformer.decoding.search import SearchSpec
from whyformer.serve.protocols.bodies import NO_NUL, read_model
from whyformer.serve.refusals import InvalidRequestError

LARGEST_TREE = 8
"""Maximum size of a beam whose tree is shown, as the page offers it."""
_SHOWN = 4
"""Hypotheses that are shown unless a request says otherwise."""
_TEXT = 2_000
"""Maximum number of characters of a sentence; no model takes as many tokens."""

_LARGEST_ID = 2**31 - 1


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class AskedSearch(_Asked):
    """How to search; what is left out is as in the run's recipe."""

    kind: Literal["greedy", "beam"]
    size: int = Field(default=LARGEST_TREE, ge=1, le=LARGEST_TREE)
    """Number of beginnings that a beam follows side by side."""
    n_best: int = Field(default=_SHOWN, ge=1, le=LARGEST_TREE)
    """Maximum number of hypotheses to return."""

    def over(self, recipe: SearchSpec) -> GreedySpec | BeamSpec:
        """The settings of a search like this, the rest as in ``recipe``."""
        shared = {name: getattr(recipe, name) for name in ConstraintsSpec.model_fields}
        if self.kind == "greedy":
            return GreedySpec(**shared)
        beam = recipe if isinstance(recipe, BeamSpec) else BeamSpec()
        return beam.model_copy(update={**shared, "size": self.size, "n_best": min(self.n_best, self.size)})


class ExplainRequest(_Asked):
    """A sentence to look into, and one translation of it if it is not to be searched for."""

    text: str = Field(max_length=_TEXT, json_schema_extra={"pattern": NO_NUL})
    """The sentence."""
    model: str | None = Field(default=None, json_schema_extra={"pattern": NO_NUL})
    """Name of the run; the first that translates if left out."""
    translation: str | None = Field(default=None, max_length=_TEXT, json_schema_extra={"pattern": NO_NUL})
    """A translation that the model is to read as if it had written it."""
    ids: (
        Annotated[list[Annotated[int, Field(ge=0, le=_LARGEST_ID)]], Field(min_length=1, max_length=_TEXT)]
        | None
    ) = None
    """The same as tokens, as an answer before has named them."""
    finished: bool = True
    """Whether the end mark follows them."""
    search: AskedSearch | None = None
    """How to search, if it is to be searched for."""
    attention: bool = True
    """Whether attention is wanted, which is most of an answer."""
    encoding_format: Literal["float", "base64"] = "float"
    """Weights of attention as numbers, or as base64 of little-endian float32."""


async def read_question(request: Request) -> ExplainRequest:
    """The question in the body of ``request``.

    Raises:
        InvalidRequestError: a field is missing or wrong, or the body cannot be read.
    """
    asked = await read_model(request, ExplainRequest, ("text", "translation", "model"))
    if asked.translation is not None and asked.ids is not None:
        raise InvalidRequestError("translation and ids say the same; leave one of them out.", field="ids")
    return asked


def recipes_search(recipe: SearchSpec) -> AskedSearch:
    """The search of a ``recipe`` as far as a tree of it is shown."""
    if isinstance(recipe, BeamSpec):
        size = min(recipe.size, LARGEST_TREE)
        return AskedSearch(kind="beam", size=size, n_best=min(size, _SHOWN))
    return AskedSearch(kind="greedy")
