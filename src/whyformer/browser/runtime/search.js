// Greedy and beam search, rule by rule as `whyformer/decoding` has them: the same tokens, in the same order.
//
// W live hypotheses, a row each · C candidates, twice as many · T tokens so far

import { Fault } from "./fault.js";

const round = Math.fround; // sums are float32, as there

/** What a recipe need not say. */
const DEFAULTS = {
  length_penalty: 0.6,
  stopping: { kind: "bound" },
  longest_factor: 1,
  longest_extra: 50,
  shortest: 1,
  forbidden: [0, 2],
  no_repeat_ngram: null,
};

/** Settings of a search that someone `asked` for, where a recipe's `decoding` says all the rest. */
export function searchSettings(asked, decoding = {}) {
  const settings = { ...DEFAULTS, ...decoding, ...asked };
  if (settings.kind === "greedy") return { ...settings, size: 1, n_best: 1, length_penalty: 0 };
  return { ...settings, n_best: Math.min(settings.n_best ?? 1, settings.size) };
}

/** Writes what follows the source of a fresh `reading`: hypotheses, best first, and all candidates by step. */
export function search(reading, settings, facts) {
  const longest = longestTarget(reading.length, settings, facts);
  const pool = new Pool(settings, longest);
  const tree = [];
  let prefixes = [{ id: null, tokens: [], summands: [], total: 0 }];
  let last = [facts.start];
  for (let length = 1; length <= longest; length++) {
    reading.step(last);
    const first = tree.length === 0 ? 0 : tree.at(-1).at(-1).id + 1;
    const candidates = extensions(reading, prefixes, settings, facts, first);
    pool.addFinished(candidates.filter((candidate) => candidate.ended), length);
    const living = candidates.filter((candidate) => candidate.living);
    if (candidates.length > 0) tree.push(candidates);
    if (pool.isDecided(living) || length === longest) {
      pool.addCutOff(living, length);
      break;
    }
    keepRows(reading, living.map((candidate) => candidate.row), prefixes.length);
    prefixes = living.map((candidate) => grown(prefixes[candidate.row], candidate));
    last = living.map((candidate) => candidate.token);
  }
  return { hypotheses: pool.best(), tree: tree.map((step) => step.map(node)) };
}

/** Maximum number of target tokens, the end mark included. */
export function longestTarget(sourceLength, settings, facts) {
  const most = facts.longest - 1;
  if (settings.shortest > most) throw new Fault("settings", { shortest: settings.shortest, most });
  const wanted = Math.trunc(round(sourceLength * round(settings.longest_factor))) + settings.longest_extra;
  return Math.min(Math.max(wanted, settings.shortest), most);
}

/** The best extensions of all `prefixes`, best first: a greedy search has one, a beam twice its size. */
function extensions(reading, prefixes, settings, facts, first) {
  const count = settings.kind === "greedy" ? 1 : 2 * settings.size;
  const tooEarly = prefixes[0].tokens.length + 1 < settings.shortest;
  const forbidden = [...new Set([...settings.forbidden, ...(tooEarly ? [facts.end] : [])])];
  if (forbidden.some((token) => !(token < facts.vocabulary))) throw new Fault("settings", { forbidden });
  const repeating = prefixes.map((prefix) => repeatingTokens(prefix.tokens, settings.no_repeat_ngram));
  // Those that a row may not repeat are among its best; so many more are asked for.
  const spare = Math.max(...repeating.map((tokens) => tokens.size));
  const asked = Math.min(count + spare, facts.vocabulary - forbidden.length);
  const found = asked > 0 ? reading.best(asked, forbidden) : { ids: [], logProbabilities: [] };
  const candidates = prefixes.flatMap((prefix, row) => {
    const allowed = [];
    for (let place = row * asked; place < (row + 1) * asked && allowed.length < count; place++) {
      const [token, logProbability] = [found.ids[place], found.logProbabilities[place]];
      if (repeating[row].has(token) || logProbability === -Infinity) continue;
      const total = round(prefix.total + logProbability);
      allowed.push({ parent: prefix.id, row, prefix, token, logProbability, total });
    }
    return allowed;
  });
  // Of equal ones that of the better prefix stays before the other: sorting is stable.
  const ranked = candidates.sort((one, other) => other.total - one.total).slice(0, count);
  return judged(ranked, settings.size, facts.end, first);
}

