/** The writing, step by step: what was read, what was written, how sure each token was, and where it looked. */

import { colorOf, cssColor, inkOn, watchTheme } from "./colors.js";
import { alongLine, make, press, rove, setVars } from "./dom.js";
import { percentLabel, tokenLabel, weightLabel } from "./labels.js";
import { likeliest, plainTokens, writtenTokens } from "./strip.js";

/** Tokens of both sides, and buttons to go forward and back through the writing. */
export function stepsView(session) {
  const source = make("div", { class: "tokens", role: "group" });
  const target = make("div", { class: "tokens", role: "group" });
  source.setAttribute("aria-label", session.say("sourceTokens"));
  target.setAttribute("aria-label", session.say("targetTokens"));
  const lines = { source, target };
  const detail = make("div", { class: "detail" });
  const told = make("p", { class: "told", "aria-live": "polite" });
  const [back, place, forward, all] = stepper(session);
  const shading = make("p", { class: "soft small shading" });
  const part = make(
    "section",
    { class: "part steps" },
    make("h2", {}, session.say("steps")),
    shownLine(session),
    make("div", { class: "side" }, make("span", { class: "name" }, session.say("source")), source),
    make("div", { class: "side" }, make("span", { class: "name" }, session.say("translation")), target),
    make("div", { class: "stepper" }, back, place, forward, all),
    told,
    detail,
    shading,
  );
  listen(session, lines);
  session.watch(["look"], () => {
    part.hidden = !session.state.look;
    drawTokens(session, lines);
  });
  session.watch(["look", "step", "hover", "heads"], () => {
    light(session, lines);
    tell(session, detail, told);
    const { look, step } = session.state;
    const count = look?.steps.length ?? 0;
    place.textContent = !count
      ? ""
      : step === null
        ? session.say("allSteps", { all: count })
        : session.say("stepOf", { step: step + 1, all: count });
    back.disabled = !count || step === 0;
    forward.disabled = !count || step === count - 1;
    all.disabled = !session.lit();
    shading.textContent = session.state.heads ? shadingWords(session) : "";
  });
  session.onRedraw(watchTheme(() => light(session, lines)));
  return part;
}

function stepper(session) {
  const go = (by) => () => {
    const { step, look } = session.state;
    const last = look.steps.length - 1;
    const from = step ?? (by > 0 ? -1 : last + 1);
    session.set({ step: Math.max(0, Math.min(last, from + by)), hover: null });
  };
  return [
    press(session.say("back"), go(-1), { class: "plain" }),
    make("span", { class: "place" }),
    press(session.say("forward"), go(1), { class: "plain" }),
    press(session.say("overview"), () => session.set({ step: null, hover: null })),
  ];
}

/** Says whose tokens these are, where it is not the best translation. */
function shownLine(session) {
  const line = make("p", { class: "shown" });
  session.watch(["shown"], () => {
    const { shown } = session.state;
    line.hidden = shown.kind === "best";
    line.replaceChildren(
      ...(shown.kind === "best"
        ? []
        : [
            session.say(`shown_${shown.kind}`, { rank: shown.index + 1 }),
            " ",
            press(session.say("backToBest"), () => session.show({ kind: "best" }, null)),
          ]),
    );
  });
  return line;
}

function drawTokens(session, lines) {
  const { look, lang } = session.state;
  const listeners = {
    press: (index) => session.set({ step: session.state.step === index ? null : index, hover: null }),
  };
  const pointed = { press: (index) => session.point("source", index) };
  const start = look
    ? make("span", { class: "token start", "data-fed": 0, lang: "" }, tokenLabel(startToken(look), lang))
    : null;
  lines.source.replaceChildren(...(look ? plainTokens(look.source.tokens, lang, pointed) : []));
  lines.target.replaceChildren(...(look ? [start, ...writtenTokens(session, look.steps, listeners)] : []));
}

const startToken = (look) => look.attention.find((each) => each.place === "decoder self")?.queries[0] ?? "<s>";

/** A token that is pointed at or has the focus lights up wherever it stands. */
function listen(session, lines) {
  for (const [side, line] of Object.entries(lines)) {
    const indexOf = (event) => event.target.closest("[data-index]")?.dataset.index;
    line.addEventListener("pointerover", (event) => {
      if (event.pointerType === "mouse" && indexOf(event)) session.point(side, Number(indexOf(event)));
    });
    line.addEventListener("pointerleave", (event) => {
      if (event.pointerType === "mouse") session.point();
    });
    line.addEventListener("focusin", (event) => {
      if (!event.target.matches(":focus-visible")) return;
      const index = Number(indexOf(event));
      if (side === "target") session.set({ step: index, hover: null });
      else session.point(side, index);
    });
    line.addEventListener("focusout", () => {
      if (side === "source") session.pointNoMore();
    });
    rove(line, "[data-index]", alongLine);
  }
}

