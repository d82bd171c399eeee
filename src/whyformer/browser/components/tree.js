/** How it searched: every beginning that was considered, which lived on, which ended, and the best way through. */

import { afterwards, make, press, shape } from "./dom.js";
import { natsLabel, percentLabel, shortened, textWidth, tokenLabel } from "./labels.js";
import { LARGEST_BEAM } from "./link.js";

/** Pixels: of a node's height, between two columns, from row to row, around all, of a percentage. */
const HIGH = 24;
const GAP = 26;
const DOWN = 30;
const MARGIN = 8;
const CHANCE = 46;
/** Nodes from which on those that were dropped are left out at first. */
const MANY = 260;
/** Milliseconds without a new result until a tree is drawn. */
const REST = 120;
const TREE_FONT = "13px system-ui, sans-serif";

/** The choice of a search, and its tree. */
export function searchView(session) {
  const box = make("div", { class: "scroll tree", tabindex: -1 });
  const told = make("p", { class: "told", "aria-live": "polite" });
  const about = make("p", { class: "soft small" });
  const list = pathList(session);
  const dropped = make("input", {
    type: "checkbox",
    onchange: () => {
      view.chosen = true;
      draw();
    },
  });
  const view = { session, box, told, chosen: false, current: null };
  const draw = () => {
    const { result } = session.state;
    part.classList.toggle("empty", !result?.tree.length);
    if (!result?.tree.length) {
      box.replaceChildren();
      return;
    }
    view.nodes = withPaths(result);
    if (!view.chosen) dropped.checked = view.nodes.length <= MANY;
    about.textContent = session.say(session.state.search.kind === "greedy" ? "greedyAbout" : "beamAbout", {
      size: session.state.search.size,
      steps: result.tree.length,
      considered: view.nodes.length,
    });
    drawTree(view, dropped.checked);
    list.draw(view.nodes);
  };
  const part = make(
    "section",
    { class: "part search" },
    make("h2", {}, session.say("search")),
    searchControls(session),
    about,
    legend(session),
    box,
    told,
    make("div", { class: "under" }, make("label", { class: "check" }, dropped, session.say("showDropped"))),
    list.fold,
  );
  // A large tree takes long to draw, so it waits until nothing more is typed.
  session.watch(["result"], afterwards(draw, REST));
  session.watch(["shown"], () => markShown(view));
  return part;
}

function searchControls(session) {
  const name = `search-${Math.random().toString(36).slice(2)}`;
  const set = () =>
    session.set({ search: beam.checked ? { kind: "beam", size: Number(size.value) } : { kind: "greedy" } });
  const greedy = make("input", { type: "radio", name, onchange: set });
  const beam = make("input", { type: "radio", name, onchange: set });
  const size = make("input", {
    type: "range",
    min: 1,
    max: LARGEST_BEAM,
    "aria-label": session.say("beamSize"),
    oninput: () => {
      beam.checked = true;
      set();
    },
  });
  const shown = make("output");
  session.watch(["search"], () => {
    const { search } = session.state;
    greedy.checked = search.kind === "greedy";
    beam.checked = search.kind === "beam";
    if (search.kind === "beam") size.value = search.size;
    shown.textContent = size.value;
  });
  return make(
    "fieldset",
    { class: "controls" },
    make("legend", { class: "unseen" }, session.say("search")),
    make("label", { class: "check" }, greedy, session.say("greedy")),
    make("label", { class: "check" }, beam, session.say("beam")),
    make("label", { class: "check" }, session.say("beamSize"), size, shown),
  );
}

function legend(session) {
  const item = (kind) =>
    make("li", {}, make("i", { class: `sign ${kind}`, "aria-hidden": "true" }), session.say(`fate_${kind}`));
  return make("ul", { class: "legend small" }, ...["best", "living", "ended", "dropped"].map(item));
}

