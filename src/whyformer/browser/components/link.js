/** What is shown, as the part of the address behind “#”, so that a link shows the same. */

import { lensOf, lensText } from "./lens.js";

export const LARGEST_BEAM = 8;

/** The state as a fragment of an address. */
export function toLink(state, defaults) {
  const said = new URLSearchParams();
  if (state.text) said.set("text", state.text);
  if (searchText(state.search) !== searchText(defaults.search)) said.set("search", searchText(state.search));
  if (lensText(state.lens)) said.set("lens", lensText(state.lens));
  if (state.own) said.set("own", state.own);
  if (state.step !== null) said.set("step", String(state.step + 1));
  said.set("lang", state.lang);
  return `#${said}`;
}

/** What of the state a fragment settles; anything that makes no sense is left out. */
export function fromLink(fragment, heads) {
  const said = new URLSearchParams(fragment.replace(/^#/, ""));
  const state = {};
  if (!fragment.includes("=")) return state;
  for (const name of ["text", "own"]) if (said.has(name)) state[name] = said.get(name);
  const search = searchOf(said.get("search") ?? "");
  if (search) state.search = search;
  if (said.has("lens")) state.lens = lensOf(said.get("lens"), heads);
  if (["en", "zh"].includes(said.get("lang"))) state.lang = said.get("lang");
  if (/^[1-9]\d{0,4}$/.test(said.get("step") ?? "")) state.step = Number(said.get("step")) - 1;
  return state;
}

function searchText(search) {
  return search.kind === "beam" ? `beam${search.size}` : "greedy";
}

function searchOf(text) {
  if (text === "greedy") return { kind: "greedy" };
  const size = Number(/^beam(\d)$/.exec(text)?.[1] ?? 0);
  return size >= 1 && size <= LARGEST_BEAM ? { kind: "beam", size } : null;
}
