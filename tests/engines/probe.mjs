// Lets the compiled engine do what it is told, as JSON: {engine, runtime, tasks: [{model, sentences, …}]} from standard input.
import { readFileSync } from "node:fs";

const told = JSON.parse(readFileSync(0, "utf8"));
const { Engine, PLACES } = await import(`${told.runtime}/engine.js`);
const program = readFileSync(told.engine);

/** Greedy search: tokens with the end mark, and their log-probabilities. */
function written(reading, longest) {
  const tokens = [];
  const logProbabilities = [];
  for (let last = reading.facts.start; tokens.length < longest && last !== reading.facts.end; ) {
    reading.step([last]);
    const best = reading.best(1, [0, reading.facts.start]);
    last = best.ids[0];
    tokens.push(last);
    logProbabilities.push(best.logProbabilities[0]);
  }
  return { tokens, logProbabilities };
}

/** Logits and attention while `fed` is fed, as the native engine's `look` has them: weights row by row. */
function seen(reading, fed) {
  const attention = PLACES.map((place) => reading.facts.heads[place].map(() => []));
  attention[0] = attention[0].map((_, layer) => [...reading.attention(PLACES[0], layer)]);
  const logits = fed.map((token) => {
    reading.step([token]);
    for (const at of [1, 2])
      attention[at].forEach((rows, layer) => rows.push([...reading.attention(PLACES[at], layer)]));
    return [...reading.logits(0)];
  });
  return { logits, attention };
}

const answers = [];
for (const task of told.tasks) {
  try {
    const engine = await Engine.load(program, readFileSync(task.model));
    const work = (sentence) => (reading) =>
      task.fed ? seen(reading, task.fed) : written(reading, sentence.length + task.extra);
    const options = { record: Boolean(task.fed), lens: task.lens ?? {} };
    answers.push(task.sentences.map((sentence) => engine.during(sentence, options, work(sentence))));
  } catch (error) {
    answers.push({ fault: error.code ?? String(error) });
  }
}
process.stdout.write(JSON.stringify(answers, (_, value) => (value === -Infinity ? "-inf" : value)));
