/** One head, large: names of rows and columns, numbers, a cursor, a sentence and a table. */

import { colorOf, cssColor, inkOn, paintWeights, watchTheme } from "./colors.js";
import { make, onceAPicture, press, setVars, shape } from "./dom.js";
import { rowLabel, shortened, shortenedRow, textWidth, tokenLabel, weightLabel } from "./labels.js";
import { isOff, PLACES, withHeads } from "./lens.js";
import { mostOf } from "./steps.js";

/** Pixels: of a line of names, of the largest cell, of the tallest map. */
const LINE = 16;
const LARGEST = 48;
const TALLEST = 640;
/** Tokens up to which cells have numbers, and cells up to which there is a table. */
const MOST_NUMBERED = 12;
const MOST_CELLS = 10_000;
const MAP_FONT = "13px system-ui, sans-serif";

/** The head that is open. */
export function mapView(session) {
  const canvas = make("canvas", { "aria-hidden": "true" });
  const labels = shape("svg", { "aria-hidden": "true" });
  const map = make(
    "div",
    { class: "map", tabindex: 0, role: "application", "aria-roledescription": session.say("map") },
    canvas,
    labels,
  );
  const view = {
    session,
    map,
    canvas,
    labels,
    cursor: { row: 0, column: 0 },
    size: null,
    told: make("p", { class: "told", "aria-live": "polite" }),
  };
  const title = make("h3");
  const axes = make("p", { class: "soft small" });
  const table = numberTable(view);
  const off = offButton(session);
  const draw = onceAPicture(() => {
    const open = session.opened(session.state.place);
    part.hidden = !open;
    if (!open) return;
    title.textContent = `${session.say(`place_${open.place}`)} · ${session.headWords(open)}`;
    axes.textContent = session.say(open.written ? "axesWriting" : "axes");
    off.show(open);
    drawMap(view, open);
    table.draw(open);
  });
  const part = make(
    "section",
    { class: "part enlarged" },
    title,
    axes,
    controls(session),
    map,
    view.told,
    make("div", { class: "under" }, off.button, scale(session)),
    table.fold,
  );
  listenTo(view);
  session.watch(["look", "heads", "place", "lens"], draw);
  session.watch(["step", "hover"], () => {
    if (view.size) markRows(view);
  });
  session.onRedraw(watchTheme(draw));
  const seen = new ResizeObserver(() => {
    if (map.clientWidth !== view.width) draw();
  });
  seen.observe(map);
  session.onRedraw(() => seen.disconnect());
  return part;
}

function controls(session) {
  const box = make("div", { class: "controls" });
  session.watch(["look", "heads", "place"], () => {
    const { look, heads, place } = session.state;
    if (!look || !heads) return;
    const layers = look.attention.filter((each) => each.place === place);
    const layer = session.opened(place);
    const choices = [
      [
        "attention",
        PLACES.filter((each) => look.attention.some((map) => map.place === each)).map((each) => [
          each,
          session.say(`place_${each}`),
        ]),
        place,
        (value) => session.set({ place: value }),
      ],
      [
        "layer",
        layers.map((each) => [each.layer, each.layer + 1]),
        heads[place].layer,
        (value) => session.set({ heads: { ...heads, [place]: { ...heads[place], layer: Number(value) } } }),
      ],
      [
        "head",
        [...Array.from({ length: layer.heads }, (_, head) => [head, head + 1]), [-1, session.say("mean")]],
        heads[place].head,
        (value) => session.set({ heads: { ...heads, [place]: { ...heads[place], head: Number(value) } } }),
      ],
    ];
    // A list that has the focus keeps it: only its options are made anew.
    if (!box.children.length)
      box.append(...choices.map(([name]) => make("label", {}, session.say(name), make("select"))));
    choices.forEach(([, options, chosen, change], index) => {
      const select = box.children[index].lastChild;
      select.replaceChildren(...options.map(([value, name]) => make("option", { value }, String(name))));
      select.value = String(chosen);
      select.onchange = () => change(select.value);
    });
  });
  return box;
}

function offButton(session) {
  let open = null;
  const button = press(
    "",
    () => {
      const { place, layer, head } = open;
      const off = isOff(session.state.lens, place, layer, head);
      session.set({ lens: withHeads(session.state.lens, [[place, layer, head]], !off) });
    },
    { class: "plain" },
  );
  const show = (opened) => {
    open = opened;
    button.hidden = open.head < 0 || !session.breakable;
    button.textContent = session.say(
      isOff(session.state.lens, open.place, open.layer, open.head) ? "switchOn" : "switchOff",
    );
  };
  return { button, show };
}

