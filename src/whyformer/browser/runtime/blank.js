// Texts of nothing, which need no model.

// Nothing but white space, as Python knows it, and characters without any width.
const BLANK = /^[\s\x1c-\x1f\x85\ufeff\u200b\u200c\u200d\u2060\u00ad]*$/u;

/** Whether there is nothing to translate. */
export function isBlank(text) {
  return BLANK.test(text);
}

/** What comes of a blank text. */
export function nothing() {
  const output = { ids: [], tokens: [], text: "", score: 0, log_probability: 0, finished: true };
  return { source: { ids: [], tokens: [] }, outputs: [output], tree: [], look: null, milliseconds: 0 };
}
