"use strict";
// Draws the chosen head, its numbers, and all heads of its place, at the width and in the light at hand.
const data = JSON.parse(document.getElementById("data").textContent), words = data.words;
const at = (id) => document.getElementById(id);
const dark = matchMedia("(prefers-color-scheme: dark)");
const state = { place: data.open.place, layer: data.open.layer, head: data.open.head, row: 0, column: 0 };
let printing = false;

const make = (tag, attributes, text) => {
  const svg = ["g", "rect", "text"].includes(tag);
  const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  return node;
};
const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
const nth = (text, number) => text.replace("#", number);
const place = () => data.places[state.place];
const layers = () => place().layers;
const headName = (head) => (head < 0 ? words.mean : nth(words.nth_head, head + 1));

/** The weights of the chosen head, row by row, in thousandths; head -1 is the mean of its layer. */
function chosen() {
  const heads = layers()[state.layer].heads;
  if (state.head >= 0) return heads[state.head];
  return heads[0].map((_, cell) => Math.round(heads.reduce((sum, head) => sum + head[cell], 0) / heads.length));
}

const bytes = (color) => [1, 3, 5].map((start) => parseInt(color.slice(start, start + 2), 16));
function rgb(weight) {
  const colors = dark.matches && !printing ? data.dark : data.light;
  const above = Math.max(1, data.stops.findIndex((stop) => stop >= weight));
  const [low, high] = [data.stops[above - 1], data.stops[above]], share = Math.min(1, (weight - low) / (high - low));
  const [from, to] = [bytes(colors[above - 1]), bytes(colors[above])];
  return from.map((value, band) => Math.round(value + share * (to[band] - value)));
}
const css = (color) => `rgb(${color.join(" ")})`;
/** Black or white, whichever reads better on a colour: 4.5 to 1 or more. */
function ink(color) {
  const [r, g, b] = color.map((c) => (c <= 10 ? c / 3294.6 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  return (0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05) ** 2 > 0.0525 ? "#000" : "#fff";
}

const pen = document.createElement("canvas").getContext("2d");
const FONT = 13, LINE = 16, MOST_NUMBERED = 12;
function width(text) {
  pen.font = `${FONT}px ${getComputedStyle(document.body).fontFamily}`;
  return pen.measureText(text).width;
}
function shorten(text, most) {
  if (width(text) <= most) return text;
  let kept = [...text];
  while (kept.length > 1 && width(kept.join("") + "…") > most) kept.pop();
  return kept.join("") + "…";
}

/** The label of a row: of two tokens both keep a part; a short one leaves its room to the other. */
function shortenRow(label, most) {
  const arrow = " → ", cut = label.indexOf(arrow);
  if (cut < 0 || width(label) <= most) return shorten(label, most);
  const room = most - width(arrow), written = label.slice(cut + arrow.length);
  const fed = shorten(label.slice(0, cut), Math.max(room / 2, room - width(written)));
  return fed + arrow + shorten(written, room - width(fed));
}

/** Sizes of the map: cells as large as the page allows, up to 80 pixels; every row has its name. */
function layout(available) {
  const { queries, keys } = place();
  const left = Math.ceil(Math.min(Math.max(...queries.map(width)), 0.36 * available)) + 8;
  const longest = Math.min(Math.max(...keys.map(width)), 120);
  const fitting = (room) => Math.max(3, Math.min(80, Math.floor(4 * room / keys.length) / 4));
  const cell = fitting(available - left - 4);
  const flat = longest <= cell - 8, leaning = !flat && cell >= 1.6 * FONT;
  const lean = leaning ? Math.ceil(0.71 * longest) : 0;
  const side = fitting(available - left - lean - 4);
  const slanted = leaning && side >= 1.6 * FONT;
  return {
    left, longest, angle: flat ? 0 : slanted ? -45 : -90, cell: slanted ? side : cell,
    top: flat ? LINE + 6 : slanted ? Math.ceil(0.71 * longest) + 18 : Math.ceil(longest) + 10,
    every: flat || slanted || keys.length === 1 ? 1 : Math.ceil(LINE / cell),
    height: Math.max(slanted ? side : cell, Math.min(LINE, 900 / queries.length)), lean: slanted ? lean : 0,
  };
}

function drawMap() {
  const svg = at("map"), { queries, keys } = place(), weights = chosen();
  const size = layout(svg.parentNode.clientWidth || 640);
  const [wide, high] = [size.cell * keys.length, size.height * queries.length];
  const whole = [size.left + wide + size.lean + 4, size.top + high + 4];
  svg.replaceChildren();
  for (const [name, value] of [["width", whole[0]], ["height", whole[1]], ["viewBox", `0 0 ${whole.join(" ")}`]])
    svg.setAttribute(name, value);
  svg.setAttribute("aria-label", describe(weights));
  const numbered = Math.max(queries.length, keys.length) <= MOST_NUMBERED && size.cell >= 20;
  weights.forEach((weight, index) => {
    const [row, column] = [Math.floor(index / keys.length), index % keys.length], color = rgb(weight / 1000);
    const [x, y] = [size.left + column * size.cell, size.top + row * size.height];
    svg.append(make("rect", { class: "cell", x, y, width: size.cell, height: size.height, fill: css(color), "data-cell": index }));
    if (!numbered || weight < 5) return;
    const text = (weight / 1000).toFixed(2), short = size.cell < 38;
    svg.append(make("text", {
      x: x + size.cell / 2, y: y + size.height / 2, "text-anchor": "middle", "dominant-baseline": "central",
      "font-size": short ? 10.5 : FONT, style: `fill:${ink(color)}`, "pointer-events": "none", "data-ground": css(color),
    }, short ? text.replace(/^0/, "").replace("1.00", "1") : text));
  });
  nameRows(svg, size);
  nameColumns(svg, size);
  svg.append(make("rect", { class: "cursor", id: "cursor" }));
  svg.size = size;
  at("every").textContent = [rowsNamed(size), size.every].map((every, axis) => (every > 1 ? nth(words.every[axis], every) : "")).join(" ").trim();
  svg.setAttribute("class", size.cell < 8 ? "dense" : "");
  moveCursor();
}

const rowsNamed = (size) => Math.max(1, Math.ceil((LINE - 0.5) / size.height));

function nameRows(svg, size) {
  const every = rowsNamed(size);
  place().queries.forEach((label, row) => {
    if (row % every) return;
    const y = size.top + (row + 0.5) * size.height;
    svg.append(make("text", { x: size.left - 6, y, "text-anchor": "end", "dominant-baseline": "central", "font-size": FONT },
      shortenRow(label, size.left - 8)));
  });
}

function nameColumns(svg, size) {
  place().keys.forEach((label, column) => {
    if (column % size.every) return;
    const x = size.left + (column + 0.5) * size.cell, y = size.top - 7;
    const shift = size.angle === 0 ? { "text-anchor": "middle" } : {
      "text-anchor": "start", "dominant-baseline": "central", transform: `rotate(${size.angle} ${x} ${y})`,
    };
    svg.append(make("text", { x, y, "font-size": FONT, ...shift }, shorten(label, size.angle ? size.longest : size.cell - 4)));
  });
}

/** The three columns that a row attends to most, with their weights. */
function most(weights, row) {
  const keys = place().keys, of = weights.slice(row * keys.length, (row + 1) * keys.length);
  const order = of.map((_, column) => column).sort((a, b) => of[b] - of[a]).filter((column) => of[column] >= 5);
  return order.slice(0, 3).map((column) => `${keys[column]} ${(of[column] / 1000).toFixed(2)}`).join(" / ");
}

function describe(weights) {
  const { name, queries, keys } = place();
  const head = fill(words.described, {
    place: name, layer: nth(words.nth_layer, layers()[state.layer].number), head: headName(state.head),
    rows: queries.length, columns: keys.length,
  });
  return [head, ...queries.map((query, row) => `${query}: ${most(weights, row) || "0"}`)].join(" ").slice(0, 2000);
}

function moveCursor() {
  const { queries, keys } = place(), size = at("map").size, weights = chosen();
  state.row = Math.min(state.row, queries.length - 1);
  state.column = Math.min(state.column, keys.length - 1);
  const [x, y] = [size.left + state.column * size.cell, size.top + state.row * size.height];
  for (const [name, value] of Object.entries({ x, y, width: size.cell, height: size.height })) at("cursor").setAttribute(name, value);
  const values = {
    query: queries[state.row], key: keys[state.column], most: most(weights, state.row),
    weight: (weights[state.row * keys.length + state.column] / 1000).toFixed(3),
  };
  at("read").textContent = fill(values.most ? words.cell : words.silent, values);
}

function drawHeads() {
  const box = at("heads"), all = layers(), heads = Math.max(...all.map((layer) => layer.heads.length));
  const single = all.length * heads === 1;
  at("all").hidden = single;
  at("maps").className = single ? "" : "several";
  box.replaceChildren();
  box.style.gridTemplateColumns = `max-content repeat(${heads}, minmax(0, 120px))`;
  box.append(make("span"), ...Array.from({ length: heads }, (_, head) => make("span", {}, String(head + 1))));
  all.forEach((layer, index) => {
    box.append(make("span", {}, nth(words.nth_layer, layer.number)));
    for (let head = 0; head < heads; head++) box.append(layer.heads[head] ? headButton(layer, index, head) : make("span"));
  });
}

function headButton(layer, index, head) {
  const open = state.layer === index && state.head === head, { queries, keys } = place();
  const label = `${nth(words.nth_layer, layer.number)} · ${nth(words.nth_head, head + 1)}`;
  const button = make("button", { type: "button", "aria-pressed": open, "aria-label": label, title: label, tabindex: open ? 0 : -1 });
  const canvas = make("canvas", { width: keys.length, height: queries.length }), brush = canvas.getContext("2d");
  const image = brush.createImageData(keys.length, queries.length);
  layer.heads[head].forEach((weight, cell) => image.data.set([...rgb(weight / 1000), 255], 4 * cell));
  brush.putImageData(image, 0, 0);
  button.append(canvas);
  button.addEventListener("click", () => { Object.assign(state, { layer: index, head }); draw(true); at("heads").querySelector("[aria-pressed=true]").focus(); });
  return button;
}

function drawControls() {
  const lists = [
    ["place", data.places.map((each) => each.name), 0],
    ["layer", layers().map((layer) => String(layer.number)), 0],
    ["head", [...layers()[state.layer].heads.map((_, head) => String(head + 1)), words.mean], 0],
  ];
  at("controls").replaceChildren(...lists.map(([field, names], index) => {
    const label = make("label", {}, words.choose[index]), select = make("select", { id: `choose-${field}` });
    names.forEach((name, option) => select.append(make("option", { value: field === "head" && option === names.length - 1 ? -1 : option }, name)));
    select.value = state[field];
    select.addEventListener("change", () => { state[field] = Number(select.value); draw(true); at(select.id).focus(); });
    label.append(select);
    return label;
  }));
}

function drawTable() {
  if (!at("numbers").closest("details").open) return;
  const { queries, keys } = place(), weights = chosen(), table = make("table"), top = make("tr");
  top.append(make("td"), ...keys.map((key) => make("th", { scope: "col" }, key)));
  table.append(make("caption", {}, `${at("place").textContent} · ${at("opened").textContent}`), top);
  queries.forEach((query, row) => {
    const line = make("tr"), of = weights.slice(row * keys.length, (row + 1) * keys.length);
    line.append(make("th", { scope: "row" }, query), ...of.map((weight) => make("td", {}, (weight / 1000).toFixed(3))));
    table.append(line);
  });
  at("numbers").replaceChildren(table);
}

function drawScale() {
  const bar = make("i"), steps = Array.from({ length: 21 }, (_, step) => css(rgb(step / 20)));
  bar.style.background = `linear-gradient(to right, ${steps.join(", ")})`;
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((tick) => make("span", { style: `left:${100 * tick}%` }, String(tick)));
  at("ramp").replaceChildren(bar, ...ticks);
}

/** Draws all; a place may have fewer layers and heads than the one before. */
function draw(anew) {
  state.layer = Math.min(state.layer, layers().length - 1);
  state.head = Math.min(state.head, layers()[state.layer].heads.length - 1);
  at("place").textContent = place().name;
  at("axes").textContent = place().axes;
  at("opened").textContent = `${nth(words.nth_layer, layers()[state.layer].number)} · ${headName(state.head)}`;
  if (anew) drawControls();
  drawHeads();
  drawMap();
  drawScale();
  drawTable();
}

const map = at("map");
for (const kind of ["pointermove", "pointerdown"]) map.addEventListener(kind, (event) => {
  const cell = event.target.dataset.cell;
  if (cell === undefined) return;
  Object.assign(state, { row: Math.floor(cell / place().keys.length), column: cell % place().keys.length });
  moveCursor();
});
map.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
  if (!step) return;
  event.preventDefault();
  state.row = Math.max(0, state.row + step[0]);
  state.column = Math.max(0, state.column + step[1]);
  moveCursor();
});
at("numbers").closest("details").addEventListener("toggle", drawTable);
dark.addEventListener("change", () => draw(false));
let drawnAt = innerWidth;
addEventListener("resize", () => { if (innerWidth !== drawnAt) { drawnAt = innerWidth; draw(false); } });
addEventListener("beforeprint", () => { printing = true; draw(false); });
addEventListener("afterprint", () => { printing = false; draw(false); });
draw(true);
