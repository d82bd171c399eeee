"""Completions by the unmodified client: whole, streamed, cut, scored, drawn, translated."""

import json
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("openai", reason="the extra clients is not installed")

import openai
from openai import OpenAI

from serve.protocols.openai_server import LiveService, client, hosted, post, serving
from whyformer.decoding.greedy import GreedySpec
from whyformer.runs.load import load
from whyformer.serve.refusals import OverloadedError
from whyformer.tasks.causal_lm.generator import Generator
from whyformer.tasks.translation.translator import Translator

pytestmark = pytest.mark.filterwarnings("ignore::whyformer.errors.WhyformerNote")
PROMPTS = ["one two", "three four five", "si", "", "two three "]


@pytest.fixture(scope="module")
def generator(counting_run: Path) -> Generator:
    found = load(counting_run, device="cpu")
    assert isinstance(found, Generator)
    return found


@pytest.fixture(scope="module")
def translator(reverse_run: Path) -> Translator:
    found = load(reverse_run, device="cpu")
    assert isinstance(found, Translator)
    return found


@pytest.fixture(scope="module")
def service(generator: Generator, translator: Translator) -> LiveService:
    return LiveService(
        [hosted("counting", "causal_lm", generator), hosted("team/reverse", "translation", translator)]
    )


@pytest.fixture(scope="module")
def port(service: LiveService) -> Iterator[int]:
    with serving(service) as port:
        yield port


@pytest.fixture(scope="module")
def api(port: int) -> Iterator[OpenAI]:
    with client(port) as api:
        yield api


def streamed(api: OpenAI, **request: Any) -> dict[int, tuple[str, str | None]]:
    """The text and the reason of its end of each choice of a stream."""
    texts: dict[int, tuple[str, str | None]] = {}
    for event in api.completions.create(model="counting", stream=True, **request):
        for choice in event.choices:
            text, reason = texts.get(choice.index, ("", None))
            assert reason is None
            texts[choice.index] = text + choice.text, choice.finish_reason
    return texts


def whole(api: OpenAI, **request: Any) -> dict[int, tuple[str, str | None]]:
    answer = api.completions.create(model="counting", **request)
    return {choice.index: (choice.text, choice.finish_reason) for choice in answer.choices}


def test_models_are_the_runs(api: OpenAI) -> None:
    assert [each.id for each in api.models.list()] == ["counting", "team/reverse"]
    assert api.models.retrieve("team/reverse").created == 1_700_000_000
    with pytest.raises(openai.NotFoundError, match="no run 'gpt-4'") as told:
        _ = api.models.retrieve("gpt-4")
    assert told.value.code == "model_not_found"
    assert told.value.param == "model"


@pytest.mark.parametrize("prompt", PROMPTS)
def test_temperature_0_is_the_greedy_search(api: OpenAI, generator: Generator, prompt: str) -> None:
    search = GreedySpec(longest_factor=0.0, longest_extra=16)
    expected = generator.generate([prompt], search)[0][0]
    answer = api.completions.create(model="counting", prompt=prompt, temperature=0)
    (choice,) = answer.choices
    assert prompt.rstrip(" ") + expected.text == prompt.rstrip(" ") + (
        " " * prompt.endswith(" ") + choice.text
    )
    assert choice.finish_reason == ("stop" if expected.finished else "length")
    assert answer.usage is not None
    assert answer.usage.completion_tokens == expected.written
    assert answer.usage.prompt_tokens == len(generator.tokenizer.encode(prompt.rstrip(" ")))
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


@pytest.mark.parametrize(
    "request_",
    [
        {"prompt": PROMPTS, "temperature": 0, "max_tokens": 9},
        {"prompt": PROMPTS[:2], "n": 2, "temperature": 1.5, "seed": 5, "max_tokens": 9},
        {"prompt": "one", "temperature": 0, "stop": [" three", " four"], "max_tokens": 30},
        {"prompt": "one", "temperature": 0, "stop": "e fou", "max_tokens": 30, "echo": True},
        {"prompt": "one", "temperature": 0, "stop": "never", "max_tokens": 30},
        {"prompt": "one", "max_tokens": 0, "echo": True},
        {"prompt": "two three", "seed": 1, "logprobs": 2, "max_tokens": 6},
        {"prompt": "two", "seed": 3, "logit_bias": {"40": -100, "41": -100}, "max_tokens": 6},
    ],
    ids=lambda request: ",".join(request),
)
def test_a_stream_is_what_comes_whole(api: OpenAI, request_: dict[str, Any]) -> None:
    assert streamed(api, **request_) == whole(api, **request_)


