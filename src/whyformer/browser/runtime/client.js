// The page's side of the worker.

import { Fault } from "./fault.js";
import { workerMain } from "./worker.js";

/** Faults that a request can have while the worker stays sound. */
const HARMLESS = ["overlong", "surrogate", "not_finite", "stuck", "settings"];

/** A worker of the text of `workerMain`, which a page from disk may start, too. */
function startWorker() {
  const address = URL.createObjectURL(new Blob([`(${workerMain})();`], { type: "text/javascript" }));
  const worker = new Worker(address);
  // By its first message it has read its text.
  worker.addEventListener("message", () => URL.revokeObjectURL(address), { once: true });
  return worker;
}

/** Asks the engine, which a worker runs; one is started whenever there is need and none. */
export class Client {
  #data;
  #start;
  #worker = null;
  #ready = null;
  #answered = false;
  #pending = new Map();
  #number = 0;

  constructor({ engine, model }, start = startWorker) {
    const { weights, tokenizers, decoding } = model;
    this.#data = { engine, model: { weights, tokenizers, decoding } };
    this.#start = start;
  }

  /** The facts of the model, once the engine is there. */
  get ready() {
    this.#open();
    return this.#ready;
  }

  translate(request) {
    return this.#ask("translate", request);
  }

  look(request) {
    return this.#ask("look", request);
  }

  /** Ends all that is going on. */
  stop() {
    this.#end(new Fault("stopped"));
  }

  #ask(kind, request) {
    this.#open();
    return this.#send(kind, request);
  }

  #open() {
    if (this.#ready !== null) return;
    this.#answered = false;
    try {
      const worker = this.#start();
      this.#worker = worker;
      // One that was ended may still have something to say.
      const heard = (act) => (event) => this.#worker === worker && act(event);
      worker.onmessage = heard(({ data }) => this.#settle(data));
      worker.onmessageerror = heard(() => this.#end(new Fault("crashed")));
      worker.onerror = heard((event) => {
        event.preventDefault?.();
        this.#end(new Fault(this.#answered ? "crashed" : "no_worker"));
      });
    } catch {
      this.#worker = null;
    }
    this.#ready = this.#worker === null ? Promise.reject(new Fault("no_worker")) : this.#send("open", this.#data);
    // Whoever only asks for a translation hears of it there.
    this.#ready.catch(() => {});
  }

  #send(kind, request) {
    if (this.#worker === null) return this.#ready;
    const number = this.#number++;
    return new Promise((resolve, reject) => {
      this.#pending.set(number, { resolve, reject });
      this.#worker.postMessage({ number, kind, request });
    });
  }

  #settle({ number, result, fault }) {
    this.#answered = true;
    const waiting = this.#pending.get(number);
    this.#pending.delete(number);
    if (fault === undefined) return waiting.resolve(result);
    const told = new Fault(fault.code, fault.values);
    waiting.reject(told);
    if (!HARMLESS.includes(told.code)) this.#end(told);
  }

  #end(fault) {
    this.#worker?.terminate();
    this.#worker = null;
    this.#ready = null;
    const waiting = [...this.#pending.values()];
    this.#pending.clear();
    waiting.forEach(({ reject }) => reject(fault));
  }
}
