/** What is asked, what was found, and who wants to hear of it: one for each place where the model is shown. */

import { isWhole, maskName, PLACES, wholeLens } from "./lens.js";
import { LARGEST_BEAM } from "./link.js";
import { faultIn, sayIn } from "./words.js";

/** Milliseconds: of quiet before a text is translated, until a stop is offered, until a newer one ends it. */
const QUIET = 30;
const PATIENCE = 300;
const OVERTAKEN = 1000;
/** Milliseconds that a token stays lit when it has lost the focus. */
const LINGER = 250;
/** Hypotheses that are shown; the first of them does not depend on how many. */
const SHOWN = 4;
const ASKED = ["text", "search", "lens"];

/** One reader's view of the model. */
export class Session {
  constructor(client, model, facts, state) {
    this.client = client;
    this.model = model;
    this.facts = facts;
    this.defaults = { search: searchOfRecipe(model.decoding) };
    this.state = {
      lang: "en",
      text: "",
      search: this.defaults.search,
      lens: wholeLens(),
      shown: { kind: "best" },
      place: "cross",
      heads: null,
      step: null,
      hover: null,
      own: "",
      result: null,
      whole: null,
      forced: null,
      look: null,
      ownLook: null,
      fault: null,
      ownFault: null,
      busy: false,
      slow: false,
      ...state,
    };
    this.watchers = [];
    this.endings = [];
    this.heard = () => {};
    this.asking = { timer: 0, running: null, again: false };
    this.looked = 0;
  }

  /** Whether the model can be broken on purpose: only an engine that tells of its heads can. */
  get breakable() {
    return this.facts.heads !== undefined;
  }

  /** Words in the language of the state. */
  say(key, values = {}) {
    return sayIn(this.state.lang, key, values);
  }

  /** A fault as one sentence. */
  faultWords(fault) {
    return faultIn(this.state.lang, fault);
  }

  /** What is broken on purpose, in words. */
  lensWords() {
    const { lens } = this.state;
    const told = PLACES.filter((place) => place in lens.masks).map((place) =>
      this.say("sees", {
        place: this.say(`place_${place}`),
        mask: this.say(`mask_${place}_${maskName(lens, place)}`),
      }),
    );
    if (lens.ablated.length) told.push(this.say("headsOff", { count: lens.ablated.length }));
    return told.join(this.say("and"));
  }

  /** The name of a head, or of the mean of all heads of a layer. */
  headWords({ layer, head }) {
    return this.say(head < 0 ? "layerMean" : "layerHead", { layer: layer + 1, head: head + 1 });
  }

  /** Makes the model whole again. */
  mend() {
    this.set({ lens: wholeLens() });
  }

  /** Ends all that runs or waits; nobody watches any more. */
  close() {
    clearTimeout(this.asking.timer);
    this.asking.again = false;
    this.stop();
    this.unwatch();
  }

  /** Calls `action` now, and whenever one of `keys` has changed. */
  watch(keys, action) {
    this.watchers.push({ keys, action });
    action();
  }

  /** Calls `action` once, when all is about to be drawn anew. */
  onRedraw(action) {
    this.endings.push(action);
  }

  /** Forgets who watches, before all is drawn anew. */
  unwatch() {
    for (const end of this.endings) end();
    this.endings = [];
    this.watchers = [];
  }

  /** Changes the state and tells those who watch what has changed. */
  set(changes) {
    const changed = Object.keys(changes).filter((key) => this.state[key] !== changes[key]);
    Object.assign(this.state, changes);
    if (changed.some((key) => ASKED.includes(key))) this.ask();
    if (changed.includes("text")) Object.assign(this.state, { step: changes.step ?? null, hover: null });
    if (changed.includes("own")) this.lookAtOwn();
    const told = changed.includes("text") ? [...changed, "step", "hover"] : changed;
    for (const watcher of this.watchers.slice()) if (watcher.keys.some((key) => told.includes(key))) watcher.action();
    if (changed.length) this.heard();
  }

  /** Translates soon; the newest text wins. */
  ask() {
    const { asking } = this;
    clearTimeout(asking.timer);
    asking.timer = setTimeout(() => {
      if (asking.running === null) this.translate();
      else {
        asking.again = true;
        if (performance.now() - asking.running > OVERTAKEN) this.client.stop();
      }
    }, this.client.quiet ?? QUIET);
  }

  /** Ends what runs. */
  stop() {
    this.client.stop();
  }

  async translate() {
    const { asking } = this;
    asking.again = false;
    asking.running = performance.now();
    this.set({ busy: true });
    let changes;
    try {
      changes = await this.patiently(this.found());
    } catch (fault) {
      changes = { fault, result: null, whole: null, forced: null, look: null };
    }
    asking.running = null;
    if (asking.again) {
      this.translate();
      return;
    }
    this.set({ ...changes, busy: false, shown: { kind: "best" } });
    if (this.state.own) this.lookAtOwn();
  }

  /** What `work` comes to; while it takes long, a stop is offered. */
  async patiently(work) {
    const timer = setTimeout(() => this.set({ slow: true }), PATIENCE);
    try {
      return await work;
    } finally {
      clearTimeout(timer);
      this.set({ slow: false });
    }
  }

