"""Requests for completions, and the way to search that they ask for."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from whyformer.decoding.overrides import SearchChoice, SearchKind
from whyformer.decoding.search import SearchSpec
from whyformer.serve.protocols.bodies import NO_NUL
from whyformer.serve.refusals import InvalidRequestError
from whyformer.special_tokens import EOS

_COLDEST = 1e-5
"""Temperature below which the likeliest token is taken: in float32, dividing by it would overflow."""
_USUAL_LENGTH = 16
"""IdList that OpenAI writes where a request does not say how many."""
_FORBID = -100.0
"""Bias by which OpenAI forbids a token, the only one that a search here has."""
_LARGEST_SEED = 2**63 - 1
_LARGEST_ID = 2**31 - 1
_NEVER = (
    "a text is only written on from its prompt here",
    "the search has no such penalty, and takes only 0",
)

MOST_CHOICES = 128
"""Maximum number of texts that one request may have written."""

ChoiceCount = Annotated[int, Field(ge=1, le=MOST_CHOICES)]
Stop = Annotated[str, Field(min_length=1)]
_Text = Annotated[str, Field(json_schema_extra={"pattern": NO_NUL})]
PromptTexts = Annotated[list[_Text], Field(min_length=1, max_length=MOST_CHOICES)]
IdList = Annotated[list[Annotated[int, Field(ge=0, le=_LARGEST_ID)]], Field(min_length=1)]
Token = Annotated[str, Field(pattern=r"^[0-9]{1,9}$")]
OnlyForbid = Annotated[float, Field(ge=_FORBID, le=_FORBID)]
Zero = Annotated[float, Field(ge=0.0, le=0.0)]


class StreamOptions(BaseModel):
    """Way to stream."""

    model_config = ConfigDict(extra="forbid", strict=True)

    include_usage: bool | None = None
    """Whether a last event tells how many tokens there were."""
    include_obfuscation: bool | None = None
    """Whether to pad events to hide their lengths, which is left to the connection here."""


class CompletionRequest(BaseModel):
    """Request for texts that go on from prompts; of a run that translates, for translations of them.

    What is left out is as the run's recipe has it, but for the length of a text that goes on.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    model: str
    prompt: (
        _Text | PromptTexts | IdList | Annotated[list[IdList], Field(min_length=1, max_length=MOST_CHOICES)]
    ) = ""
    best_of: ChoiceCount | None = None
    echo: bool | None = None
    frequency_penalty: Zero | None = None
    logit_bias: dict[Token, OnlyForbid] | None = None
    logprobs: Annotated[int, Field(ge=0, le=5)] | None = None
    max_tokens: Annotated[int, Field(ge=0, le=_LARGEST_ID)] | None = None
    n: ChoiceCount | None = None
    presence_penalty: Zero | None = None
    seed: Annotated[int, Field(ge=-_LARGEST_SEED, le=_LARGEST_SEED)] | None = None
    stop: Stop | Annotated[list[Stop], Field(max_length=4)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    suffix: Literal[""] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    user: str | None = None

    @field_validator("prompt", mode="before")
    @classmethod
    def _prompt(cls, given: object) -> object:
        match given:
            case str():
                return given
            case [str(), *rest] if all(isinstance(each, str) for each in rest):
                return given
            case [[*_], *rest] if all(isinstance(each, list) for each in rest):
                return given
            case [int(), *_]:
                return given
            case _:
                raise ValueError("it has to be a text, a list of texts, token ids, or a list of their lists")

    @field_validator("suffix", mode="before")
    @classmethod
    def _suffix(cls, given: object) -> object:
        if given in ("", None):
            return given
        raise ValueError(f"{_NEVER[0]}; leave it out")

    @field_validator("frequency_penalty", "presence_penalty", mode="before")
    @classmethod
    def _penalty(cls, given: object) -> object:
        if given is None or given == 0:
            return given
        raise ValueError(f"{_NEVER[1]}; leave it out")

    @field_validator("logit_bias", mode="before")
    @classmethod
    def _bias(cls, given: object) -> object:
        if isinstance(given, dict) and any(value != _FORBID for value in given.values()):
            raise ValueError("the search can only forbid tokens, by a bias of -100; leave others out")
        return given

    @property
    def choices(self) -> int:
        """PromptTexts that are given for each prompt."""
        return self.n or 1

    @property
    def draws(self) -> int:
        """PromptTexts that are written for each prompt."""
        return max(self.choices, self.best_of or 1)

    @property
    def stops(self) -> list[str]:
        """Strings that end a text."""
        return [self.stop] if isinstance(self.stop, str) else self.stop or []

    def check(self, prompts: int) -> None:
        """Refuse what does not go together, for so many ``prompts``.

        Raises:
            InvalidRequestError: it says what.
        """
        if self.best_of is not None and self.best_of < self.choices:
            raise InvalidRequestError(
                f"best_of: {self.best_of} texts cannot give the {self.choices} that n asks for.",
                field="best_of",
            )
        if self.stream and self.draws > self.choices:
            raise InvalidRequestError(
                "best_of: which texts are best is known when all are written, so they cannot be streamed.",
                field="best_of",
            )
        if self.stream_options is not None and not self.stream:
            raise InvalidRequestError("stream_options: set stream, too.", field="stream_options")
        if any(int(id) == EOS for id in self.logit_bias or ()):
            raise InvalidRequestError(
                f"logit_bias: token {EOS} ends a text, so it cannot be forbidden; leave it out.",
                field="logit_bias",
            )
        if self.draws * prompts > MOST_CHOICES:
            raise InvalidRequestError(
                f"n: {self.draws * prompts} texts are more than the {MOST_CHOICES} of one request; ask for "
                "fewer, or send fewer prompts.",
                field="n",
            )


def search_settings(
    request: CompletionRequest, recipe: SearchSpec, seed: int, *, goes_on: bool
) -> SearchSpec:
    """The way to search that ``request`` asks for, over that of a run's ``recipe``.

    Args:
        request: what the client says.
        recipe: how the run searches by itself.
        seed: of what is drawn.
        goes_on: whether texts go on from prompts, and are short unless asked otherwise.

    Raises:
        RecipeError: a value does not fit.
    """
    changes: dict[str, object] = {}
    longest = request.max_tokens
    if longest is None and goes_on:
        longest = _USUAL_LENGTH
    if longest is not None:
        changes |= {
            "longest_factor": 0.0,
            "longest_extra": longest,
            "shortest": min(recipe.shortest, max(1, longest)),
        }
    if request.logit_bias:
        changes["forbidden"] = (*recipe.forbidden, *map(int, request.logit_bias))
    kind = _kind(request, recipe)
    if kind == "beam":
        size = recipe.size if recipe.kind == "beam" else 1
        changes |= {"size": max(size, request.draws), "n_best": request.choices}
    if kind == "sampling":
        changes |= {"samples": 1, "seed": seed}
        if request.temperature is not None:
            changes["temperature"] = request.temperature
        if request.top_p is not None:
            changes["top_p"] = request.top_p
    return SearchChoice(kind, changes).over(recipe)


def _kind(request: CompletionRequest, recipe: SearchSpec) -> SearchKind:
    heat, share = request.temperature, request.top_p
    if (heat is not None and heat < _COLDEST) or share == 0:
        return "greedy"
    return recipe.kind if heat is None and share is None else "sampling"
