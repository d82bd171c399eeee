"""The page's translator finds what the native engine finds, and sees what ``inspect`` sees."""

import base64
import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch

from browser.javascript import needs_node, run_modules, run_script
from engines.toy_models import needs_engines
from whyformer.analysis.inspection import Inspection, inspect_translation
from whyformer.browser.bundle import MODULES, script
from whyformer.browser.tokenizers import page_tokenizer
from whyformer.decoding.beam import BeamSpec
from whyformer.decoding.greedy import GreedySpec
from whyformer.engines.native.engine import NativeEngine
from whyformer.engines.webassembly import build
from whyformer.engines.webassembly.model_file import model_bytes
from whyformer.runs.load import load
from whyformer.tasks.translation.translator import Translator

pytestmark = [
    needs_node,
    needs_engines,
]

# The cases have the page's data and the texts; `outcome` is a result, or the code of a fault.
PROGRAM = """
import { PageTranslator } from "./runtime/translator.js";
const { data, texts } = cases;
const translator = await PageTranslator.load(data);
const outcome = (work) => {
  try {
    return work();
  } catch (fault) {
    if (fault.code === undefined) throw fault;
    return { fault: fault.code, values: fault.values };
  }
};
const greedy = { kind: "greedy" };
"""


@pytest.fixture(scope="module")
def translator(reverse_run: Path) -> Translator:
    found = load(reverse_run, device="cpu")
    assert isinstance(found, Translator)
    return found


@pytest.fixture(scope="module")
def data(translator: Translator) -> dict[str, Any]:
    """What a page has of the run."""
    source, target = translator.tokenizers.source, translator.tokenizers.target
    return {
        "engine": base64.b64encode(build.ENGINE.read_bytes()).decode(),
        "model": {
            "weights": base64.b64encode(model_bytes(translator.model)).decode(),
            "tokenizers": {"source": page_tokenizer(source), "target": page_tokenizer(target)},
            "decoding": translator.settings.model_dump(mode="json"),
        },
    }


@pytest.fixture(scope="module")
def texts(translator: Translator) -> list[str]:
    """Sentences of all lengths that the model takes, those of its task and others."""
    random, words = Random(7), translator.tokenizers.source.pieces[4:]
    most = translator.model.longest - 1
    return [" ".join(random.choices(words, k=random.randint(1, most))) for _ in range(150)]


def told(folder: Path, program: str, data: dict[str, Any], texts: list[str]) -> Any:
    return run_modules(folder, f"{PROGRAM}\n{program}", {"data": data, "texts": texts})


@pytest.mark.parametrize("settings", [GreedySpec(), BeamSpec(size=5), BeamSpec(size=3, n_best=3)])
def test_tokens_are_those_of_the_native_engine(
    settings: GreedySpec | BeamSpec,
    translator: Translator,
    data: dict[str, Any],
    texts: list[str],
    tmp_path: Path,
):
    native = NativeEngine(translator.model, "int8")
    wanted = Translator(translator.model, translator.tokenizers, settings, engine=native).translate(texts)
    said = {**data, "model": {**data["model"], "decoding": settings.model_dump(mode="json")}}
    asked = json.dumps({key: getattr(settings, key) for key in ("kind", "size") if hasattr(settings, key)})
    program = f"tell(texts.map((text) => translator.translate({{ text, search: {asked} }}).outputs));"
    found = told(tmp_path, program, said, texts)
    for ours, theirs in zip(found, wanted, strict=True):
        assert [each["ids"] for each in ours] == [list(each.ids) for each in theirs]
        assert [(each["text"], each["tokens"], each["finished"]) for each in ours] == [
            (each.text, each.tokens, each.finished) for each in theirs
        ]
        assert [each["score"] for each in ours] == pytest.approx([each.score for each in theirs], abs=1e-4)


def test_a_look_is_that_of_inspect(
    translator: Translator, data: dict[str, Any], texts: list[str], tmp_path: Path
):
    program = "tell(texts.map((text) => translator.translate({ text, search: greedy })));"
    found = told(tmp_path, program, data, texts[:40])
    engine = NativeEngine(translator.model, "int8")
    native = Translator(translator.model, translator.tokenizers, GreedySpec(), engine=engine)
    finished = [each["outputs"][0]["finished"] for each in found]
    assert finished.count(True) > 10
    for text, result in zip(texts, found, strict=False):
        look, best = result["look"], result["outputs"][0]
        assert look["source"] == result["source"]
        assert [step["token"] for step in look["steps"]] == look["target"]["tokens"]
        if best["finished"]:
            compare(look, inspect_translation(native, text, best["text"]))
        summands = [step["log_probability"] for step in look["steps"]]
        assert summands == pytest.approx(best["token_log_probabilities"], abs=1e-4)