function scale(session) {
  const bar = make("i");
  const draw = () =>
    setVars(bar, { "--ramp": Array.from({ length: 11 }, (_, step) => cssColor(colorOf(step / 10))).join(", ") });
  draw();
  session.onRedraw(watchTheme(draw));
  return make(
    "div",
    { class: "scale", "aria-hidden": "true" },
    make("span", {}, `${session.say("weight")} 0`),
    bar,
    make("span", {}, "1"),
  );
}

/** Cells as large as the page allows; where there is no room for all names, every second or third is there. */
function layoutOf(open, lang, room) {
  const rows = open.queries.map((query, index) => rowLabel(query, open.written ? open.written[index] : null, lang));
  const columns = open.keys.map((key) => tokenLabel(key, lang));
  const width = (label) => textWidth(label, MAP_FONT);
  const left = Math.ceil(Math.min(Math.max(...rows.map(width)), 0.36 * room)) + 8;
  const longest = Math.min(Math.max(...columns.map(width)), 110);
  const fitting = (most) => Math.max(0.5, Math.min(LARGEST, Math.floor((4 * most) / columns.length) / 4));
  const straight = fitting(room - left - 4);
  const flat = longest <= straight - 8;
  const lean = Math.ceil(0.71 * longest);
  const slanted = fitting(room - left - lean - 4);
  const leaning = !flat && slanted >= 21;
  const cell = leaning ? slanted : straight;
  const height = Math.max(Math.min(cell, TALLEST / rows.length), Math.min(LINE, TALLEST / rows.length));
  return {
    rows,
    columns,
    left,
    cell,
    height,
    longest,
    angle: flat ? 0 : leaning ? -45 : -90,
    top: flat ? LINE + 6 : leaning ? lean + 18 : Math.ceil(longest) + 10,
    everyRow: Math.max(1, Math.ceil((LINE - 1.5) / height)),
    everyColumn: flat || leaning ? 1 : Math.ceil((LINE - 1.5) / cell),
    wide: left + cell * columns.length + (leaning ? lean : 0) + 4,
  };
}

function drawMap(view, open) {
  const { map, canvas, labels, session } = view;
  view.width = map.clientWidth;
  const size = layoutOf(open, session.state.lang, view.width || 600);
  Object.assign(view, { size, open });
  const across = size.cell * size.columns.length;
  const down = size.height * size.rows.length;
  paintWeights(canvas, open.rows, size.rows.length, size.columns.length);
  setVars(map, {
    "--left": `${size.left}px`,
    "--top": `${size.top}px`,
    "--across": `${across}px`,
    "--down": `${down}px`,
    "--cell": `${size.cell}px`,
    "--row": `${size.height}px`,
  });
  map.classList.toggle("lined", size.cell >= 8 && size.height >= 8);
  labels.setAttribute("width", Math.max(size.wide, 1));
  labels.setAttribute("height", size.top + down + 4);
  view.lit = shape("rect", { class: "lit" });
  view.mark = shape("rect", { class: "cursor" });
  labels.replaceChildren(...rowNames(size), ...columnNamesOf(size), ...numbersIn(open, size), view.lit, view.mark);
  view.cursor.row = Math.min(view.cursor.row, size.rows.length - 1);
  view.cursor.column = Math.min(view.cursor.column, size.columns.length - 1);
  const said = {
    place: session.say(`place_${open.place}`),
    head: session.headWords(open),
    rows: size.rows.length,
    columns: size.columns.length,
  };
  map.setAttribute("aria-label", session.say("described", said));
  markRows(view);
  moveCursor(view, view.cursor, false);
}

function rowNames(size) {
  return size.rows
    .map((label, row) =>
      row % size.everyRow
        ? null
        : shape(
            "text",
            {
              x: size.left - 6,
              y: size.top + (row + 0.5) * size.height,
              "text-anchor": "end",
              "dominant-baseline": "central",
            },
            shortenedRow(label, size.left - 8, MAP_FONT),
          ),
    )
    .filter(Boolean);
}

function columnNamesOf(size) {
  return size.columns
    .map((label, column) => {
      if (column % size.everyColumn) return null;
      const x = size.left + (column + 0.5) * size.cell;
      const y = size.top - 7;
      const turned =
        size.angle === 0
          ? { "text-anchor": "middle" }
          : { "dominant-baseline": "central", transform: `rotate(${size.angle} ${x} ${y})` };
      return shape("text", { x, y, ...turned }, shortened(label, size.angle ? size.longest : size.cell - 4, MAP_FONT));
    })
    .filter(Boolean);
}

