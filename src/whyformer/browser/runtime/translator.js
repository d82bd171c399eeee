// Text in, text out, and what the page shows of it.

import { bytesOf } from "./base64.js";
import { isBlank, nothing } from "./blank.js";
import { Engine } from "./engine.js";
import { Fault } from "./fault.js";
import { forced } from "./look.js";
import { search, searchSettings } from "./search.js";
import { PageTokenizer } from "./tokenizer.js";

/** A trained model with its tokenizers and its way of searching. */
export class PageTranslator {
  #engine;
  #source;
  #target;
  #decoding;

  constructor(engine, source, target, decoding) {
    this.#engine = engine;
    this.#source = source;
    this.#target = target;
    this.#decoding = decoding;
  }

  /** The translator of a page's data: the engine and the weights as base64, the tokenizers, the recipe's search. */
  static async load({ engine, model }) {
    const loaded = await Engine.load(bytesOf(engine), bytesOf(model.weights));
    const { source, target } = model.tokenizers;
    return new PageTranslator(loaded, new PageTokenizer(source), new PageTokenizer(target), model.decoding);
  }

  get facts() {
    return this.#engine.facts;
  }

  /** Bytes of memory that the engine has. */
  get size() {
    return this.#engine.size;
  }

  /** The translations of a text, best first, the candidates among which they were found, a look at the best. */
  translate({ text, search: asked, lens = {} }) {
    if (isBlank(text)) return nothing();
    const began = performance.now();
    const source = this.#read(text);
    const settings = searchSettings(asked, this.#decoding);
    const found = this.#engine.during(source, { lens }, (reading) => search(reading, settings, this.facts));
    const outputs = found.hypotheses.map((hypothesis) => this.#output(hypothesis));
    const milliseconds = performance.now() - began;
    const tree = found.tree.map((step) => step.map((node) => ({ ...node, token: this.#name(node.token_id) })));
    const { ids, finished } = outputs[0];
    const look = this.#look(source, finished ? [...ids, this.facts.end] : ids, lens);
    return { source: look.source, outputs, tree, look, milliseconds };
  }

  /** A look at a text and one translation of it, given as ids or as text; null if the text is blank. */
  look({ text, ids = null, translation = "", finished = true, lens = {} }) {
    if (isBlank(text)) return null;
    const target = ids ?? this.#target.encode(translation);
    return this.#look(this.#read(text), finished ? [...target, this.facts.end] : target, lens);
  }

  #read(text) {
    const ids = this.#source.encode(text);
    const most = this.facts.longest - 1;
    if (ids.length > most) throw new Fault("overlong", { side: "source", tokens: ids.length, most });
    return [...ids, this.facts.end];
  }

  #look(source, written, lens) {
    const most = this.facts.longest - 1;
    if (written.length > most) throw new Fault("overlong", { side: "target", tokens: written.length, most });
    const { predictions, maps } = forced(this.#engine, source, written, lens);
    const tokens = { source: this.#source.tokens(source), target: this.#target.tokens(written) };
    const fed = [this.#name(this.facts.start), ...tokens.target.slice(0, -1)];
    const steps = predictions.map(({ log_probability, others }, step) => ({
      token: tokens.target[step],
      log_probability,
      others: others.map((other) => ({ token: this.#name(other.id), log_probability: other.log_probability })),
    }));
    const attention = maps.map(({ place, layer, heads, weights }) => ({
      place,
      layer,
      heads,
      queries: place === "encoder self" ? tokens.source : fed.slice(0, written.length),
      keys: place === "decoder self" ? fed.slice(0, written.length) : tokens.source,
      written: place === "encoder self" ? null : tokens.target,
      weights,
    }));
    const target = { ids: written, tokens: tokens.target };
    return { source: { ids: source, tokens: tokens.source }, target, steps, attention };
  }

  #output(hypothesis) {
    const { ids } = hypothesis;
    return { ...hypothesis, tokens: this.#target.tokens(ids), text: this.#target.decode(ids) };
  }

  #name(id) {
    return this.#target.tokens([id])[0];
  }
}
