"""What the parts of a page share: the newest text wins, what is broken is compared, faults are told."""

import re
from pathlib import Path
from typing import Any

from browser.javascript import needs_node, run_modules

pytestmark = needs_node

# A client whose answers are given by hand, and a session with it.
PROGRAM = """
import { Session } from "./components/session.js";

const asked = [];
let stops = 0;
const waiting = (kind, request) =>
  new Promise((done, failed) => asked.push({ kind, request, done, failed }));
const client = {
  translate: (request) => waiting("translate", request),
  look: (request) => waiting("look", request),
  stop() {
    stops += 1;
    asked.splice(0).forEach(({ failed }) => failed({ code: "stopped", values: {} }));
  },
};
const weights = Float32Array.from([1, 0, 1, 0, /* the second head differs by row */ 1, 0, 0, 1]);
const tokens = { queries: ["<s>", "b"], keys: ["a", "</s>"], written: ["b", "</s>"] };
const lookOf = (name) => ({
  name,
  source: { ids: [], tokens: ["a", "</s>"] },
  target: { ids: [], tokens: ["b", "</s>"] },
  steps: ["b", "</s>"].map((token) => ({ token, log_probability: -1, others: [] })),
  attention: [{ ...tokens, place: "cross", layer: 0, heads: 2, weights }],
});
const output = (text) => ({ text, ids: [7], tokens: [text], score: -1, log_probability: -1, finished: true });
const resultOf = (text) => ({ outputs: [output(text)], tree: [], look: lookOf(text), milliseconds: 1 });
const model = { decoding: { kind: "beam", size: 12 }, run: { examples: [] } };
const session = new Session(client, model, {}, { text: "" });
const sleep = (time) => new Promise((done) => setTimeout(done, time));
const until = async (condition) => { while (!condition()) await sleep(5); };
const next = async () => { await until(() => asked.length > 0); return asked.shift(); };
"""


def told(folder: Path, program: str) -> Any:
    return run_modules(folder, f"{PROGRAM}\n{program}", None)


def test_what_is_typed_on_is_asked_once_and_the_newest_wins(tmp_path: Path):
    program = """
    for (const text of ["a", "ab", "abc"]) session.set({ text });
    const first = await next();
    session.set({ text: "abcd" });
    await sleep(150);
    const more = asked.length;
    first.done(resultOf("ABC"));
    const second = await next();
    const between = session.state.result;
    second.done(resultOf("ABCD"));
    await until(() => session.state.result !== null);
    tell([first.request, more, between, second.request.text, session.state.result.outputs[0].text, stops]);
    """
    first, waiting, between, second, shown, stops = told(tmp_path, program)
    whole = {"ablated": [], "masks": {}}
    assert first == {"text": "abc", "search": {"kind": "beam", "size": 8, "n_best": 4}, "lens": whole}
    assert (waiting, between, second, shown, stops) == (0, None, "abcd", "ABCD", 0)


def test_a_text_that_nobody_waits_for_any_more_is_stopped(tmp_path: Path):
    program = """
    session.set({ text: "long" });
    await next();
    await sleep(1100);
    const slow = session.state.slow;
    asked.push({ failed: () => {} });
    let failed;
    client.stop = () => { stops += 1; failed(); };
    session.set({ text: "short" });
    failed = () => {};
    await until(() => stops > 0);
    tell([slow, stops]);
    """
    assert told(tmp_path, program) == [True, 1]


def test_a_stop_is_told_and_the_next_text_is_translated(tmp_path: Path):
    program = """
    session.set({ text: "a" });
    await until(() => asked.length > 0);
    session.stop();
    await until(() => session.state.fault !== null);
    const sentence = session.faultWords(session.state.fault);
    session.set({ text: "b" });
    (await next()).done(resultOf("B"));
    await until(() => session.state.result !== null);
    tell([sentence, session.state.fault, session.state.busy]);
    """
    assert told(tmp_path, program) == ["Stopped. Change the text to translate again.", None, False]


