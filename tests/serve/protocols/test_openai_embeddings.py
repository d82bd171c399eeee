"""Embeddings by the unmodified client, which asks for base64 unless told otherwise."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("openai", reason="the extra clients is not installed")

import openai
from openai import OpenAI

from serve.protocols.openai_server import LiveService, bert, client, hosted, post, serving
from whyformer.tasks.embedding.embedder import Embedder
from whyformer.tasks.masked_lm.filler import Filler

pytestmark = pytest.mark.filterwarnings("ignore::whyformer.errors.WhyformerNote")
TEXTS = ["the cat sat", "the mat", "一 二"]


@pytest.fixture(scope="module")
def models() -> tuple[Filler, Embedder]:
    return bert()


@pytest.fixture(scope="module")
def port(models: tuple[Filler, Embedder]) -> Iterator[int]:
    filler, embedder = models
    with serving(LiveService([hosted("bert", "masked_lm", filler)], {"bert": embedder})) as port:
        yield port


@pytest.fixture(scope="module")
def api(port: int) -> Iterator[OpenAI]:
    with client(port) as api:
        yield api


def test_vectors_are_those_of_the_embedder_in_both_forms(
    api: OpenAI, models: tuple[Filler, Embedder]
) -> None:
    expected = models[1].embed(TEXTS).numpy()
    usual = api.embeddings.create(model="bert", input=TEXTS)
    plain = api.embeddings.create(model="bert", input=TEXTS, encoding_format="float")
    assert [each.index for each in usual.data] == [0, 1, 2]
    np.testing.assert_array_equal(np.array([e.embedding for e in usual.data], np.float32), expected)
    np.testing.assert_array_equal(np.array([e.embedding for e in plain.data], np.float32), expected)
    assert usual.usage.prompt_tokens == usual.usage.total_tokens
    assert usual.usage.prompt_tokens == sum(map(len, models[0].tokenizer.encode_all(TEXTS)))


def test_one_text_and_its_tokens_are_the_same(api: OpenAI, models: tuple[Filler, Embedder]) -> None:
    ids = models[0].tokenizer.encode(TEXTS[0])
    asked = [api.embeddings.create(model="bert", input=each) for each in (TEXTS[0], ids, [ids])]
    assert all(each.data == asked[0].data for each in asked)


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        ({"input": ""}, "input"),
        ({"input": ["the cat", " \n"]}, "input"),
        ({"input": []}, "input"),
        ({"input": [[]]}, "input"),
        ({"input": [99999]}, "input"),
        ({"input": {"a": 1}}, "input"),
        ({"input": "the " * 2000}, "input"),
        ({"input": ["cat", "the " * 2000]}, "input"),
        ({"input": "cat", "dimensions": 2}, "dimensions"),
        ({"input": "cat", "encoding_format": "int8"}, "encoding_format"),
        ({"input": ["cat"] * 2049}, "input"),
    ],
    ids=lambda each: str(each)[:40],
)
def test_what_cannot_be_done_is_refused_by_its_field(
    port: int, request_: dict[str, Any], field: str | None
) -> None:
    status, _, answer = post(port, "/v1/embeddings", json.dumps({"model": "bert", **request_}).encode())
    assert (status, answer["error"]["param"]) == (400, field)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"model": "\\ud800", "input": 1e400}', b"\xff\xfe{\0}\0"]
)
def test_what_is_no_request_is_refused(port: int, body: bytes) -> None:
    status, _, answer = post(port, "/v1/embeddings", body)
    assert (status, answer["error"]["type"]) == (400, "invalid_request_error")


def test_a_run_that_does_something_else_is_not_found(api: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="goes on from a prompt"):
        _ = api.completions.create(model="bert", prompt="a")
