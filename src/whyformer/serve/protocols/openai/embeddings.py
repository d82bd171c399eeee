"""Embeddings: a vector for each text, as numbers or as their bytes.

N texts · M model dimension
"""

import asyncio
import base64
from typing import Annotated, Literal, Protocol, runtime_checkable

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, field_validator
from torch import Tensor

from whyformer.data.corpora.detection.blank import is_blank
from whyformer.data.tokenizers.tokenizer import Tokenizer
from whyformer.errors import DecodingError
from whyformer.serve.protocols.asking import noted_asking
from whyformer.serve.protocols.openai.completions.request import IdList
from whyformer.serve.protocols.openai.events import while_asked
from whyformer.serve.protocols.openai.runs import as_texts, find_run, several
from whyformer.serve.refusals import InvalidRequestError
from whyformer.serve.service import Service

_TASKS = ("masked_lm", "causal_lm", "bidirectional_lm")
_MOST = 2_048
"""Maximum number of texts of a request, as with OpenAI."""


_SeenText = Annotated[str, Field(json_schema_extra={"pattern": r"^[^\u0000]*[^\s\u0000][^\u0000]*$"})]
"""Text in which there is something to see, and no NUL; what is wrong is told with its place."""


class EmbeddingRequest(BaseModel):
    """Request for the vectors of texts."""

    model_config = ConfigDict(extra="forbid", strict=True)

    model: str
    input: (
        _SeenText
        | Annotated[list[_SeenText], Field(min_length=1, max_length=_MOST)]
        | IdList
        | Annotated[list[IdList], Field(min_length=1, max_length=_MOST)]
    )
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: None = None
    user: str | None = None

    @field_validator("dimensions", mode="before")
    @classmethod
    def _dimensions(cls, given: object) -> object:
        if given is not None:
            raise ValueError("vectors have as many components as the model; leave it out")
        return given

    @field_validator("input", mode="before")
    @classmethod
    def _input(cls, given: object) -> object:
        if isinstance(given, str | list) and given:
            return given
        raise ValueError("it has to be a text, a list of texts, token ids, or a list of their lists")


class EmbeddedText(BaseModel):
    """One vector."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str
    """Components, or base64 of float32 with the least significant byte first."""


class EmbeddingUsage(BaseModel):
    """Numbers of tokens."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingList(BaseModel):
    """The answer."""

    object: Literal["list"] = "list"
    data: list[EmbeddedText]
    model: str
    usage: EmbeddingUsage


@runtime_checkable
class _HasTokenizer(Protocol):
    @property
    def tokenizer(self) -> Tokenizer: ...


class Embeddings:
    """Answers requests for embeddings."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def create(self, request: Request, body: EmbeddingRequest) -> Response:
        """Give texts vectors."""
        run = find_run(self._service, body.model, _TASKS, "makes vectors of texts")
        assert isinstance(run.runner, _HasTokenizer)
        tokenizer, asking = run.runner.tokenizer, noted_asking(request)
        texts = as_texts(several(body.input, "input"), tokenizer, "input")
        for place, text in enumerate(texts):
            if is_blank(text):
                raise InvalidRequestError(
                    f"input[{place}]: it is blank and has no vector; leave it out.", field="input"
                )
        tokens = sum(map(len, await asyncio.to_thread(tokenizer.encode_all, texts)))
        try:
            vectors = await while_asked(request, self._service.embed(run, texts, asking), asking)
        except DecodingError as error:
            raise InvalidRequestError(f"input: {error}", field="input") from error
        data = [
            EmbeddedText(index=index, embedding=_shown(vector, body.encoding_format))
            for index, vector in enumerate(vectors)
        ]
        usage = EmbeddingUsage(prompt_tokens=tokens, total_tokens=tokens)
        return JSONResponse(EmbeddingList(data=data, model=run.name, usage=usage).model_dump())


def _shown(vector: Tensor, encoding: Literal["float", "base64"]) -> list[float] | str:
    """The components of ``vector`` (M)."""
    if not vector.isfinite().all():
        raise InvalidRequestError("input: the run has no vector for one of the texts.", field="input")
    if encoding == "float":
        return vector.tolist()
    return base64.b64encode(vector.numpy().astype("<f4").tobytes()).decode()
