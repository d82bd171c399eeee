/** Labels of tokens and numbers: short, never empty, never a mark that looks like a bar or a speck. */

const QUOTED = { en: ["“", "”"], zh: ["「", "」"] };
const MOST_CHARACTERS = 24;
const ARROW = " → ";

/** A token as a label: its blank is “·”, invisible characters are symbols, punctuation stands in quotes. */
export function tokenLabel(token, lang) {
  let label = [...token.replaceAll("▁", "·")].map(visibleCharacter).join("") || "∅";
  if ([...label].length > MOST_CHARACTERS) label = [...label].slice(0, MOST_CHARACTERS - 1).join("") + "…";
  const bare = label.replace(/^·/, "");
  const [opening, closing] = QUOTED[lang];
  return /^\p{P}+$/u.test(bare) ? label.slice(0, label.length - bare.length) + opening + bare + closing : label;
}

function visibleCharacter(character) {
  if (character < " ") return String.fromCodePoint(0x2400 + character.codePointAt(0));
  return /^[\s\p{Cf}]$/u.test(character) ? "␣" : character;
}

/** The label of a row that reads one token and then writes another. */
export function rowLabel(fed, written, lang) {
  const label = tokenLabel(fed, lang);
  return written === null ? label : label + ARROW + tokenLabel(written, lang);
}

/** A probability as a percentage that is never 0 or 100 unless it is exactly that. */
export function percentLabel(probability) {
  const share = 100 * probability;
  if (share > 0 && share < 0.1) return "< 0.1 %";
  if (share > 99.9 && share < 100) return "> 99.9 %";
  return (share >= 10 && share < 99) || share === 0 || share === 100
    ? `${share.toFixed(0)} %`
    : `${share.toFixed(1)} %`;
}

/** A logarithm, in nats, with a minus sign that is one. */
export function natsLabel(nats) {
  if (nats === -Infinity) return "−∞";
  const text = nats.toFixed(2);
  return (text === "-0.00" ? "0.00" : text).replace("-", "−");
}

/** A weight from 0 to 1. */
export function weightLabel(weight) {
  return weight.toFixed(2);
}

let pen = null;

/** How wide a text is, in pixels, in `font`. */
export function textWidth(text, font) {
  pen ??= document.createElement("canvas").getContext("2d");
  pen.font = font;
  return pen.measureText(text).width;
}

/** A text, cut and ended by “…” where it is wider than `most`. */
export function shortened(text, most, font) {
  if (textWidth(text, font) <= most) return text;
  const kept = [...text];
  while (kept.length > 1 && textWidth(kept.join("") + "…", font) > most) kept.pop();
  return kept.join("") + "…";
}

/** The label of a row, cut so that of two tokens both keep a part. */
export function shortenedRow(label, most, font) {
  const cut = label.indexOf(ARROW);
  if (cut < 0 || textWidth(label, font) <= most) return shortened(label, most, font);
  const room = most - textWidth(ARROW, font);
  const written = label.slice(cut + ARROW.length);
  const fed = shortened(label.slice(0, cut), Math.max(room / 2, room - textWidth(written, font)), font);
  return fed + ARROW + shortened(written, room - textWidth(fed, font), font);
}