def test_a_stop_is_cut_across_tokens_and_nothing_of_it_is_shown(api: OpenAI) -> None:
    text = whole(api, prompt="one", temperature=0, max_tokens=30)[0][0]
    for start in range(1, len(text) - 4):
        stop = text[start : start + 4]
        assert streamed(api, prompt="one", temperature=0, max_tokens=30, stop=stop)[0] == (
            text[: text.find(stop)],
            "stop",
        )


def test_a_stream_comes_in_pieces_and_tells_its_usage_last(api: OpenAI) -> None:
    request: dict[str, Any] = {"prompt": "one", "temperature": 0, "max_tokens": 12}
    events = [
        *api.completions.create(
            model="counting", stream=True, stream_options={"include_usage": True}, **request
        )
    ]
    assert len(events) > 4
    assert all(event.usage is None for event in events[:-1])
    assert events[-1].choices == []
    assert events[-1].usage == api.completions.create(model="counting", **request).usage
    assert len({event.id for event in events}) == 1


def test_a_seed_repeats_and_none_does_not(api: OpenAI) -> None:
    request: dict[str, Any] = {"prompt": "one two", "temperature": 2.0, "max_tokens": 12}
    assert whole(api, seed=11, **request) == whole(api, seed=11, **request)
    assert len({whole(api, **request)[0][0] for _ in range(8)}) > 1
    several = whole(api, seed=11, n=6, **request)
    assert len({text for text, _ in several.values()}) > 1
    assert several[0] == whole(api, seed=11, **request)[0]


def test_the_best_of_many_are_those_with_the_likeliest_tokens(api: OpenAI) -> None:
    request: dict[str, Any] = {"prompt": "one", "temperature": 2.0, "seed": 4, "logprobs": 0, "max_tokens": 4}
    every = api.completions.create(model="counting", n=5, **request)
    best = api.completions.create(model="counting", n=1, best_of=5, **request)
    assert best.choices[0].text in [choice.text for choice in every.choices]
    with pytest.raises(openai.BadRequestError, match="best_of") as told:
        _ = api.completions.create(model="counting", prompt="one", n=1, best_of=2, stream=True)
    assert told.value.param == "best_of"


def test_tokens_and_text_are_the_same_prompt(api: OpenAI, generator: Generator) -> None:
    ids = generator.tokenizer.encode("two three four")
    request: dict[str, Any] = {"temperature": 0, "max_tokens": 5}
    asked = [whole(api, prompt=prompt, **request) for prompt in (ids, [ids], "two three four")]
    assert asked[0] == asked[1]
    assert asked[0][0][0].startswith(asked[2][0][0][:4])
    assert whole(api, prompt=ids, echo=True, max_tokens=0)[0][0] == "two three four"
    with pytest.raises(openai.BadRequestError, match="outside this run's"):
        _ = whole(api, prompt=[9999], **request)


@pytest.mark.parametrize("echo", [False, True])
@pytest.mark.parametrize("prompt", ["two three", "si", ""])
def test_log_probabilities_are_those_of_the_search(
    api: OpenAI, generator: Generator, prompt: str, echo: bool
) -> None:
    answer = api.completions.create(
        model="counting", prompt=prompt, temperature=0, max_tokens=8, logprobs=3, echo=echo
    )
    (choice,) = answer.choices
    told = choice.logprobs
    assert told is not None
    assert told.tokens is not None
    assert told.token_logprobs is not None
    assert told.top_logprobs is not None
    assert told.text_offset is not None
    assert len(told.tokens) == len(told.token_logprobs) == len(told.top_logprobs) == len(told.text_offset)
    for token, value, best in zip(told.tokens, told.token_logprobs, told.top_logprobs, strict=True):
        assert best[token] == pytest.approx(value, abs=1e-4)
        assert max(best.values()) <= 0
        assert 3 <= len(best) <= 4
    assert told.text_offset == sorted(told.text_offset)
    if not echo:
        search = GreedySpec(longest_factor=0.0, longest_extra=8)
        expected = generator.generate([prompt], search)[0][0]
        assert len(told.tokens) == len(expected.ids)
        if not expected.finished and not expected.completing:
            assert sum(told.token_logprobs) == pytest.approx(expected.score, abs=1e-3)
    else:
        assert len(told.tokens) > len(generator.tokenizer.encode(prompt))


