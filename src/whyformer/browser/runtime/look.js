// A look inside at one source and one target, as `whyformer/analysis/inspection.py` takes it: the model is fed
// the target token by token as if it had written it (teacher forcing).
//
// T target length · S source length · H heads · Q queries · K keys · V vocabulary

import { PLACES } from "./engine.js";

const OTHERS = 3; // tokens that are named besides the one that was written

/** How likely each of the `written` ids (T) was after `source` (S), and the attention (H,Q,K) of each layer. */
export function forced(engine, source, written, lens) {
  const { facts } = engine;
  const maps = emptyMaps(facts, source.length, written.length);
  const predictions = engine.during(source, { record: true, lens }, (reading) => {
    maps.filter(({ place }) => place === PLACES[0]).forEach((map) => fillQueries(map, reading));
    return written.map((id, step) => {
      reading.step([step === 0 ? facts.start : written[step - 1]]);
      maps.filter(({ place }) => place !== PLACES[0]).forEach((map) => fillQuery(map, reading, step));
      return prediction(reading, id);
    });
  });
  return { predictions, maps };
}

function emptyMaps(facts, source, target) {
  const lengths = { "encoder self": [source, source], "decoder self": [target, target], cross: [target, source] };
  return PLACES.flatMap((place) =>
    facts.heads[place].flatMap((heads, layer) => {
      const [queries, keys] = lengths[place];
      if (heads === 0) return []; // a recurrence takes its place
      return { place, layer, heads, queries, keys, weights: new Float32Array(heads * queries * keys) };
    }),
  );
}

/** The encoder's weights: (Q,H,K) -> (H,Q,K). */
function fillQueries({ place, layer, heads, queries, keys, weights }, reading) {
  const recorded = reading.attention(place, layer);
  for (let query = 0; query < queries; query++) {
    for (let head = 0; head < heads; head++) {
      const from = (query * heads + head) * keys;
      weights.set(recorded.subarray(from, from + keys), (head * queries + query) * keys);
    }
  }
}

/** The weights of a step: (H,k) -> (H,Q,K), where the decoder has seen k keys of its own so far. */
function fillQuery({ place, layer, heads, queries, keys, weights }, reading, query) {
  const recorded = reading.attention(place, layer);
  const seen = recorded.length / heads;
  for (let head = 0; head < heads; head++) {
    weights.set(recorded.subarray(head * seen, (head + 1) * seen), (head * queries + query) * keys);
  }
}

/** What came of the id that was written, and the likeliest besides it. */
function prediction(reading, written) {
  const count = Math.min(OTHERS + 1, reading.facts.vocabulary);
  const { ids, logProbabilities } = reading.best(count);
  const ranked = [...ids].map((id, rank) => ({ id, log_probability: logProbabilities[rank] }));
  const others = ranked.filter(({ id }) => id !== written).slice(0, OTHERS);
  return { log_probability: logProbability(reading.logits(0), written), others };
}

/** The logarithm of the softmax of `logits` (V) at `place`. */
function logProbability(logits, place) {
  const largest = logits.reduce((one, other) => Math.max(one, other));
  const total = logits.reduce((sum, logit) => sum + Math.exp(logit - largest), 0);
  return logits[place] - largest - Math.log(total);
}
