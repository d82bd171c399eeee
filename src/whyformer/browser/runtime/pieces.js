// Four ways to cut a stretch of text into pieces that have an id. Each has one method, ids(stretch).

import { byteNames } from "./bytes.js";

/** The ids of the names of a text's bytes; null where bytes have no ids. */
function byteIds(text, known) {
  const ids = byteNames(text).map((name) => known.get(name));
  return ids.includes(undefined) ? null : ids;
}

/** Byte-pair encoding: begins with characters and replays the merges, those learned first before all others. */
export class BytePairs {
  constructor({ merges, unknown, bytes }, pieces, known) {
    this.known = known;
    this.unknown = unknown === null ? [] : [unknown];
    this.bytes = bytes;
    this.merges = new Map();
    for (let rank = 0; 2 * rank < merges.length; rank++) {
      const [left, right] = merges.slice(2 * rank, 2 * rank + 2);
      this.merges.set(`${left} ${right}`, { rank, merged: known.get(pieces[left] + pieces[right]) });
    }
  }

  ids(stretch) {
    const ids = Array.from(stretch).flatMap((character) => this.#ofCharacter(character));
    const size = ids.length;
    // A list in which each place knows its neighbours: a merge takes the right one of two out.
    const before = ids.map((_, place) => place - 1);
    const after = ids.map((_, place) => place + 1);
    const merge = (place) => this.merges.get(`${ids[place]} ${ids[after[place]]}`);
    // The merges to be made, by rank and then from left to right.
    const waiting = new SmallestFirst();
    const offer = (place) => {
      const found = merge(place);
      if (found) waiting.add(found.rank * size + place);
    };
    for (let place = 0; place < size; place++) offer(place);
    for (let next = waiting.take(); next !== undefined; next = waiting.take()) {
      const place = next % size;
      const found = merge(place);
      // One of the two may have been merged with another by now.
      if (found?.rank !== Math.floor(next / size)) continue;
      const right = after[place];
      ids[place] = found.merged;
      ids[right] = undefined;
      after[place] = after[right];
      before[after[right]] = place;
      offer(before[place]);
      offer(place);
    }
    return ids.filter((id) => id !== undefined);
  }

  #ofCharacter(character) {
    const id = this.known.get(character);
    if (id !== undefined) return [id];
    return (this.bytes && byteIds(character, this.known)) || this.unknown;
  }
}

/** Numbers of which the smallest can be taken at once (a binary heap: none is above a smaller one). */
class SmallestFirst {
  #numbers = [];

  add(number) {
    const numbers = this.#numbers;
    let place = numbers.push(number) - 1;
    while (place > 0) {
      const above = (place - 1) >> 1;
      if (numbers[above] <= number) break;
      numbers[place] = numbers[above];
      place = above;
    }
    numbers[place] = number;
  }

  take() {
    const numbers = this.#numbers;
    const smallest = numbers[0];
    const moved = numbers.pop();
    let place = 0;
    for (let below = 1; below < numbers.length; below = 2 * place + 1) {
      if (numbers[below + 1] < numbers[below]) below++;
      if (numbers[below] >= moved) break;
      numbers[place] = numbers[below];
      place = below;
    }
    if (numbers.length) numbers[place] = moved;
    return smallest;
  }
}

/** Unigram language model: of all ways to cut a stretch, the most probable one (Viterbi's algorithm). */
export class LikeliestPieces {
  constructor({ scores, unknown, bytes }, pieces, known) {
    Object.assign(this, { scores, unknown, bytes, known });
    this.unknownScore = scores.reduce((least, score) => Math.min(least, score)) - 10;
    // The pieces as a tree: its branches are their characters.
    this.tree = { branches: new Map(), id: null };
    pieces.forEach((piece, id) => {
      let node = this.tree;
      for (const character of piece) {
        if (!node.branches.has(character)) node.branches.set(character, { branches: new Map(), id: null });
        node = node.branches.get(character);
      }
      node.id = id;
    });
  }

  ids(stretch) {
    const characters = Array.from(stretch);
    return this.#texts(characters, this.#bestWays(characters)).flatMap(
      (text) => this.known.get(text) ?? ((this.bytes && byteIds(text, this.known)) || this.unknown),
    );
  }

  /** For each place the best way to get there: its score, and where its last piece begins. */
  #bestWays(characters) {
    const best = [{ score: 0 }];
    const offer = (from, to, id, score) => {
      const total = best[from].score + score;
      if (!best[to] || total > best[to].score) best[to] = { score: total, from, id };
    };
    for (let from = 0; from < characters.length; from++) {
      let node = this.tree;
      for (let to = from + 1; (node = node.branches.get(characters[to - 1])); to++) {
        if (node.id !== null) offer(from, to, node.id, this.scores[node.id]);
      }
      // Worse than any piece, so taken only where the character is none.
      offer(from, from + 1, this.unknown, this.unknownScore);
    }
    return best;
  }

  /** The texts of the pieces on the best way; unknown neighbours are one. */
  #texts(characters, best) {
    const texts = [];
    let joins = false;
    for (let to = characters.length; to > 0; to = best[to].from) {
      const text = characters.slice(best[to].from, to).join("");
      const isUnknown = best[to].id === this.unknown;
      if (joins && isUnknown) texts.push(text + texts.pop());
      else texts.push(text);
      joins = isUnknown;
    }
    return texts.reverse();
  }
}

/** WordPiece: the longest known piece from the left, again and again; inside a word pieces bear a mark. */
export class LongestPieces {
  constructor({ mark, most, unknown }, pieces, known) {
    Object.assign(this, { mark, most, unknown, known });
    this.longest = pieces.reduce((longest, piece) => Math.max(longest, piece.length), 0);
  }

  ids(stretch) {
    const characters = Array.from(stretch);
    if (characters.length > this.most) return [this.unknown];
    const ids = [];
    for (let start = 0, end; start < characters.length; start = end) {
      const piece = () => (start ? this.mark : "") + characters.slice(start, end).join("");
      end = Math.min(characters.length, start + this.longest);
      while (end > start && !this.known.has(piece())) end--;
      if (end === start) return [this.unknown];
      ids.push(this.known.get(piece()));
    }
    return ids;
  }
}

/** Whole words: known, or unknown. */
export class WholeWords {
  constructor({ unknown }, pieces, known) {
    Object.assign(this, { unknown, known });
  }

  ids(stretch) {
    return [this.known.get(stretch) ?? this.unknown];
  }
}
