/** What of a model is broken on purpose: heads that are off, and masks other than those it was trained with. */

export const PLACES = ["cross", "decoder self", "encoder self"];

/** The masks that can be chosen in each place, [back, ahead] by name; the first is the usual one. */
export const MASKS = {
  cross: { everything: [null, null], diagonal: [1, 1], same: [0, 0] },
  "decoder self": { before: [null, 0], two: [1, 0], itself: [0, 0] },
  "encoder self": { everything: [null, null], causal: [null, 0], neighbours: [1, 1], itself: [0, 0] },
};

/** A model with nothing broken. */
export function wholeLens() {
  return { ablated: [], masks: {} };
}

/** Whether nothing is broken. */
export function isWhole(lens) {
  return lens.ablated.length === 0 && Object.keys(lens.masks).length === 0;
}

/** Whether a head is off. */
export function isOff(lens, place, layer, head) {
  return lens.ablated.some((each) => each.place === place && each.layer === layer && each.head === head);
}

/** The lens with some heads, [place, layer, head] each, off or on. */
export function withHeads(lens, heads, off) {
  const among = ({ place, layer, head }) => heads.some(([p, l, h]) => p === place && l === layer && h === head);
  const others = lens.ablated.filter((each) => !among(each));
  const added = off ? heads.map(([place, layer, head]) => ({ place, layer, head })) : [];
  return { ...lens, ablated: [...others, ...added] };
}

const sameRange = (one, other) => one[0] === other[0] && one[1] === other[1];

/** The name of the mask in a place. */
export function maskName(lens, place) {
  const choices = Object.entries(MASKS[place]);
  if (!(place in lens.masks)) return choices[0][0];
  return choices.find(([, range]) => sameRange(range, lens.masks[place]))?.[0] ?? choices[0][0];
}

/** The lens with another mask in a place; the usual one is no change at all. */
export function withMask(lens, place, name) {
  const masks = { ...lens.masks };
  if (name === Object.keys(MASKS[place])[0]) delete masks[place];
  else masks[place] = MASKS[place][name];
  return { ...lens, masks };
}

/** All heads of a place, or of one of its layers, as [place, layer, head]. */
export function headsOf(heads, place, layer = null) {
  return heads[place].flatMap((count, index) =>
    layer === null || layer === index ? Array.from({ length: count }, (_, head) => [place, index, head]) : [],
  );
}

/** Lenses that show something, by name; `heads` are the numbers of heads of each layer of each place. */
export function presetLenses(heads) {
  const last = heads.cross.length - 1;
  return {
    last: withHeads(wholeLens(), headsOf(heads, "cross", last), true),
    blind: withHeads(wholeLens(), headsOf(heads, "cross"), true),
    diagonal: withMask(wholeLens(), "cross", "diagonal"),
    alone: withMask(wholeLens(), "encoder self", "itself"),
    forgetful: withMask(wholeLens(), "decoder self", "itself"),
  };
}

/** Whether two lenses break the same. */
export function sameLens(one, other) {
  return lensText(one) === lensText(other);
}

const LETTERS = { cross: "x", "decoder self": "d", "encoder self": "e" };
const placeOf = (letter) => PLACES.find((place) => LETTERS[place] === letter);

/** A lens as short text, for a link: `x2.1,e1.4;d:itself`. */
export function lensText(lens) {
  const heads = lens.ablated.map(({ place, layer, head }) => `${LETTERS[place]}${layer + 1}.${head + 1}`).sort();
  const masks = PLACES.filter((place) => place in lens.masks).map(
    (place) => `${LETTERS[place]}:${maskName(lens, place)}`,
  );
  return [heads.join(","), ...masks].filter(Boolean).join(";");
}

/** The lens that a text stands for; what this model does not have is left out. */
export function lensOf(text, heads) {
  let lens = wholeLens();
  for (const part of text.split(/[,;]/)) {
    const [letter, rest] = [part[0], part.slice(1)];
    const place = placeOf(letter);
    if (place === undefined) continue;
    const [layer, head] = rest.split(".").map((number) => Number(number) - 1);
    if (rest.startsWith(":") && Object.hasOwn(MASKS[place], rest.slice(1))) lens = withMask(lens, place, rest.slice(1));
    else if (head >= 0 && head < (heads[place][layer] ?? 0)) lens = withHeads(lens, [[place, layer, head]], true);
  }
  return lens;
}
