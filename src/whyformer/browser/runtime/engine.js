// The engine behind plain methods. S source length · N rows, a token each · H heads · V vocabulary

import { Fault } from "./fault.js";
import { ProgramMemory, startProgram } from "./program.js";

/** Where attention is, in the order in which the engine numbers it. */
export const PLACES = ["encoder self", "decoder self", "cross"];

const NUMBER = 4; // bytes
const NO_BOUND = -1;
const NO_MEMORY = 4; // of what whyformer_open answers
const NOT_FINITE = 1; // of what whyformer_step answers

/** A model that the compiled program has read. */
export class Engine {
  #exports;
  #memory;
  #usual;

  constructor(exports) {
    this.#exports = exports;
    this.#memory = new ProgramMemory(exports);
  }

  /** The engine of a program and a model's weights, both bytes. */
  static async load(program, weights) {
    const engine = new Engine(await startProgram(program));
    engine.#open(weights);
    engine.facts = engine.#facts();
    engine.#usual = engine.#memory.copy(Int32Array, engine.#exports.whyformer_ranges(), 2 * PLACES.length);
    return engine;
  }

  /** Bytes of memory that the program has. */
  get size() {
    return this.#exports.memory.buffer.byteLength;
  }

  /** What `work` makes of a reading of `ids` (S), which end with the end mark; no reading is left behind. */
  during(ids, options, work) {
    const reading = this.#read(ids, options);
    try {
      return work(reading);
    } finally {
      reading.forget();
    }
  }

  #open(weights) {
    const place = this.#memory.take(weights.length);
    let code = NO_MEMORY;
    try {
      this.#memory.view(Uint8Array, place, weights.length).set(weights);
      code = this.#exports.whyformer_open(place, weights.length);
    } finally {
      this.#exports.whyformer_free(place);
    }
    if (code === NO_MEMORY) throw new Fault("memory");
    if (code !== 0) throw new Fault("damaged", { reason: code });
  }

  #facts() {
    const pointer = this.#exports.whyformer_facts();
    const names = ["version", "d_model", "source_vocabulary", "vocabulary", "longest", "start", "end"];
    const count = names.length + 2;
    const [encoder, decoder] = this.#memory.copy(Int32Array, pointer, count).slice(names.length);
    const numbers = [...this.#memory.copy(Int32Array, pointer, count + encoder + 2 * decoder)];
    const heads = {};
    let from = count;
    for (const [place, layers] of [encoder, decoder, decoder].entries()) {
      heads[PLACES[place]] = numbers.slice(from, (from += layers));
    }
    return { ...Object.fromEntries(names.map((name, at) => [name, numbers[at]])), heads };
  }

  #read(ids, { record = false, lens = {} } = {}) {
    const { source_vocabulary: vocabulary, longest } = this.facts;
    if (ids.length < 1 || ids.length > longest || ids.some((id) => !(id >= 0 && id < vocabulary))) {
      throw new RangeError(`no source of this model: ${ids}`);
    }
    this.#wear(lens);
    const place = this.#memory.lend(ids.length * NUMBER);
    this.#memory.view(Int32Array, place, ids.length).set(ids);
    const search = this.#exports.whyformer_read(place, ids.length, record ? 1 : 0);
    if (search === 0) throw new Fault("memory");
    return new Reading(this.#exports, this.#memory, this.facts, search, ids.length);
  }

  /** Sees to it that the next reading has its heads taken away, and its masks put on. */
  #wear({ ablated = [], masks = {} }) {
    const ranges = PLACES.flatMap((place, at) => {
      const usual = this.#usual.slice(2 * at, 2 * at + 2);
      return masks[place] ? masks[place].map((bound) => bound ?? NO_BOUND) : [...usual];
    });
    const places = PLACES.map((place) => this.facts.heads[place]);
    const bytes = places.map((layers) => layers.map((heads) => new Array(heads).fill(0)));
    for (const { place, layer, head } of ablated) {
      const layers = bytes[PLACES.indexOf(place)];
      if (layers?.[layer]?.[head] === undefined) throw new RangeError(`no such head: ${place} ${layer} ${head}`);
      layers[layer][head] = 1;
    }
    const flat = bytes.flat(2);
    this.#memory.view(Int32Array, this.#exports.whyformer_ranges(), ranges.length).set(ranges);
    this.#memory.view(Uint8Array, this.#exports.whyformer_ablated(), flat.length).set(flat);
  }
}

/** A source that the engine has read, and the hypotheses of what follows: one row at first. */
export class Reading {
  #exports;
  #memory;
  #search;
  #rows = 1;
  #steps = 0;

  constructor(exports, memory, facts, search, length) {
    this.#exports = exports;
    this.#memory = memory;
    this.facts = facts;
    this.#search = search;
    this.length = length;
  }

  /** Feeds each row its last token, `tokens` (N). */
  step(tokens) {
    const answer = this.#exports.whyformer_step(this.#search, this.#hand(tokens), this.#rows);
    this.#steps += 1;
    if (answer === NOT_FINITE) throw new Fault("not_finite");
    if (answer !== 0) throw new RangeError(`no tokens to be fed at step ${this.#steps}: ${tokens}`);
  }

  /** Keeps, reorders and repeats `rows`. */
  select(rows) {
    this.#exports.whyformer_select(this.#search, this.#hand(rows), rows.length);
    this.#rows = rows.length;
  }

  /** The `count` likeliest tokens of each row but the `forbidden`: ids and log-probabilities, (N,count) each. */
  best(count, forbidden = []) {
    const size = this.#rows * count;
    const place = this.#memory.lend((forbidden.length + 2 * size) * NUMBER);
    this.#memory.view(Int32Array, place, forbidden.length).set(forbidden);
    const ids = place + forbidden.length * NUMBER;
    const numbers = ids + size * NUMBER;
    this.#exports.whyformer_best(this.#search, place, forbidden.length, count, ids, numbers);
    return {
      ids: this.#memory.copy(Int32Array, ids, size),
      logProbabilities: this.#memory.copy(Float32Array, numbers, size),
    };
  }

  /** The logits (V) of a row after a step. */
  logits(row) {
    const from = this.#exports.whyformer_logits(this.#search) + row * this.#exports.whyformer_stride() * NUMBER;
    return this.#memory.copy(Float32Array, from, this.facts.vocabulary);
  }

  /** The weights that were recorded last: of the source's tokens (S,H,S), or of each row's last (N,H,keys). */
  attention(place, layer) {
    const code = PLACES.indexOf(place);
    const pointer = this.#exports.whyformer_attention(this.#search, code, layer);
    const queries = place === "encoder self" ? this.length : this.#rows;
    const keys = place === "decoder self" ? this.#steps : this.length;
    return this.#memory.copy(Float32Array, pointer, queries * this.facts.heads[place][layer] * keys);
  }

  /** Gives its memory back; nothing else may be asked of it then. */
  forget() {
    const search = this.#search;
    this.#search = 0;
    if (search !== 0) this.#exports.whyformer_forget(search);
  }

  #hand(numbers) {
    if (this.#search === 0) throw new Error("this reading is forgotten");
    const place = this.#memory.lend(numbers.length * NUMBER);
    this.#memory.view(Int32Array, place, numbers.length).set(numbers);
    return place;
  }
}
