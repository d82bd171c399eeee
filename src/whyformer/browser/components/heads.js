/** Every head of every layer of each place, small; one of them is open in the large map. */

import { paintWeights, watchTheme } from "./colors.js";
import { make, onceAPicture, press, rove, setVars } from "./dom.js";
import { isOff, PLACES } from "./lens.js";
import { weightsOf } from "./session.js";

/** Tokens above which a row of a small head is too thin for a thick frame. */
const FINE = 20;

/** Small multiples of all heads; the row of the token that is lit is marked in each. */
export function headsView(session) {
  const boxes = Object.fromEntries(PLACES.map((place) => [place, placeBox(session, place)]));
  const draw = onceAPicture(() => PLACES.forEach((place) => drawPlace(session, place, boxes[place])));
  const part = make(
    "section",
    { class: "part overview" },
    make("h2", {}, session.say("heads")),
    make("p", { class: "soft small" }, session.say("headsAbout")),
    make("div", { class: "places" }, ...PLACES.map((place) => boxes[place].box)),
  );
  session.watch(["look", "lens"], () => {
    part.hidden = !session.state.look;
    draw();
  });
  session.watch(["heads", "place"], () => markOpen(session, boxes));
  session.watch(["look", "step", "hover"], () => PLACES.forEach((place) => markRow(session, place, boxes[place].grid)));
  session.onRedraw(watchTheme(draw));
  return part;
}

function placeBox(session, place) {
  const grid = make("div", { class: "heads", role: "group", "aria-label": session.say(`place_${place}`) });
  rove(grid, "button", (key, at, all) => {
    const wide = Number(grid.dataset.columns);
    return {
      ArrowLeft: at - 1,
      ArrowRight: at + 1,
      ArrowUp: at - wide,
      ArrowDown: at + wide,
      Home: 0,
      End: all.length - 1,
    }[key];
  });
  return { grid, box: make("div", { class: "place" }, make("h3", {}, session.say(`place_${place}`)), grid) };
}

function drawPlace(session, place, { grid, box }) {
  const layers = session.state.look?.attention.filter((each) => each.place === place) ?? [];
  box.hidden = !layers.length;
  const heads = Math.max(0, ...layers.map((layer) => layer.heads));
  const wanted = layers.map((layer) => `${layer.layer}.${layer.heads}`).join();
  if (grid.dataset.layers !== wanted) {
    Object.assign(grid.dataset, { layers: wanted, columns: heads });
    setVars(grid, { "--columns": heads });
    grid.replaceChildren(...columnNames(heads), ...layers.flatMap((layer) => layerRow(session, place, layer, heads)));
    markOpen(session, { [place]: { grid } });
  }
  for (const button of grid.querySelectorAll("button")) {
    const layer = layers.find((each) => each.layer === Number(button.dataset.layer));
    const head = Number(button.dataset.head);
    paintWeights(button.firstChild, weightsOf(layer, head), layer.queries.length, layer.keys.length);
    const off = isOff(session.state.lens, place, layer.layer, head);
    button.classList.toggle("off", off);
    button.setAttribute(
      "aria-label",
      session.headWords({ layer: layer.layer, head }) + (off ? session.say("isOff") : ""),
    );
  }
}

function columnNames(heads) {
  const names = Array.from({ length: heads }, (_, head) => make("span", { "aria-hidden": "true" }, String(head + 1)));
  return [make("span", { "aria-hidden": "true" }), ...names];
}

function layerRow(session, place, layer, heads) {
  const cells = Array.from({ length: heads }, (_, head) =>
    head < layer.heads ? headButton(session, place, layer.layer, head) : make("span"),
  );
  return [make("span", { "aria-hidden": "true" }, session.say("layerShort", { layer: layer.layer + 1 })), ...cells];
}

function headButton(session, place, layer, head) {
  const open = () => session.set({ place, heads: { ...session.state.heads, [place]: { layer, head } } });
  return press(make("canvas"), open, {
    "data-layer": layer,
    "data-head": head,
    title: session.headWords({ layer, head }),
    tabindex: -1,
  });
}

function markOpen(session, boxes) {
  const { heads, place: opened } = session.state;
  if (!heads) return;
  for (const [place, { grid }] of Object.entries(boxes)) {
    const buttons = [...grid.querySelectorAll("button")];
    const isOpen = (button) =>
      Number(button.dataset.layer) === heads[place].layer && Number(button.dataset.head) === heads[place].head;
    for (const button of buttons) {
      button.setAttribute("aria-pressed", String(isOpen(button)));
      button.classList.toggle("large", isOpen(button) && place === opened);
      button.tabIndex = -1;
    }
    const first = buttons.find(isOpen) ?? buttons[0];
    if (first) first.tabIndex = 0;
  }
}

/** Marks in all heads of a place the row that a token reads by, or the column where it is read. */
function markRow(session, place, grid) {
  const lit = session.lit();
  const { look } = session.state;
  const rows = place !== "encoder self";
  const side = rows ? "target" : "source";
  const along = lit && look ? (lit.side === side ? "row" : place === "cross" ? "column" : "") : "";
  grid.classList.toggle("lit-row", along === "row");
  grid.classList.toggle("lit-column", along === "column");
  if (along) setVars(grid, { "--at": lit.index, "--of": look[lit.side].tokens.length });
  grid.classList.toggle("fine", Boolean(along) && look[lit.side].tokens.length > FINE);
}
