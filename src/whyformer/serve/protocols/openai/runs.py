"""Runs as OpenAI's clients name them: models."""

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel

from whyformer.data.tokenizers.tokenizer import Tokenizer
from whyformer.serve.protocols.bodies import checked_text
from whyformer.serve.refusals import InvalidRequestError, UnknownRunError
from whyformer.serve.service import HostedRun, Service

PromptInputs = list[str] | list[tuple[int, ...]]
"""Texts, or texts in tokens."""


class Model(BaseModel):
    """A run."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "whyformer"


class ModelList(BaseModel):
    """All runs."""

    object: Literal["list"] = "list"
    data: list[Model]


class Models:
    """Answers requests for models."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def list(self) -> ModelList:
        """List the runs."""
        return ModelList(data=[_model(run) for run in self._service.runs.values()])

    async def retrieve(self, name: str) -> Model:
        """Describe a run."""
        return _model(_named(self._service, name))


def _model(run: HostedRun) -> Model:
    return Model(id=run.name, created=run.created)


def find_run(service: Service, name: str, tasks: Sequence[str], doing: str) -> HostedRun:
    """The run called ``name``, whose task is one of ``tasks``: it is ``doing`` what is asked for.

    Raises:
        UnknownRunError: there is none, or it does something else.
    """
    run = _named(service, name)
    if run.task not in tasks:
        raise UnknownRunError(
            f"model: {name!r} is a run of task {run.task}; name one that {doing}.", field="model"
        )
    return run


def several(given: str | list[str] | list[int] | list[list[int]], field: str) -> PromptInputs:
    """The inputs of a ``field`` that takes one text or several, each as it is or in tokens.

    Raises:
        InvalidRequestError: one is no text that can be read.
    """
    if isinstance(given, str):
        return [checked_text(given, field)]
    texts = [each for each in given if isinstance(each, str)]
    if texts:
        return [checked_text(text, f"{field}[{place}]") for place, text in enumerate(texts)]
    ids = [each for each in given if isinstance(each, int)]
    return [tuple(ids)] if ids else [tuple(each) for each in given if isinstance(each, list)]


def as_texts(inputs: PromptInputs, tokenizer: Tokenizer, field: str) -> list[str]:
    """The texts that ``inputs`` are, for a run that reads texts only.

    Raises:
        InvalidRequestError: tokens are not those that their text is cut into.
    """
    texts: list[str] = []
    for place, each in enumerate(inputs):
        if isinstance(each, str):
            texts.append(each)
            continue
        check_ids(each, tokenizer, f"{field}[{place}]")
        text = tokenizer.decode(each)
        if tokenizer.encode(text) != [*each]:
            raise InvalidRequestError(
                f"{field}[{place}]: the run would cut their text into other tokens; send the text.",
                field=field,
            )
        texts.append(text)
    return texts


def check_ids(ids: Sequence[int], tokenizer: Tokenizer, place: str) -> None:
    """Refuse ``ids``, which stand at a ``place`` such as ``prompt[0]``, unless they are tokens of a run.

    Raises:
        InvalidRequestError: one is none.
    """
    if not all(0 <= id < tokenizer.size for id in ids):
        raise InvalidRequestError(
            f"{place}: a token id is outside this run's 0 to {tokenizer.size - 1:,}.",
            field=place.partition("[")[0],
        )


def _named(service: Service, name: str) -> HostedRun:
    run = service.runs.get(name)
    if run is None:
        raise UnknownRunError(
            f"model: there is no run {name[:80]!r} here; GET /v1/models lists those there are.", field="model"
        )
    return run
