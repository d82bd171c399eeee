/** What was asked, kept in this browser only, newest first. */

import { keep, kept } from "../../../browser/components/switches.js";

const PLACE = "whyformer-history";
const MOST = 30;
/** Characters that are kept of a text. */
const LONGEST = 2000;

const isEntry = (entry) => ["task", "run", "text", "answer"].every((name) => typeof entry?.[name] === "string");

/** Entries {task, run, text, answer}; whatever else stands in their place is as good as nothing. */
export function recalled() {
  try {
    const entries = JSON.parse(kept(PLACE) ?? "[]");
    return Array.isArray(entries) ? entries.filter(isEntry).slice(0, MOST) : [];
  } catch {
    return [];
  }
}

/** Puts an entry first; it takes the place of one with the same text, run and task. */
export function remember({ task, run, text, answer }) {
  const entry = { task, run, text: text.slice(0, LONGEST), answer: answer.slice(0, LONGEST) };
  const same = (other) => ["task", "run", "text"].every((name) => other[name] === entry[name]);
  const others = recalled().filter((other) => !same(other) || (!entry.text && other.answer !== entry.answer));
  keep(PLACE, JSON.stringify([entry, ...others].slice(0, MOST)));
}

/** Forgets all. */
export function forget() {
  keep(PLACE, "[]");
}
