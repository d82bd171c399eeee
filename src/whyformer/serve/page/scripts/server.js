/**
 * A translator that the service runs, with the methods of the one in a worker (`browser/runtime/client.js`).
 *
 * What `POST /v1/explain` answers is what `browser/runtime/translator.js` makes: `source`, `outputs`, `tree`, `look`,
 * `milliseconds`. Only attention weights (H,Q,K) come as base64 of float32, and become one Float32Array a layer.
 */

import { bytesOf } from "../../../browser/runtime/base64.js";
import { isBlank, nothing } from "../../../browser/runtime/blank.js";
import { Fault } from "../../../browser/runtime/fault.js";

const EXPLAIN = "v1/explain";

/** Asks the service for one run; several may ask at once. */
export class ServerTranslator {
  /** Milliseconds without a key until a text is sent. */
  quiet = 250;
  #http;
  #model;
  #stops = new Set();

  constructor(http, model) {
    this.#http = http;
    this.#model = model;
  }

  /** The translations of a text, best first, the candidates among which they were found, a look at the best. */
  async translate({ text, search }) {
    if (isBlank(text)) return nothing();
    const began = performance.now();
    const answer = await this.#ask({ text, search });
    if (!Array.isArray(answer.outputs) || !answer.outputs.length) throw new Fault("answer");
    const milliseconds = answer.milliseconds ?? performance.now() - began;
    return { ...answer, tree: answer.tree ?? [], look: lookOf(answer.look), milliseconds };
  }

  /** A look at a text and one translation of it, given as ids or as text. */
  async look({ text, ids, translation, finished = true }) {
    if (isBlank(text)) return null;
    const target = ids?.length ? { ids, finished } : { translation: translation ?? "" };
    return lookOf((await this.#ask({ text, ...target })).look);
  }

  /** Ends all that is going on: the service hears that nobody waits any more. */
  stop() {
    for (const stop of this.#stops) stop.abort();
  }

  async #ask(request) {
    const stop = new AbortController();
    this.#stops.add(stop);
    try {
      return await this.#http.json(EXPLAIN, { model: this.#model, encoding_format: "base64", ...request }, stop.signal);
    } finally {
      this.#stops.delete(stop);
    }
  }
}

function lookOf(look) {
  if (!look) return null;
  const attention = look.attention.map((layer) => ({ ...layer, weights: numbersOf(layer.weights) }));
  return { ...look, attention };
}

/** Numbers of 32 bits, the smallest byte first, as all machines that run browsers have them. */
function numbersOf(base64) {
  return new Float32Array(bytesOf(base64).buffer);
}