def test_translations_are_completions(api: OpenAI, translator: Translator) -> None:
    texts = ["0 1 2", "4 3", ""]
    answer = api.completions.create(model="team/reverse", prompt=texts)
    assert [choice.text for choice in answer.choices] == translator.best(texts)
    alternatives = api.completions.create(model="team/reverse", prompt=texts[0], n=3, logprobs=1)
    assert len({choice.text for choice in alternatives.choices}) == 3
    assert alternatives.choices[0].text == translator.best(texts[:1])[0]
    (event,) = [*api.completions.create(model="team/reverse", prompt=texts[1], stream=True)]
    assert event.choices[0].text == translator.best([texts[1]])[0]
    ids = translator.tokenizers.source.encode(texts[0])
    assert api.completions.create(model="team/reverse", prompt=ids).choices[0].text == (
        answer.choices[0].text
    )
    with pytest.raises(openai.BadRequestError, match="echo"):
        _ = api.completions.create(model="team/reverse", prompt=texts[0], echo=True)


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        ({"suffix": "x"}, "suffix"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"presence_penalty": -1}, "presence_penalty"),
        ({"logit_bias": {"5": 3}}, "logit_bias"),
        ({"n": 0}, "n"),
        ({"n": 2, "best_of": 1}, "best_of"),
        ({"prompt": ["a"] * 65, "n": 2}, "n"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": "5"}, "max_tokens"),
        ({"temperature": 3}, "temperature"),
        ({"stop": ["a"] * 5}, "stop"),
        ({"stop": ""}, "stop"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [1, "a"]}, "prompt"),
        ({"prompt": [1, 99_999]}, "prompt"),
        ({"prompt": [[1], [2, 10**9]]}, "prompt"),
        ({"prompt": "one " * 60}, "prompt"),
        ({"prompt": "a\0b"}, "prompt"),
        ({"logprobs": 9}, "logprobs"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"nonsense": 1}, "nonsense"),
        ({"model": None}, "model"),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_refused_by_its_field(
    port: int, request_: dict[str, Any], field: str | None
) -> None:
    body = {"model": "counting", "prompt": "one", **request_}
    status, _, answer = post(port, "/v1/completions", json.dumps(body).encode())
    assert status == 400
    assert set(answer["error"]) == {"message", "type", "param", "code"}
    assert answer["error"]["type"] == "invalid_request_error"
    assert answer["error"]["param"] == field


def test_the_client_asks_again_when_it_is_told_to(port: int, service: LiveService) -> None:
    service.refusals = [OverloadedError("the queue is full.", retry_after=1)]
    with client(port, retries=1) as api:
        stream = api.completions.create(model="counting", prompt="one", temperature=0, stream=True)
        assert "".join(event.choices[0].text for event in stream)
    assert service.refusals == []
    service.refusals = [OverloadedError("the queue is full.", retry_after=1)]
    body = json.dumps({"model": "counting", "prompt": "one", "stream": True, "temperature": 0}).encode()
    status, head, answer = post(port, "/v1/completions", body)
    assert (status, head["retry-after"]) == (429, "1")
    assert answer["error"]["code"] == "rate_limit_exceeded"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(string.printable + "中\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FIELDS = ["prompt", "n", "stop", "seed", "logprobs", "temperature", "top_p", "logit_bias", "best_of", "echo"]
SOUND = {
    "prompt": st.sampled_from([*PROMPTS, ["one", "two"], [5, 6]]),
    "n": st.integers(1, 3),
    "best_of": st.integers(1, 3),
    "stop": st.sampled_from([" three", [" ", "e"], []]),
    "seed": st.integers(-(2**62), 2**62),
    "logprobs": st.integers(0, 5),
    "temperature": st.floats(0, 2),
    "top_p": st.floats(0, 1),
    "max_tokens": st.integers(0, 60),
    "echo": st.booleans(),
    "logit_bias": st.dictionaries(st.sampled_from(["5", "40", "3", "99999"]), st.just(-100), max_size=2),
}


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=3), st.data())
def test_whatever_is_asked_is_answered_or_refused(port: int, odd: dict[str, object], data: Any) -> None:
    """Never a status 500, never 422, always one sentence."""
    sound = data.draw(st.fixed_dictionaries({}, optional=SOUND))
    body: dict[str, Any] = {"model": "counting", "max_tokens": 4, **sound, **odd}
    status, _, answer = post(port, "/v1/completions", json.dumps(body).encode())
    assert status in (200, 400), answer
    if status == 400:
        assert answer["error"]["message"].endswith(".")
    elif "n" not in odd:
        prompts = len(body["prompt"]) if isinstance(body.get("prompt"), list) else 1
        assert len(answer["choices"]) % (body.get("n") or 1) == 0
        assert len(answer["choices"]) <= prompts * (body.get("n") or 1)