def compare(look: dict[str, Any], seen: Inspection) -> None:
    assert look["source"]["tokens"] == seen.source_tokens
    for ours, theirs in zip(look["steps"], seen.steps, strict=True):
        assert ours["token"] == theirs.token
        assert ours["log_probability"] == pytest.approx(theirs.log_probability, abs=1e-4)
        assert [other["token"] for other in ours["others"]] == [token for token, _ in theirs.others]
        likely = [other["log_probability"] for other in ours["others"]]
        assert likely == pytest.approx([number for _, number in theirs.others], abs=1e-4)
    maps = {(each.place, each.layer): each for each in seen.attention}
    assert len(maps) == len(look["attention"])
    for ours in look["attention"]:
        theirs = maps[ours["place"], ours["layer"]]
        assert ours["queries"] == list(theirs.queries)
        assert ours["keys"] == list(theirs.keys)
        assert ours["written"] == (None if theirs.written is None else list(theirs.written))
        torch.testing.assert_close(weights_of(ours), torch.from_numpy(theirs.weights), atol=1e-5, rtol=0)


def test_a_look_takes_ids_or_text_that_nobody_searched_for(
    data: dict[str, Any], texts: list[str], tmp_path: Path
):
    program = """
    const { source: { ids } } = translator.look({ text: texts[0] });
    const own = translator.look({ text: texts[0], translation: texts[1] });
    const same = translator.look({ text: texts[0], ids: own.target.ids.slice(0, -1) });
    const cut = translator.look({ text: texts[0], ids: own.target.ids.slice(0, -1), finished: false });
    const none = translator.look({ text: texts[0], ids: [], finished: false });
    tell([own, same, cut, none]);
    """
    own, same, cut, none = told(tmp_path, program, data, texts)
    assert own == same
    assert cut["steps"] == own["steps"][:-1]
    assert (none["steps"], none["target"]["tokens"]) == ([], [])
    assert cut["attention"][1]["queries"] == ["<s>", *cut["target"]["tokens"][:-1]]


def test_what_is_broken_on_purpose_shows_and_is_whole_again(
    data: dict[str, Any], texts: list[str], tmp_path: Path
):
    program = """
    const text = texts.find((each) => each.length > 12);
    const ids = translator.look({ text, translation: text }).target.ids.slice(0, -1);
    const look = (lens) => translator.look({ text, ids, lens });
    const heads = [0, 1].map((head) => ({ place: "cross", layer: 0, head }));
    const masks = { "encoder self": [1, 1], "decoder self": [0, 0], cross: [null, 0] };
    const whole = look();
    tell([whole, look({ ablated: heads, masks: {} }), look({ ablated: [], masks }), look()]);
    """
    whole, ablated, masked, again = told(tmp_path, program, data, texts)
    assert whole == again
    assert [step["log_probability"] for step in ablated["steps"]] != [
        step["log_probability"] for step in whole["steps"]
    ]
    # A head that is off still looks somewhere.
    assert ablated["attention"] == whole["attention"]
    encoder, decoder, cross = (weights_of(each) for each in masked["attention"])
    assert torch.equal(encoder != 0, band(encoder, 1, 1))
    assert torch.equal(decoder, torch.eye(decoder.shape[1]).expand_as(decoder))
    assert torch.equal(cross != 0, band(cross, cross.shape[1], 0))
    for each in (encoder, decoder, cross):
        torch.testing.assert_close(each.sum(dim=2), torch.ones(each.shape[:2]))


def weights_of(attention: dict[str, Any]) -> torch.Tensor:
    weights = torch.tensor(attention["weights"], dtype=torch.float32)
    return weights.view(attention["heads"], len(attention["queries"]), -1)


def band(weights: torch.Tensor, back: int, ahead: int) -> torch.Tensor:
    """What queries may see, (H,Q,K)."""
    distance = torch.arange(weights.shape[2]) - torch.arange(weights.shape[1])[:, None]
    return ((distance >= -back) & (distance <= ahead)).expand_as(weights)


def test_texts_that_are_no_sentence_have_an_answer_too(data: dict[str, Any], tmp_path: Path):
    strange = [
        "",
        " \u3000\u200b\x1f\x85\n",
        "a " * 5000,
        "\U0001f600 " * 10_000,
        "\0",
        "\u202e\ufffd",
        "字" * 9,
    ]
    program = """
    texts.push("\\ud800", "a\\udc00");
    const looks = texts.map((text) => outcome(() => translator.look({ text, translation: text })));
    const found = texts.map((text) => outcome(() => translator.translate({ text, search: greedy })));
    tell([found, looks.map((look) => look && (look.fault ?? look.steps.length > 0))]);
    """
    found, looks = told(tmp_path, program, data, strange)
    assert [each["outputs"][0]["text"] for each in found[:2]] == ["", ""]
    assert [each["look"] for each in found[:2]] == [None, None]
    assert [each.get("fault") for each in found[2:4]] == ["overlong", "overlong"]
    assert found[2]["values"] == {"side": "source", "tokens": 5000, "most": 15}
    assert all(each["look"]["steps"] for each in found[4:7])
    assert [each["fault"] for each in found[7:]] == ["surrogate", "surrogate"]
    assert looks == [None, None, "overlong", "overlong", True, True, True, "surrogate", "surrogate"]