/** All nodes in a line, each with its step, rank, parent, children, token ids, fate, and rank among the outputs. */
function withPaths(result) {
  const byId = new Map();
  const all = [];
  result.tree.forEach((nodes, step) =>
    nodes.forEach((node, rank) => {
      const parent = node.parent === null ? null : byId.get(node.parent);
      const ids = [...(parent?.ids ?? []), node.token_id];
      const made = { ...node, step, rank, of: nodes.length, parent, ids, children: [], best: false, output: -1 };
      parent?.children.push(made);
      byId.set(node.id, made);
      all.push(made);
    }),
  );
  for (const node of all) {
    const ids = node.ended ? node.ids.slice(0, -1) : node.ids;
    node.output = result.outputs.findIndex((each) => each.finished === node.ended && sameIds(each.ids, ids));
    node.fate = node.ended ? "ended" : node.living ? "living" : "dropped";
  }
  for (let node = all.find((each) => each.output === 0); node; node = node.parent) node.best = true;
  return all;
}

const sameIds = (one, other) => one.length === other.length && one.every((id, at) => id === other[at]);

function drawTree(view, withDropped) {
  const { box, nodes, session } = view;
  const shown = nodes.filter((node) => withDropped || node.fate !== "dropped");
  const rows = new Map();
  for (const node of shown) {
    node.row = rows.get(node.step) ?? 0;
    rows.set(node.step, node.row + 1);
  }
  placeColumns(shown, session.state.lang);
  const wide = Math.max(...shown.map((node) => node.x + node.wide)) + MARGIN;
  const high = MARGIN * 2 + DOWN * Math.max(...rows.values());
  // Lines first, so that names lie on them; the best way last of the lines.
  const edges = shown
    .slice()
    .sort((one, other) => one.best - other.best)
    .map(edge);
  const marks = shown.map((node) => nodeMark(view, node));
  const svg = shape(
    "svg",
    { width: wide, height: high, role: "group", "aria-label": session.say("treeLabel") },
    ...edges,
    shape("circle", { class: "root", cx: MARGIN + 10, cy: nodeMiddle({ row: 0 }), r: 5 }),
    ...marks,
  );
  svg.addEventListener("keydown", (event) => walk(view, event));
  box.replaceChildren(svg);
  view.current = shown.find((node) => node.best) ?? shown[0];
  view.current.mark.setAttribute("tabindex", 0);
  view.shown = shown;
  view.told.textContent = session.say("treeGuide");
  markShown(view);
}

/** Every step is a column, as wide as its longest token wants. */
function placeColumns(nodes, lang) {
  const columns = [];
  for (const node of nodes) {
    const wide = Math.min(120, textWidth(tokenLabel(node.token, lang), TREE_FONT)) + CHANCE + 14;
    columns[node.step] = Math.max(columns[node.step] ?? 0, wide);
  }
  const starts = columns.map((_, step) => columns.slice(0, step).reduce((sum, wide) => sum + wide + GAP, MARGIN + 40));
  for (const node of nodes) Object.assign(node, { x: starts[node.step], wide: columns[node.step] });
}

const nodeMiddle = (node) => MARGIN + DOWN * node.row + DOWN / 2;

function edge(node) {
  const from = node.parent
    ? [node.parent.x + node.parent.wide, nodeMiddle(node.parent)]
    : [MARGIN + 10, nodeMiddle({ row: 0 })];
  const to = [node.x, nodeMiddle(node)];
  const bend = (to[0] - from[0]) / 2;
  const line = `M${from} C${from[0] + bend},${from[1]} ${to[0] - bend},${to[1]} ${to}`;
  return shape("path", { class: `edge ${node.fate}${node.best ? " best" : ""}`, d: line });
}

function nodeMark(view, node) {
  const { session } = view;
  const { lang } = session.state;
  const { x, wide } = node;
  const y = nodeMiddle(node);
  const chance = percentLabel(Math.exp(node.log_probability)).replace(" %", "%").replace("> ", ">").replace("< ", "<");
  node.mark = shape(
    "g",
    {
      class: `node ${node.fate}${node.best ? " best" : ""}`,
      role: "button",
      tabindex: -1,
      "aria-label": nodeWords(session, node),
      onclick: () => lookAt(session, node),
      onfocus: () => tellNode(view, node),
      onpointerenter: () => tellNode(view, node, false),
    },
    shape("rect", { x, y: y - HIGH / 2, width: wide, height: HIGH, rx: node.ended ? HIGH / 2 : 4 }),
    shape(
      "text",
      { x: x + 7, y, "dominant-baseline": "central", lang: "" },
      shortened(tokenLabel(node.token, lang), wide - CHANCE - 12, TREE_FONT),
    ),
    shape(
      "text",
      { class: "chance", x: x + wide - 6, y, "dominant-baseline": "central", "text-anchor": "end" },
      chance,
    ),
  );
  return node.mark;
}