def test_every_fault_is_a_sentence_in_both_languages(tmp_path: Path):
    program = """
    const codes = ["stopped", "damaged", "not_wasm", "no_worker", "overlong", "surrogate", "not_finite",
      "memory", "crashed", "stuck", "settings", "not_loaded", "unheard of"];
    const values = { tokens: 12345, most: 1023, side: "target", file: "model.js" };
    tell(["en", "zh"].map((lang) => {
      session.state.lang = lang;
      return codes.map((code) => session.faultWords({ code, values }));
    }));
    """
    english, chinese = told(tmp_path, program)
    assert len({*english}) == len(english) - 1, "what is unheard of is a crash"
    assert english[4] == "The translation has 12,345 tokens, but the model takes 1,023 at most; shorten it."
    assert all(text.endswith(".") for text in english)
    assert all(text.endswith("。") for text in chinese)
    assert not any(re.search(r"[{}]|undefined(?!;)", text) for text in [*english, *chinese])


def test_a_broken_model_is_compared_with_the_whole_one(tmp_path: Path):
    program = """
    const lens = { ablated: [{ place: "cross", layer: 0, head: 1 }], masks: { "encoder self": [0, 0] } };
    session.set({ text: "a", lens });
    const broken = await next();
    broken.done(resultOf("BROKEN"));
    const whole = await next();
    whole.done(resultOf("WHOLE"));
    const forced = await next();
    forced.done(lookOf("forced"));
    await until(() => session.state.whole !== null);
    const words = session.lensWords();
    session.mend();
    const mended = await next();
    mended.done(resultOf("WHOLE"));
    await until(() => session.state.whole === null);
    tell([broken.request.lens, whole.request.lens, forced, words, session.state.forced, mended.request.lens]);
    """
    broken, whole, forced, words, after, mended = told(tmp_path, program)
    lens = {"ablated": [{"place": "cross", "layer": 0, "head": 1}], "masks": {"encoder self": [0, 0]}}
    assert (broken, whole, mended) == (lens, {"ablated": [], "masks": {}}, {"ablated": [], "masks": {}})
    assert forced["kind"] == "look"
    assert forced["request"] == {"text": "a", "ids": [7], "finished": True, "lens": lens}
    assert words == "Encoder self-attention sees only itself; heads off: 1"
    assert after is None


def test_the_head_whose_rows_differ_most_is_opened_and_then_stays(tmp_path: Path):
    program = """
    session.set({ text: "a" });
    (await next()).done(resultOf("A"));
    await until(() => session.state.look !== null);
    const first = session.state.heads.cross;
    const rows = session.opened("cross").rows;
    session.set({ heads: { ...session.state.heads, cross: { layer: 0, head: -1 } } });
    const mean = session.opened("cross").rows;
    session.set({ text: "b" });
    (await next()).done(resultOf("B"));
    await until(() => session.state.look.name === "B");
    tell([first, rows, mean, session.state.heads.cross]);
    """
    first, rows, mean, after = told(tmp_path, program)
    assert first == {"layer": 0, "head": 1}
    assert rows == [1, 0, 0, 1]
    assert mean == [1, 0, 0.5, 0.5]
    assert after == {"layer": 0, "head": -1}


def test_an_own_translation_is_looked_at_with_the_text(tmp_path: Path):
    program = """
    session.set({ text: "a", own: "mine" });
    const own = await next();
    own.done(lookOf("mine"));
    await until(() => session.state.ownLook !== null);
    session.set({ own: " " });
    tell([own.kind, own.request, session.state.ownLook]);
    """
    kind, request, after = told(tmp_path, program)
    assert kind == "look"
    assert request == {"text": "a", "translation": "mine", "lens": {"ablated": [], "masks": {}}}
    assert after is None


def test_those_who_watch_hear_what_has_changed_and_no_more(tmp_path: Path):
    program = """
    const heard = [];
    session.watch(["step"], () => heard.push("step"));
    session.watch(["lang", "place"], () => heard.push("lang or place"));
    heard.push("now");
    session.set({ place: "cross", lang: "zh" });
    session.set({ lang: "zh" });
    session.point("source", 1);
    session.point("source", 1);
    session.set({ text: "new" });
    session.unwatch();
    session.set({ lang: "en" });
    tell([heard, session.state.hover]);
    """
    heard, hover = told(tmp_path, program)
    assert heard == ["step", "lang or place", "now", "lang or place", "step"]
    assert hover is None


def test_what_stays_between_two_translations_is_the_longest_common_part(tmp_path: Path):
    program = """
    import { commonTokens } from "./components/breaking.js";
    tell([commonTokens(["a", "b", "c", "d"], ["b", "x", "d", "a"]), commonTokens([], ["a"])]);
    """
    assert told(tmp_path, program) == [[[1, 0], [3, 2]], []]
