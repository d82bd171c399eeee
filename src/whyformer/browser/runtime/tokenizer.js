// From text to ids and back. What is done, and in which order, is data; Python writes it (tokenizers.py).

import { fromByteCharacters, withBytesRead } from "./bytes.js";
import { Fault } from "./fault.js";
import { changed, prepared, replaced, stretches } from "./normal_form.js";
import { BytePairs, LikeliestPieces, LongestPieces, WholeWords } from "./pieces.js";

const CUTTERS = { bpe: BytePairs, unigram: LikeliestPieces, wordpiece: LongestPieces, word: WholeWords };
const SHOWN = { " ": "▁", "\n": "\\n", "\r": "\\r", "\t": "\\t" };
const PATTERN_SYNTAX = /[\^$\\.*+?\(\)\[\]\{\}\|\/]/gv;

/** Steps from pieces to text, each from a list of pieces to a list. */
const WAYS_BACK = {
  replace: (pieces, step) =>
    pieces.map((piece, place) => {
      const spared = (step.of === "first" && place > 0) || (step.of === "rest" && place === 0);
      return spared ? piece : replaced(piece, step);
    }),
  fallback: withBytesRead,
  fuse: (pieces) => [pieces.join("")],
  bytes: (pieces) => [fromByteCharacters(pieces)],
};

/** Cuts text into pieces of a fixed vocabulary and puts pieces together again. */
export class PageTokenizer {
  constructor(data) {
    this.pieces = data.pieces;
    this.silent = new Set(data.silent);
    this.changes = data.changes.map(prepared);
    this.cuts = data.cuts.map(prepared);
    this.decoder = data.decoder.map(prepared);
    const known = new Map(data.pieces.map((piece, id) => [piece, id]));
    this.cutter = new CUTTERS[data.model.kind](data.model, data.pieces, known);
    // What is looked for in normal form is written so, too.
    this.written = [...data.pieces];
    const inNormalForm = data.whole.filter((token) => token.normalized);
    for (const { id } of inNormalForm) this.written[id] = changed(this.pieces[id], this.changes);
    this.whole = this.#names(data.whole.filter((token) => !token.normalized));
    this.wholeInNormalForm = this.#names(inNormalForm);
  }

  /** Number of ids. */
  get size() {
    return this.pieces.length;
  }

  /** The ids of a text, without those that begin and end a sentence. */
  encode(text) {
    if (!text.isWellFormed()) throw new Fault("surrogate");
    const cut = (stretch) => stretches(stretch, this.cuts).flatMap((part) => this.cutter.ids(part));
    return around(text, this.whole, (stretch) =>
      around(changed(stretch, this.changes), this.wholeInNormalForm, cut),
    );
  }

  /** The text of some ids; special tokens are left out, but what was unknown shows. */
  decode(ids) {
    const pieces = Array.from(ids).filter((id) => !this.silent.has(id)).map((id) => this.written[this.#known(id)]);
    return this.decoder.reduce((found, step) => WAYS_BACK[step.kind](found, step), pieces).join("");
  }

  /** Each piece for people to read: a space shows as ▁, a line end as a backslash and n. */
  tokens(ids) {
    const shown = (piece) => piece.replace(/[ \n\r\t]/gv, (character) => SHOWN[character]);
    return Array.from(ids, (id) => shown(this.pieces[this.#known(id)]));
  }

  #known(id) {
    if (!(id in this.pieces)) throw new RangeError(`no piece has the id ${id}`);
    return id;
  }

  /** Tokens that are never cut, by name, and a pattern for them; a special one has no id: texts only spell it. */
  #names(tokens) {
    const ids = new Map(tokens.map(({ id, special }) => [this.written[id], special ? undefined : id]));
    const longestFirst = [...ids.keys()].filter(Boolean).sort((one, other) => other.length - one.length);
    if (!longestFirst.length) return null;
    const literal = longestFirst.map((text) => text.replace(PATTERN_SYNTAX, "\\$&"));
    return { ids, pattern: new RegExp(literal.join("|"), "gv") };
  }
}

/** The ids of a text in which some names stand for a token each, and `cut` makes those of all between. */
function around(text, names, cut) {
  if (names === null) return cut(text);
  const parts = [];
  let end = 0;
  for (const { 0: name, index } of text.matchAll(names.pattern)) {
    const id = names.ids.get(name);
    if (id === undefined) continue;
    parts.push(cut(text.slice(end, index)), [id]);
    end = index + name.length;
  }
  return [...parts, cut(text.slice(end))].flat();
}