function numbersIn(open, size) {
  if (Math.max(size.rows.length, size.columns.length) > MOST_NUMBERED || size.cell < 22) return [];
  const numbers = [];
  open.rows.forEach((weight, index) => {
    if (weight < 0.005) return;
    const row = Math.floor(index / size.columns.length);
    const column = index % size.columns.length;
    const text = size.cell < 36 ? weightLabel(weight).replace(/^0/, "").replace("1.00", "1") : weightLabel(weight);
    numbers.push(
      shape(
        "text",
        {
          class: "number",
          x: size.left + (column + 0.5) * size.cell,
          y: size.top + (row + 0.5) * size.height,
          "text-anchor": "middle",
          "dominant-baseline": "central",
          fill: inkOn(colorOf(weight)),
        },
        text,
      ),
    );
  });
  return numbers;
}

/** Frames the row or column of the token that is lit elsewhere. */
function markRows({ session, open, size, lit }) {
  const now = session.lit();
  const side = open.place === "encoder self" ? "source" : "target";
  const row = now?.side === side;
  const column = now?.side === "source" && open.place === "cross";
  lit.setAttribute("visibility", row || column ? "visible" : "hidden");
  if (!row && !column) return;
  const box = {
    x: size.left + (row ? 0 : now.index * size.cell),
    y: size.top + (row ? now.index * size.height : 0),
    width: row ? size.cell * size.columns.length : size.cell,
    height: row ? size.height : size.height * size.rows.length,
  };
  for (const [name, value] of Object.entries(box)) lit.setAttribute(name, value);
}

function moveCursor(view, cursor, told = true) {
  const { size, open, session, mark } = view;
  const weights = open.rows;
  view.cursor = cursor;
  const box = {
    x: size.left + cursor.column * size.cell,
    y: size.top + cursor.row * size.height,
    width: size.cell,
    height: size.height,
  };
  for (const [name, value] of Object.entries(box)) mark.setAttribute(name, value);
  const row = [...weights.subarray(cursor.row * size.columns.length, (cursor.row + 1) * size.columns.length)];
  const most = mostOf(row, (index) => size.columns[index]);
  view.told.textContent = !told
    ? session.say("mapGuide")
    : session.say(most ? "cell" : "silent", {
        query: size.rows[cursor.row],
        key: size.columns[cursor.column],
        weight: row[cursor.column].toFixed(3),
        most,
      });
  mark.setAttribute("visibility", told ? "visible" : "hidden");
}

function listenTo(view) {
  const { map, session } = view;
  const cellAt = (event) => {
    if (!view.size) return null;
    const box = map.getBoundingClientRect();
    const { size } = view;
    const column = Math.floor((event.clientX - box.left - size.left) / size.cell);
    const row = Math.floor((event.clientY - box.top - size.top) / size.height);
    return row >= 0 && row < size.rows.length && column >= 0 && column < size.columns.length ? { row, column } : null;
  };
  const sideOf = () => (view.open.place === "encoder self" ? "source" : "target");
  for (const kind of ["pointermove", "pointerdown"])
    map.addEventListener(kind, (event) => {
      const cell = cellAt(event);
      if (!cell) return;
      moveCursor(view, cell);
      if (event.pointerType === "mouse") session.point(sideOf(), cell.row);
    });
  map.addEventListener("pointerleave", (event) => {
    if (event.pointerType === "mouse") session.point();
  });
  map.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (!step || !view.size) return;
    event.preventDefault();
    const row = Math.max(0, Math.min(view.size.rows.length - 1, view.cursor.row + step[0]));
    const column = Math.max(0, Math.min(view.size.columns.length - 1, view.cursor.column + step[1]));
    moveCursor(view, { row, column });
    session.point(sideOf(), row);
  });
  map.addEventListener("focus", () => {
    if (view.size) moveCursor(view, view.cursor);
  });
  map.addEventListener("blur", () => session.pointNoMore());
}

function numberTable(view) {
  const box = make("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": view.session.say("table") });
  const fold = make("details", {}, make("summary", {}, view.session.say("table")), box);
  const draw = (open) => {
    if (!fold.open || !view.size) return;
    const { rows, columns } = view.size;
    if (rows.length * columns.length > MOST_CELLS) {
      box.replaceChildren(
        make("p", {}, view.session.say("tableLarge", { rows: rows.length, columns: columns.length })),
      );
      return;
    }
    const head = make("tr", {}, make("td"), ...columns.map((key) => make("th", { scope: "col", lang: "" }, key)));
    const body = rows.map((query, row) =>
      make(
        "tr",
        {},
        make("th", { scope: "row", lang: "" }, query),
        ...columns.map((_, column) => make("td", {}, open.rows[row * columns.length + column].toFixed(3))),
      ),
    );
    box.replaceChildren(make("table", { class: "numbers" }, make("thead", {}, head), make("tbody", {}, ...body)));
  };
  fold.addEventListener("toggle", () => {
    if (view.open) draw(view.open);
  });
  return { fold, draw };
}
