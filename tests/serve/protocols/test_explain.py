"""A look inside over HTTP has the shape of the page's own engine, and its numbers."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("fastapi", reason="needs fastapi: the extra [serve]")

import httpx2

from browser.javascript import needs_node, run_modules
from engines.toy_models import needs_engines
from serve.protocols.serving import running, small_application
from whyformer.browser.tokenizers import page_tokenizer
from whyformer.decoding.beam import BeamSpec
from whyformer.decoding.search import SearchSpec
from whyformer.engines.native.engine import NativeEngine
from whyformer.engines.webassembly import build
from whyformer.engines.webassembly.model_file import model_bytes
from whyformer.runs.load import load_as
from whyformer.serve.languages import LanguagePair
from whyformer.serve.protocols.explain import answer
from whyformer.serve.protocols.explain.answer import heads_of, look_into
from whyformer.serve.protocols.explain.request import ExplainRequest
from whyformer.serve.protocols.explain.router import explain_router
from whyformer.serve.service import HostedRun, Service
from whyformer.serve.text_facts import TextFacts
from whyformer.special_tokens import EOS, PAD
from whyformer.tasks.translation.translator import Translator

pytestmark = pytest.mark.filterwarnings("ignore::whyformer.errors.WhyformerNote")


@pytest.fixture(scope="module")
def translator(reverse_run: Path) -> Translator:
    return load_as(Translator, reverse_run)


@pytest.fixture(scope="module")
def direct(translator: Translator) -> Iterator[httpx2.Client]:
    run = HostedRun(
        "mirror", "translation", translator, "ab" * 32, 1_700_000_000, texts=TextFacts(examples=("0 1",))
    )
    service = Service([run])
    application = small_application(explain_router(service, {"mirror": LanguagePair("en", "zh")}))
    with running(application) as address, httpx2.Client(base_url=address, timeout=60) as client:
        yield client


def ask(direct: httpx2.Client, **asked: Any) -> dict[str, Any]:
    found = direct.post("/v1/explain", json=asked)
    assert found.status_code == 200, found.text
    return found.json()


# The page's own engine

PROGRAM = """
import { PageTranslator } from "./runtime/translator.js";
const { data, asked } = cases;
const translator = await PageTranslator.load(data);
const plain = (look) => look && {
  ...look,
  attention: look.attention.map((each) => ({ ...each, weights: [...each.weights] })),
};
tell({
  facts: translator.facts,
  found: asked.map((each) => {
    const result = translator.translate(each);
    const own = plain(translator.look({ ...each, translation: "1 0" }));
    return { ...result, look: plain(result.look), own };
  }),
});
"""


@needs_node
@needs_engines
def test_answers_are_those_of_the_pages_engine(translator: Translator, tmp_path: Path):
    random, words = Random(3), translator.tokenizers.source.pieces[4:]
    searches: list[Any] = [
        {"kind": "greedy"},
        {"kind": "beam", "size": 3, "n_best": 2},
        {"kind": "beam", "size": 8},
    ]
    texts = [" ".join(random.choices(words, k=random.randint(1, 14))) for _ in range(8)] + [" "]
    asked = [{"text": text, "search": search} for text in texts for search in searches]
    decoding: SearchSpec = BeamSpec(size=5, length_penalty=0.3)
    data = {
        "engine": base64.b64encode(build.ENGINE.read_bytes()).decode(),
        "model": {
            "weights": base64.b64encode(model_bytes(translator.model)).decode(),
            "tokenizers": {
                "source": page_tokenizer(translator.tokenizers.source),
                "target": page_tokenizer(translator.tokenizers.target),
            },
            "decoding": {**decoding.model_dump(mode="json"), "n_best": 4},
        },
    }
    told = run_modules(tmp_path, PROGRAM, {"data": data, "asked": asked})
    engine = NativeEngine(translator.model, "int8")
    native = Translator(translator.model, translator.tokenizers, decoding, engine=engine)
    for each, page in zip(asked, told["found"], strict=True):
        own = page.pop("own")
        ours = look_into(native, ExplainRequest.model_validate(each))
        alike(ours, page)
        given = look_into(native, ExplainRequest(text=each["text"], translation="1 0"))
        if own is None:
            assert given["look"] is None
        else:
            alike(given["look"], own)
            assert (given["outputs"], given["tree"]) == ([], [])
    facts = {name: number for name, number in told["facts"].items() if name != "version"}
    assert answer.facts_of(native) == facts


def alike(ours: Any, theirs: Any, place: str = "") -> None:
    """Whether both have the same fields, and numbers that differ in rounding alone."""
    match theirs:
        case dict():
            # A blank text has no summands there either.
            assert set(ours) == set(theirs), place
            for name in theirs:
                if name != "milliseconds":
                    alike(ours[name], theirs[name], f"{place}.{name}")
        case list():
            assert len(ours) == len(theirs), place
            for index, (one, other) in enumerate(zip(ours, theirs, strict=True)):
                alike(one, other, f"{place}[{index}]")
        case float():
            assert ours == pytest.approx(theirs, abs=2e-4), place
        case _:
            assert ours == theirs, place


# Over HTTP


def test_a_sentence_is_looked_into(direct: httpx2.Client, translator: Translator):
    found = ask(direct, text="0 1 2")
    best = found["outputs"][0]
    assert best["text"] == translator("0 1 2")
    assert best["score"] == pytest.approx(translator.translate(["0 1 2"])[0][0].score, abs=1e-5)
    assert [step["token"] for step in found["look"]["steps"]] == [*best["tokens"], "</s>"]
    for attention in found["look"]["attention"]:
        shape = attention["heads"], len(attention["queries"]), len(attention["keys"])
        weights = np.array(attention["weights"]).reshape(shape)
        assert weights.sum(axis=2) == pytest.approx(np.ones(shape[:2]), abs=1e-4)


def test_weights_come_as_base64_too(direct: httpx2.Client):
    plain, packed = ask(direct, text="0 1 2"), ask(direct, text="0 1 2", encoding_format="base64")
    for one, other in zip(plain["look"]["attention"], packed["look"]["attention"], strict=True):
        weights = np.frombuffer(base64.b64decode(other["weights"]), "<f4")
        assert weights == pytest.approx(one["weights"], abs=1e-5)


def test_a_path_of_the_tree_is_looked_into(direct: httpx2.Client):
    found = ask(direct, text="0 1 2", search={"kind": "beam", "size": 3})
    node = next(node for node in found["tree"][1] if node["living"])
    ids = [found["tree"][0][node["parent"]]["token_id"], node["token_id"]]
    look = ask(direct, text="0 1 2", ids=ids, finished=False, attention=False)["look"]
    assert look["target"]["ids"] == ids
    assert look["attention"] == []
    assert sum(step["log_probability"] for step in look["steps"]) == pytest.approx(node["total"], abs=1e-4)
    whole = ask(direct, text="0 1 2", ids=found["outputs"][0]["ids"])["look"]
    assert whole == found["look"]


def test_runs_are_listed(direct: httpx2.Client, translator: Translator):
    (run,) = direct.get("/v1/runs").json()["runs"]
    assert run["name"] == "mirror"
    assert run["task"] == "translation"
    assert run["languages"] == {"source": "en", "target": "zh"}
    assert run["parameters"] == sum(each.numel() for each in translator.model.parameters())
    assert run["facts"]["heads"] == heads_of(translator)
    assert run["decoding"]["kind"] == "beam"
    assert run["examples"] == ["0 1"]


OVERLONG = "0 1 2 3 " * 5


@pytest.mark.parametrize(
    ("asked", "status", "told"),
    [
        ({}, 400, "text: field required"),
        ({"text": 5}, 400, "text has to be text"),
        ({"text": "0\ud800"}, 400, "surrogate"),
        ({"text": "0", "model": "none"}, 404, "'none'"),
        ({"text": "0", "translation": "1", "ids": [4]}, 400, "leave one of them out"),
        ({"text": "0", "ids": []}, 400, "ids"),
        ({"text": "0", "ids": [-1]}, 400, "ids.0"),
        ({"text": "0", "ids": [10**40]}, 400, "ids"),
        ({"text": "0", "ids": [999]}, 400, "no token"),
        ({"text": "0", "ids": [4, PAD, 4]}, 400, "no token"),
        ({"text": "0", "ids": [4, EOS]}, 400, "end mark comes by itself"),
        ({"text": "0", "search": {"kind": "sampling"}}, 400, "search.kind"),
        ({"text": "0", "search": {"kind": "beam", "size": 9}}, 400, "search.size"),
        ({"text": "0", "search": {"kind": "beam", "size": 1.5}}, 400, "search.size"),
        ({"text": "0", "lens": {"ablated": []}}, 400, "lens"),
        ({"text": "0", "\ud800\n": 1}, 400, "the name of a field"),
        ({"text": "0", "a\nb": 1}, 400, "a\\nb: extra"),
        ({"text": OVERLONG}, 413, "the sentence has 20 tokens"),
        ({"text": "0", "translation": OVERLONG}, 413, "the translation has 21 tokens"),
        ({"text": "0 " * 1_001}, 400, "2000"),
        ([], 400, "no object"),
    ],
)
def test_refusals_are_one_sentence(asked: Any, status: int, told: str, direct: httpx2.Client):
    found = direct.post("/v1/explain", content=json.dumps(asked))
    sentence = found.json()["error"]
    assert (found.status_code, told in sentence, "\n" in sentence) == (status, True, False), sentence


def test_too_much_attention_is_refused(translator: Translator, monkeypatch: pytest.MonkeyPatch):
    asked = ExplainRequest(text="0 1 2")
    monkeypatch.setattr(answer, "MOST_WEIGHTS", 10)
    with pytest.raises(answer.RequestTooLargeError, match="attention: false"):
        look_into(translator, asked)
    assert look_into(translator, asked.model_copy(update={"attention": False}))["look"]["attention"] == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


SEARCHES = st.fixed_dictionaries(
    {"kind": st.sampled_from(["greedy", "beam"])}, optional={"size": st.integers(0, 9)}
)


@given(
    fields=st.fixed_dictionaries(
        {"text": st.text(st.sampled_from("01234 .a你\0\n"), max_size=30)},
        optional={
            "translation": st.text(st.sampled_from("01234 .a你"), max_size=40) | JSON,
            "ids": st.lists(st.integers(0, 12), max_size=16) | JSON,
            "finished": st.booleans() | JSON,
            "search": SEARCHES | JSON,
            "attention": st.booleans() | JSON,
            "encoding_format": st.sampled_from(["float", "base64"]) | JSON,
        },
    )
    | JSON
)
def test_any_question_has_an_answer(fields: Any, direct: httpx2.Client):
    found = direct.post("/v1/explain", content=json.dumps(fields))
    assert found.status_code in (200, 400, 404, 413), found.text
    if found.status_code != 200:
        assert "\n" not in found.json()["error"]
