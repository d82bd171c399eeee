/** The parts in which a model is shown, each by its name. */

import { masksView } from "./breaking.js";
import { make } from "./dom.js";
import { headsView } from "./heads.js";
import { inputView } from "./input.js";
import { mapView } from "./map.js";
import { outputView } from "./output.js";
import { ownView } from "./own.js";
import { stepsView } from "./steps.js";
import { searchView } from "./tree.js";
import { HTML_LANGUAGES } from "./words.js";

const VIEWS = {
  input: (session) => [inputView(session)],
  output: (session) => [outputView(session)],
  steps: (session) => [stepsView(session)],
  heads: (session) => [headsView(session), mapView(session)],
  search: (session) => [searchView(session)],
  masks: (session) => [masksView(session)],
  own: (session) => [ownView(session)],
};
export const PARTS = Object.keys(VIEWS);
/** Parts that stand side by side where there is room. */
const TOGETHER = { input: "pair", output: "pair", steps: "inside", heads: "inside" };

/** Draws the parts anew, in the language of the session. */
export function drawParts(root, session, view) {
  session.unwatch();
  root.lang = HTML_LANGUAGES[session.state.lang];
  root.replaceChildren(...partGroups(session, view));
}

/** Parts that the session keeps up to date, in groups of those that stand together. */
export function partGroups(session, view) {
  const groups = [];
  for (const name of view) {
    const kind = TOGETHER[name] ?? "";
    const parts = VIEWS[name](session);
    const last = groups.at(-1);
    for (const part of parts) part.dataset.part = name;
    if (kind && last?.kind === kind) last.box.append(...parts);
    else groups.push({ kind, box: make("div", { class: `group ${kind}` }, ...parts) });
  }
  return groups.map(({ box }) => box);
}