function nodeWords(session, node) {
  const { lang } = session.state;
  const before = pathTokens(node.parent)
    .map((token) => tokenLabel(token, lang))
    .join(" ");
  const values = {
    step: node.step + 1,
    rank: node.rank + 1,
    of: node.of,
    token: tokenLabel(node.token, lang),
    before: before || session.say("theStart"),
    percent: percentLabel(Math.exp(node.log_probability)),
    total: natsLabel(node.total),
    fate: node.output >= 0 ? session.say("endedAs", { rank: node.output + 1 }) : session.say(`told_${node.fate}`),
  };
  return session.say("nodeTold", values);
}

function pathTokens(node) {
  const tokens = [];
  for (let each = node; each; each = each.parent) tokens.unshift(each.token);
  return tokens;
}

function tellNode(view, node, focused = true) {
  view.told.textContent = nodeWords(view.session, node);
  const path = new Set();
  for (let each = node; each; each = each.parent) path.add(each);
  for (const each of view.shown) each.mark.classList.toggle("traced", path.has(each));
  if (!focused) return;
  view.current.mark.setAttribute("tabindex", -1);
  view.current = node;
  node.mark.setAttribute("tabindex", 0);
}

/** Looks inside the beginning that a node ends; its end mark is not fed. */
function lookAt(session, node) {
  const ids = node.ended ? node.ids.slice(0, -1) : node.ids;
  if (node.output === 0) session.show({ kind: "best" }, null);
  else if (node.output > 0)
    session.show({ kind: "output", index: node.output }, session.pathOf(session.state.result.outputs[node.output]));
  else session.show({ kind: "node", id: node.id }, session.pathOf({ ids, finished: node.ended }));
}

function markShown(view) {
  const { shown } = view.session.state;
  for (const node of view.shown ?? []) {
    const open =
      shown.kind === "node"
        ? shown.id === node.id
        : node.output >= 0 && node.output === (shown.kind === "output" ? shown.index : 0);
    node.mark.setAttribute("aria-pressed", String(open && shown.kind !== "own"));
  }
}

/** Arrow keys: to the parent, to the likeliest child, to the neighbours of the same step. */
function walk(view, event) {
  const node = view.current;
  const same = view.shown.filter((each) => each.step === node.step);
  const at = same.indexOf(node);
  const child =
    view.shown.find((each) => each.parent === node && each.best) ?? view.shown.find((each) => each.parent === node);
  const to = { ArrowLeft: node.parent, ArrowRight: child, ArrowUp: same[at - 1], ArrowDown: same[at + 1] }[event.key];
  if (event.key === "Enter" || event.key === " ") lookAt(view.session, node);
  else if (!to) return;
  event.preventDefault();
  to?.mark.focus();
}

/** The same as a table, which is written when it is opened. */
function pathList(session) {
  const box = make("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": session.say("treeTable") });
  const fold = make("details", {}, make("summary", {}, session.say("treeTable")), box);
  let nodes = [];
  const draw = (found = nodes) => {
    nodes = found;
    if (!fold.open) return;
    const names = ["step", "beginning", "token", "probability", "together", "fate"].map((key) =>
      make("th", { scope: "col" }, session.say(`column_${key}`)),
    );
    box.replaceChildren(
      make(
        "table",
        {},
        make("thead", {}, make("tr", {}, ...names)),
        make("tbody", {}, ...nodes.map((node) => pathRow(session, node))),
      ),
    );
  };
  fold.addEventListener("toggle", () => draw());
  return { fold, draw };
}

function pathRow(session, node) {
  const { lang } = session.state;
  const label = tokenLabel(node.token, lang);
  const before = pathTokens(node.parent)
    .map((token) => tokenLabel(token, lang))
    .join(" ");
  const open = press(label, () => lookAt(session, node), {
    lang: "",
    "aria-label": session.say("lookInside", { token: label }),
  });
  return make(
    "tr",
    {},
    make("td", {}, String(node.step + 1)),
    make("td", { lang: "" }, before),
    make("th", { scope: "row" }, open),
    make("td", {}, percentLabel(Math.exp(node.log_probability))),
    make("td", {}, natsLabel(node.total)),
    make("td", {}, session.say(`told_${node.fate}`)),
  );
}