/** Shades what the token that is lit looks at, or who looks at it, and sets back what is not yet written. */
function light(session, lines) {
  const { look } = session.state;
  const lit = session.lit();
  if (!look) return;
  const weights = shades(session, lit);
  const sources = [...lines.source.children];
  const [start, ...written] = lines.target.children;
  const now = lit?.side === "target" ? lit.index : null;
  sources.forEach((token, index) =>
    shade(token, weights?.source[index], lit?.side === "source" && lit.index === index),
  );
  shade(start, now === null ? undefined : weights?.target[0], false);
  written.forEach((token, index) => {
    shade(
      token,
      now === null ? weights?.target[index] : index < now ? weights?.target[index + 1] : undefined,
      index === now,
    );
    token.classList.toggle("ahead", now !== null && index > now);
    token.setAttribute("aria-pressed", String(session.state.step === index));
  });
}

function shade(token, weight, current) {
  token.classList.toggle("current", current);
  token.classList.toggle("shaded", weight !== undefined && !current);
  const color = colorOf(weight ?? 0);
  setVars(token, { "--shade": cssColor(color), "--on-shade": inkOn(color) });
}

/** Of a target token the row of its cross-attention and of its self-attention; of a source token its column and row. */
function shades(session, lit) {
  if (!lit) return null;
  const cross = session.opened("cross");
  const self = session.opened(lit.side === "target" ? "decoder self" : "encoder self");
  const rowOf = (map) =>
    map ? [...map.rows.subarray(lit.index * map.keys.length, (lit.index + 1) * map.keys.length)] : [];
  if (lit.side === "target") return { source: rowOf(cross), target: rowOf(self) };
  const looks = cross ? cross.queries.map((_, row) => cross.rows[row * cross.keys.length + lit.index]) : [];
  return { source: rowOf(self), target: looks };
}

function shadingWords(session) {
  const key = session.lit()?.side === "source" ? "shadingSource" : "shadingTarget";
  return session.say(
    key,
    Object.fromEntries(
      ["cross", "decoder self", "encoder self"].map((place) => [
        place.replace(" ", "_"),
        session.headWords(session.state.heads[place]),
      ]),
    ),
  );
}

/** What is said of the token that is lit, in a sentence and in bars. */
function tell(session, detail, told) {
  const { look } = session.state;
  const lit = session.lit();
  told.textContent = !look ? "" : lit ? litWords(session, look, lit) : session.say("guide");
  detail.replaceChildren();
  if (!look) return;
  const writing = lit?.side === "target";
  const step = writing ? look.steps[lit.index] : leastSure(look.steps);
  const words = session.say(writing ? "likely" : "leastSure", {
    step: look.steps.indexOf(step) + 1,
    written: tokenLabel(step.token, session.state.lang),
  });
  detail.append(make("h3", { class: "small soft" }, words), likeliest(session, step));
}

const leastSure = (steps) =>
  steps.reduce((found, step) => (step.log_probability < found.log_probability ? step : found));

function litWords(session, look, lit) {
  const label = (token) => tokenLabel(token, session.state.lang);
  const weights = shades(session, lit);
  if (lit.side === "source") {
    const most = mostOf(weights.target, (index) => label(look.target.tokens[index]));
    return session.say(most ? "toldSource" : "toldSourceNobody", { token: label(look.source.tokens[lit.index]), most });
  }
  const step = look.steps[lit.index];
  return session.say(weights.source.some((weight) => weight > 0) ? "toldStep" : "toldStepBlind", {
    step: lit.index + 1,
    all: look.steps.length,
    fed: label(lit.index ? look.steps[lit.index - 1].token : startToken(look)),
    written: label(step.token),
    percent: percentLabel(Math.exp(step.log_probability)),
    most: mostOf(weights.source, (index) => label(look.source.tokens[index])),
  });
}

/** The three largest of some weights, with their labels. */
export function mostOf(weights, labelOf) {
  const order = weights.map((_, index) => index).sort((one, other) => weights[other] - weights[one]);
  return order
    .filter((index) => weights[index] >= 0.005)
    .slice(0, 3)
    .map((index) => `${labelOf(index)} (${weightLabel(weights[index])})`)
    .join(", ");
}