/** Candidates with their fate: those that end among the `size` best have ended, `size` others live on. */
function judged(candidates, size, end, first) {
  let room = size;
  return candidates.map((candidate, rank) => {
    const ends = candidate.token === end;
    const living = !ends && room > 0;
    if (living) room -= 1;
    return { id: first + rank, ...candidate, living, ended: ends && rank < size };
  });
}

/** Tokens that would complete an n-gram of `size` that `tokens` have already. */
function repeatingTokens(tokens, size) {
  const repeating = new Set();
  if (size === null || tokens.length < size) return repeating;
  const begun = tokens.slice(tokens.length - size + 1);
  for (let start = 0; start + size <= tokens.length; start++) {
    if (begun.every((token, place) => token === tokens[start + place])) repeating.add(tokens[start + size - 1]);
  }
  return repeating;
}

/** Selects `rows` of a reading that has as many as `present`, unless all of them stay in place. */
function keepRows(reading, rows, present) {
  if (rows.length !== present || rows.some((row, place) => row !== place)) reading.select(rows);
}

/** A candidate as a prefix of its own. */
function grown(prefix, { id, token, logProbability, total }) {
  return { id, tokens: [...prefix.tokens, token], summands: [...prefix.summands, logProbability], total };
}

/** A candidate as others see it. */
function node({ id, parent, token, logProbability, total, living, ended }) {
  return { id, parent, token_id: token, log_probability: logProbability, total, living, ended };
}

/** ((5 + length) / 6) ^ power: Wu et al. 2016, equation 14. */
function lengthPenalty(length, power) {
  return round(((5 + length) / 6) ** power);
}

/** The best hypotheses so far, of equal scores those that came first. */
class Pool {
  #settings;
  #longest;
  #kept = [];
  #ended = 0; // those that are no longer kept count, too

  constructor(settings, longest) {
    this.#settings = settings;
    this.#longest = longest;
  }

  addFinished(ended, length) {
    this.#ended += ended.length;
    this.#add(ended, length, true);
  }

  /** Takes those that never ended, if nothing did. */
  addCutOff(living, length) {
    if (this.#kept.length > 0) return;
    if (living.length === 0) throw new Fault("stuck", { tokens: length - 1 });
    this.#add(living, length, false);
  }

  /** Whether nothing of `living` can be better (`Scorer.bound` in decoding/ranking/scorer.py), or need be. */
  isDecided(living) {
    const { stopping, size } = this.#settings;
    if (stopping.kind === "patience" && this.#ended >= Math.ceil(stopping.factor * size)) return true;
    const best = Math.max(...living.map((candidate) => candidate.total));
    return this.#floor >= round(best / lengthPenalty(this.#longest, this.#settings.length_penalty));
  }

  best() {
    return this.#kept.map(({ id, tokens, summands, total, score, finished }) => ({
      ids: finished ? tokens.slice(0, -1) : tokens,
      score,
      log_probability: total,
      token_log_probabilities: summands,
      finished,
      node: id,
    }));
  }

  /** Score that a newcomer has to exceed. */
  get #floor() {
    return this.#kept.length < this.#settings.n_best ? -Infinity : this.#kept.at(-1).score;
  }

  #add(candidates, length, finished) {
    const floor = this.#floor;
    for (const candidate of candidates) {
      const score = round(candidate.total / lengthPenalty(length, this.#settings.length_penalty));
      if (score > floor) this.#kept.push({ ...grown(candidate.prefix, candidate), score, finished });
    }
    this.#kept.sort((one, other) => other.score - one.score);
    this.#kept.splice(this.#settings.n_best);
  }
}
