"use strict";
// Draws the chart at the width and in the light at hand: panels stand below each other where they do not fit.
const data = JSON.parse(document.getElementById("data").textContent);
const dark = matchMedia("(prefers-color-scheme: dark)");
const LEAST_WIDTH = 130, LEAST_STEP = 26;

/** A copy of a part of the chart in which ``change`` has been applied to every object, outermost first. */
function changed(part, change) {
  if (Array.isArray(part)) return part.map((each) => changed(each, change));
  if (part === null || typeof part !== "object") return part;
  return Object.fromEntries(Object.entries(change({ ...part })).map(([name, value]) =>
    [name, ["values", "datasets"].includes(name) ? value : changed(value, change)]));
}

/** The same panels below each other, each with its own names, none wider than the page. */
function stacked(chart, available) {
  return changed(chart, (part) => {
    if (part.hconcat) { part.vconcat = part.hconcat; delete part.hconcat; }
    if (part.concat) part.columns = 1;
    if (part.labels === false) part.labels = part.ticks = true;
    if ("labelLimit" in part) part.labelLimit = Math.min(part.labelLimit || Infinity, 0.4 * available);
    if (part.orient && part.columns) part.columns = Math.max(1, Math.floor(available / 190));
    if (typeof part.title === "object" && part.title?.text) part.title = { ...part.title, limit: available - 16 };
    return part;
  });
}

function narrowed(chart, excess) {
  return changed(chart, (part) => {
    if (!part.layer && !part.mark) return part;
    if (typeof part.width === "number") part.width = Math.max(LEAST_WIDTH, part.width - excess);
    if (typeof part.width?.step === "number") part.width = { step: Math.max(LEAST_STEP, part.width.step * 0.6) };
    return part;
  });
}

/** Lines in the colour of the text must not vanish in the dark. */
const lit = (chart) => changed(chart, (part) => {
  if (Array.isArray(part.range)) part.range = part.range.map((color) => (color === data.ink ? data.themes.dark.style.ink.color : color));
  if (part.type === "rule" && part.color === data.ink) part.color = data.themes.dark.style.ink.color;
  return part;
});

/** Draws the chart into ``box`` in the colours of one light, stacked and narrowed as far as the page needs. */
async function draw(box, night) {
  const available = document.getElementById("chart").clientWidth;
  const embed = async (chart) => {
    const options = { ...data.options, config: night ? data.themes.dark : data.themes.light };
    await vegaEmbed(box, night ? lit(chart) : chart, options);
    return box.querySelector("svg.marks").getAttribute("width") - available;
  };
  let chart = data.chart, excess = await embed(chart);
  if (excess > 1) excess = await embed((chart = stacked(chart, available)));
  if (excess > 1) await embed(narrowed(chart, excess));
}

/** By day always, since paper is white; by night besides. The style shows one of both. */
let drawing = Promise.resolve();
function drawAll() {
  drawing = drawing.then(async () => {
    await draw(document.getElementById("day"), false);
    if (dark.matches) await draw(document.getElementById("night"), true);
    document.body.dataset.drawn = "yes";
  }).catch(console.error);
}

dark.addEventListener("change", drawAll);
let drawnAt = innerWidth;
addEventListener("resize", () => { if (innerWidth !== drawnAt) { drawnAt = innerWidth; drawAll(); } });
drawAll();