  /** The translation, that of the whole model beside it, and how likely the broken model finds that one. */
  async found() {
    const { text, search, lens } = this.state;
    const broken = !isWhole(lens);
    const request = {
      text,
      search: search.kind === "beam" ? { ...search, n_best: Math.min(search.size, SHOWN) } : search,
    };
    const result = await this.client.translate({ ...request, lens });
    const whole = broken ? await this.client.translate({ ...request, lens: wholeLens() }) : null;
    const forced = whole?.look ? await this.client.look(this.pathOf(whole.outputs[0], { text, lens })) : null;
    const { look } = result;
    const step = look && this.state.step !== null ? this.state.step : null;
    return {
      result,
      whole,
      forced,
      look,
      fault: null,
      heads: openedHeads(look, this.state.heads),
      step: step === null ? null : Math.min(step, look.target.tokens.length - 1),
    };
  }

  /** The request to look at an output. */
  pathOf(output, { text, lens } = this.state) {
    return { text, ids: output.ids, finished: output.finished, lens };
  }

  /** Shows another hypothesis, or a path of the search: `shown` tells which, `request` how to look at it. */
  async show(shown, request) {
    const number = ++this.looked;
    try {
      const look = request === null ? this.state.result.look : await this.patiently(this.client.look(request));
      if (number === this.looked) this.set({ shown, look, step: null, hover: null, fault: null });
    } catch (fault) {
      if (number === this.looked) this.set({ fault });
    }
  }

  /** Looks at the reader's own translation, if there is one. */
  async lookAtOwn() {
    const { text, own, lens, shown } = this.state;
    if (!own.trim() || !text.trim()) {
      this.set({ ownLook: null, ownFault: null });
      return;
    }
    try {
      const ownLook = await this.patiently(this.client.look({ text, translation: own, lens }));
      if (own !== this.state.own) return;
      this.set({ ownLook, ownFault: null, ...(shown.kind === "own" ? { look: ownLook } : {}) });
    } catch (fault) {
      if (own === this.state.own) this.set({ ownLook: null, ownFault: fault });
    }
  }

  /** Points at a token of a side, or at none. */
  point(side, index) {
    const { hover } = this.state;
    if (hover?.side !== side || hover?.index !== index) this.set({ hover: side ? { side, index } : null });
  }

  /** Points at nothing, a little later: what follows may move, and a press that took the focus is still going on. */
  pointNoMore() {
    const { hover } = this.state;
    setTimeout(() => {
      if (this.state.hover === hover) this.point();
    }, LINGER);
  }

  /** What lights up: the token pointed at, else that of the step. */
  lit() {
    const { hover, step } = this.state;
    return hover ?? (step === null ? null : { side: "target", index: step });
  }

  /** The attention weights of the open head of a place, row by row, and its size; null where there are none. */
  opened(place) {
    const { look, heads } = this.state;
    const layers = look?.attention.filter((each) => each.place === place) ?? [];
    if (!layers.length || !heads) return null;
    const layer = layers[Math.min(heads[place].layer, layers.length - 1)];
    return { ...layer, head: heads[place].head, rows: weightsOf(layer, heads[place].head) };
  }
}

/** The search that the recipe asks for, as far as the page offers it. */
function searchOfRecipe(decoding) {
  return decoding.kind === "beam" ? { kind: "beam", size: Math.min(decoding.size, LARGEST_BEAM) } : { kind: "greedy" };
}

/** The weights of one head, (Q·K), or for head -1 the mean of all heads of its layer. */
export function weightsOf(layer, head) {
  const cells = layer.queries.length * layer.keys.length;
  if (head >= 0) return layer.weights.subarray(head * cells, (head + 1) * cells);
  const mean = new Float32Array(cells);
  for (let at = 0; at < layer.heads * cells; at++) mean[at % cells] += layer.weights[at] / layer.heads;
  return mean;
}

/** The head that is open in each place; where none is, the one whose rows differ most. */
function openedHeads(look, open) {
  if (!look) return open;
  return Object.fromEntries(
    PLACES.map((place) => {
      if (open?.[place]) return [place, open[place]];
      let best = { layer: 0, head: 0, told: -1 };
      for (const layer of look.attention.filter((each) => each.place === place)) {
        for (let head = 0; head < layer.heads; head++) {
          const told = telling(weightsOf(layer, head), layer.queries.length, layer.keys.length);
          if (told > best.told) best = { layer: layer.layer, head, told };
        }
      }
      return [place, { layer: best.layer, head: best.head }];
    }),
  );
}

/** How much a row tells of which token it belongs to: the mutual information of query and key, in bits. */
function telling(weights, rows, columns) {
  const mean = new Float64Array(columns);
  let own = 0;
  for (let row = 0; row < rows; row++) {
    const of = weights.subarray(row * columns, (row + 1) * columns);
    own += entropy(of) / rows;
    of.forEach((weight, column) => {
      mean[column] += weight / rows;
    });
  }
  return entropy(mean) - own;
}

function entropy(row) {
  return -row.reduce((sum, weight) => (weight > 0 ? sum + weight * Math.log2(weight) : sum), 0);
}
