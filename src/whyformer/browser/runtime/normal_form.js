// Text before any piece is looked up: brought to its normal form, and cut where pieces must end.

import { inByteCharacters } from "./bytes.js";

const CHANGES = {
  form: (text, { form }) => text.normalize(form),
  // Letter by letter: a whole word would turn its last sigma into another one.
  lowercase: (text) => Array.from(text, (character) => character.toLowerCase()).join(""),
  replace: replaced,
  bytes: inByteCharacters,
};

const KEPT = {
  // Every match, and every stretch between two, stands alone.
  Isolated: (between, match) => [between, match],
  Removed: (between) => [between],
  MergedWithPrevious: (between, match) => [between + match],
};

/** A step with its pattern ready to use. */
export function prepared(step) {
  return "pattern" in step ? { ...step, pattern: new RegExp(step.pattern, "gv") } : step;
}

/** A text with something else in place of all that a pattern finds. Where nothing is, nothing is found. */
export function replaced(text, { pattern, by }) {
  return text === "" ? "" : text.replace(pattern, () => by);
}

/** A text after all steps. */
export function changed(text, steps) {
  return steps.reduce((found, step) => CHANGES[step.kind](found, step), text);
}

/** The stretches that a text is cut into by all steps, none of them empty. */
export function stretches(text, steps) {
  const cut = (found, step) => {
    const part = (stretch) => (step.kind === "cut" ? cutAt(stretch, step) : [CHANGES[step.kind](stretch, step)]);
    return found.flatMap(part).filter((stretch) => stretch !== "");
  };
  return steps.reduce(cut, text === "" ? [] : [text]);
}

function cutAt(text, { pattern, behavior }) {
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(pattern)) {
    parts.push(...KEPT[behavior](text.slice(end, match.index), match[0]));
    end = match.index + match[0].length;
  }
  return [...parts, text.slice(end)];
}