def test_memory_is_flat_and_faults_leave_nothing_behind(
    data: dict[str, Any], texts: list[str], tmp_path: Path
):
    program = """
    const forbidden = data.model.tokenizers.target.pieces.map((_, id) => id);
    const stuck = (text) => outcome(() => translator.translate({ text, search: { ...greedy, forbidden } }));
    const some = () => texts.forEach((text) => {
      translator.translate({ text, search: { kind: "beam", size: 5 } });
      stuck(text);
    });
    some();
    const sizes = [translator.size];
    for (let round = 0; round < 3; round++) {
      some();
      sizes.push(translator.size);
    }
    tell([sizes, stuck(texts[0])]);
    """
    sizes, fault = told(tmp_path, program, data, texts)
    assert fault["fault"] == "stuck"
    assert len(set(sizes)) == 1, sizes


def test_damaged_data_is_a_fault(data: dict[str, Any], texts: list[str], tmp_path: Path):
    program = """
    const { weights } = data.model;
    const bytes = Uint8Array.from(atob(weights), (character) => character.charCodeAt(0));
    bytes[bytes.length >> 1] ^= 1;
    const flipped = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
    const damaged = [
      ...["", "????", weights.slice(0, 400), weights.slice(0, -4), flipped, data.engine].map((each) =>
        ({ ...data, model: { ...data.model, weights: each } })),
      ...["", "????", data.engine.slice(0, 4000), weights].map((engine) => ({ ...data, engine })),
    ];
    const opened = damaged.map((each) => PageTranslator.load(each));
    tell((await Promise.allSettled(opened)).map(({ reason }) => reason?.code));
    """
    assert told(tmp_path, program, data, texts) == ["damaged"] * 10


# Browsers start a worker of a Blob's address; Node has threads of a text.
PAGE = """
const { Worker: Thread } = require("node:worker_threads");
const inThread = `
const { parentPort } = require("node:worker_threads");
globalThis.postMessage = (message, moved) => parentPort.postMessage(message, moved);
parentPort.on("message", (data) => globalThis.onmessage({ data }));
`;
URL.createObjectURL = (blob) => blob;
URL.revokeObjectURL = () => {};
globalThis.Worker = class extends EventTarget {
  constructor(blob) {
    super();
    this.thread = blob.text().then((text) => {
      const thread = new Thread(inThread + text, { eval: true });
      thread.on("message", (data) => {
        this.onmessage({ data });
        this.dispatchEvent(new Event("message"));
      });
      return thread;
    });
  }
  postMessage(message) {
    this.thread.then((thread) => thread.postMessage(message));
  }
  terminate() {
    this.thread.then((thread) => thread.terminate());
  }
};
"""


def test_the_joined_script_answers_from_its_worker(data: dict[str, Any], texts: list[str], tmp_path: Path):
    entry = 'import { Client } from "./runtime/client.js";\n\nglobalThis.Joined = { Client };\n'
    (tmp_path / "runtime").symlink_to(MODULES / "runtime")
    (tmp_path / "entry.js").write_text(entry, encoding="utf-8")
    joined = script(["entry.js"], folder=tmp_path)
    asking = """
    (async () => {
      const client = new Joined.Client(data);
      const search = { kind: "greedy" };
      const outputs = async (text) => (await client.translate({ text, search })).outputs[0].text;
      const found = await Promise.all(texts.map(outputs));
      const facts = await client.ready;
      const pending = client.translate({ text: texts[0], search }).catch((fault) => fault.code);
      client.stop();
      const weights = (await client.look({ text: texts[0] })).attention[0].weights;
      const late = await client.translate({ text: "a ".repeat(99), search }).catch((fault) => fault.code);
      console.log(JSON.stringify([found, facts.longest, await pending, weights.length > 0, late]));
      client.stop();
    })();
    """
    told = f"const data = {json.dumps(data)}, texts = {json.dumps(texts[:20])};\n"
    (tmp_path / "page.cjs").write_text("\n".join([PAGE, joined, told, asking]), encoding="utf-8")
    found, longest, stopped, looked, late = run_script(tmp_path / "page.cjs")
    program = "tell(texts.map((text) => translator.translate({ text, search: greedy }).outputs[0].text));"
    (tmp_path / "apart").mkdir()
    assert found == run_modules(tmp_path / "apart", PROGRAM + program, {"data": data, "texts": texts[:20]})
    assert (longest, stopped, looked, late) == (16, "stopped", True, "overlong")
