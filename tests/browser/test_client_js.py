"""The page's side of the worker: requests find their answers, and every fault has a code."""

from pathlib import Path
from typing import Any

from browser.javascript import needs_node, run_modules

pytestmark = needs_node

# A worker that does as it is told by the texts that it is to translate.
PROGRAM = """
import { Client } from "./runtime/client.js";

const workers = [];
class PretendedWorker {
  constructor() {
    this.terminated = false;
    this.kept = [];
    workers.push(this);
  }
  postMessage({ number, kind, request }) {
    const text = kind === "open" ? opening : request.text;
    const answer = (data) => queueMicrotask(() => this.onmessage({ data: { number, ...data } }));
    if (text === "keep") this.kept.push(number);
    else if (text === "break") queueMicrotask(() => this.onerror({}));
    else if (text.startsWith("fault ")) answer({ fault: { code: text.slice(6), values: { tokens: 7 } } });
    else answer({ result: `${kind} ${text}` });
  }
  terminate() {
    this.terminated = true;
  }
}

let opening = "facts";
const told = ({ name, code, values }) => [name, code, values];
const outcome = (promise) => promise.then((result) => result, told);
const data = { engine: "", model: { weights: "", tokenizers: {}, decoding: {}, run: {} } };
const client = (start = () => new PretendedWorker()) => new Client(data, start);
const all = (promises) => Promise.all(promises.map(outcome));
"""


def told(folder: Path, program: str) -> Any:
    return run_modules(folder, f"{PROGRAM}\n{program}", None)


def test_requests_find_their_own_answers(tmp_path: Path):
    program = """
    const asking = client();
    const requests = [asking.translate({ text: "a" }), asking.look({ text: "b" }), asking.ready];
    tell([await all(requests), workers.length]);
    """
    assert told(tmp_path, program) == [["translate a", "look b", "open facts"], 1]


def test_stop_ends_what_is_pending_and_the_next_request_starts_anew(tmp_path: Path):
    program = """
    const asking = client();
    const pending = [asking.translate({ text: "keep" }), asking.look({ text: "keep" })];
    await asking.ready;
    asking.stop();
    const ended = await all(pending);
    const idle = workers.length;
    const late = workers[0].onmessage({ data: { number: workers[0].kept[0], result: "late" } });
    const next = await all([asking.translate({ text: "a" })]);
    tell([ended, idle, next, workers.map((worker) => worker.terminated), late]);
    """
    stopped = ["Fault", "stopped", {}]
    assert told(tmp_path, program) == [[stopped, stopped], 1, ["translate a"], [True, False], False]


def test_stop_before_the_start_is_over_is_a_fault_for_all(tmp_path: Path):
    program = """
    opening = "keep";
    const asking = client();
    asking.stop();
    const waiting = [asking.ready, asking.translate({ text: "a" })];
    asking.stop();
    tell(await all(waiting));
    """
    assert told(tmp_path, program) == [["Fault", "stopped", {}]] * 2


def test_a_fault_of_a_text_leaves_the_worker_and_others_end_it(tmp_path: Path):
    program = """
    const seen = [];
    for (const code of ["overlong", "surrogate", "not_finite", "stuck", "settings", "crashed", "memory"]) {
      workers.length = 0;
      const asking = client();
      const [fault] = await all([asking.translate({ text: `fault ${code}` })]);
      const [next] = await all([asking.translate({ text: "a" })]);
      seen.push([fault[1], fault[2].tokens, next, workers.length]);
    }
    tell(seen);
    """
    harmless = ["overlong", "surrogate", "not_finite", "stuck", "settings"]
    assert told(tmp_path, program) == [
        *([code, 7, "translate a", 1] for code in harmless),
        *([code, 7, "translate a", 2] for code in ("crashed", "memory")),
    ]


def test_an_engine_that_does_not_open_is_a_fault_for_whoever_waits(tmp_path: Path):
    program = """
    opening = "fault damaged";
    const asking = client();
    const first = await all([asking.translate({ text: "keep" }), asking.ready]);
    tell([first.map((fault) => fault[1]), workers[0].terminated]);
    """
    assert told(tmp_path, program) == [["damaged", "damaged"], True]


def test_without_a_worker_there_is_a_fault(tmp_path: Path):
    program = """
    const refused = client(() => { throw new Error("not from here"); });
    const codes = await all([refused.ready, refused.translate({ text: "a" })]);
    opening = "break";
    const silent = client();
    const unstarted = await all([silent.ready]);
    opening = "facts";
    const broken = client();
    await broken.ready;
    const crashed = await all([broken.translate({ text: "break" }), broken.translate({ text: "a" })]);
    tell([...codes, ...unstarted, crashed[0]].map((fault) => fault[1]));
    """
    assert told(tmp_path, program) == ["no_worker", "no_worker", "no_worker", "crashed"]
