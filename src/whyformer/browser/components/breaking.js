/** Breaking the model on purpose: heads switched off, masks exchanged, and what becomes of the translation. */

import { make, press, shape } from "./dom.js";
import { natsLabel, tokenLabel } from "./labels.js";
import { headsOf, isOff, isWhole, maskName, MASKS } from "./lens.js";
import { PLACES, presetLenses, sameLens, withHeads, withMask } from "./lens.js";

const SEEN = 6;
const CELL = 6;

/** Presets, masks and switches beside both translations. */
export function masksView(session) {
  const heads = session.facts.heads;
  return make(
    "section",
    { class: "part masks" },
    make("h2", {}, session.say("breakIt")),
    make("p", { class: "soft small" }, session.say("breakAbout")),
    presets(session, heads),
    comparison(session),
    make(
      "div",
      { class: "places" },
      ...PLACES.filter((place) => heads[place].length).map((place) =>
        make(
          "div",
          { class: "place" },
          make("h3", {}, session.say(`place_${place}`)),
          maskChoice(session, place),
          switches(session, place, heads),
        ),
      ),
    ),
  );
}

function presets(session, heads) {
  const lenses = Object.entries(presetLenses(heads));
  const buttons = lenses.map(([name, lens]) =>
    press(
      session.say(`preset_${name}`),
      () => (sameLens(session.state.lens, lens) ? session.mend() : session.set({ lens })),
      { class: "chip" },
    ),
  );
  const mend = press(session.say("mend"), () => session.mend(), { class: "plain" });
  session.watch(["lens"], () => {
    lenses.forEach(([, lens], index) =>
      buttons[index].setAttribute("aria-pressed", String(sameLens(session.state.lens, lens))),
    );
    mend.disabled = isWhole(session.state.lens);
  });
  return make("div", { class: "examples", role: "group", "aria-label": session.say("presets") }, ...buttons, mend);
}

/** A mask to choose in one place, each with a small picture of who sees whom. */
function maskChoice(session, place) {
  const name = `mask-${place.replace(" ", "-")}-${Math.random().toString(36).slice(2)}`;
  const choices = Object.entries(MASKS[place]).map(([mask, range]) => {
    const input = make("input", {
      type: "radio",
      name,
      value: mask,
      onchange: () => session.set({ lens: withMask(session.state.lens, place, mask) }),
    });
    return {
      mask,
      input,
      label: make(
        "label",
        { class: "mask" },
        input,
        maskPicture(range),
        make("span", {}, session.say(`mask_${place}_${mask}`)),
      ),
    };
  });
  session.watch(["lens"], () => {
    for (const { mask, input } of choices) input.checked = maskName(session.state.lens, place) === mask;
  });
  return make(
    "fieldset",
    {},
    make("legend", { class: "small soft" }, session.say(`sees_${place}`)),
    ...choices.map(({ label }) => label),
  );
}

function maskPicture([back, ahead]) {
  const cells = [];
  for (let row = 0; row < SEEN; row++)
    for (let column = 0; column < SEEN; column++) {
      const seen = (back === null || column >= row - back) && (ahead === null || column <= row + ahead);
      cells.push(
        shape("rect", {
          class: seen ? "seen" : "hidden",
          x: column * CELL,
          y: row * CELL,
          width: CELL - 1,
          height: CELL - 1,
        }),
      );
    }
  return shape(
    "svg",
    { class: "picture", viewBox: `0 0 ${SEEN * CELL - 1} ${SEEN * CELL - 1}`, "aria-hidden": "true" },
    ...cells,
  );
}

/** A switch for each head of a place, and one for each layer. */
function switches(session, place, heads) {
  const lines = heads[place].map((count, layer) => {
    const buttons = Array.from({ length: count }, (_, head) => headSwitch(session, place, layer, head));
    const of = headsOf(heads, place, layer);
    const whole = press(
      session.say("layerShort", { layer: layer + 1 }),
      () => {
        const { lens } = session.state;
        const allOff = of.every((each) => isOff(lens, ...each));
        session.set({ lens: withHeads(lens, of, !allOff) });
      },
      { class: "layer", "aria-label": session.say("switchLayer", { layer: layer + 1 }) },
    );
    return make("div", { class: "line" }, whole, ...buttons);
  });
  return make(
    "div",
    { class: "breakers", role: "group", "aria-label": session.say("switches") },
    make("p", { class: "small soft" }, session.say("switches")),
    ...lines,
  );
}

function headSwitch(session, place, layer, head) {
  const button = press(
    String(head + 1),
    () => {
      const off = isOff(session.state.lens, place, layer, head);
      session.set({ lens: withHeads(session.state.lens, [[place, layer, head]], !off) });
    },
    { class: "switch", role: "switch", "aria-label": session.headWords({ layer, head }) },
  );
  session.watch(["lens"], () =>
    button.setAttribute("aria-checked", String(!isOff(session.state.lens, place, layer, head))),
  );
  return button;
}

/** Both translations, what differs marked in each, and how likely the broken model finds that of the whole one. */
function comparison(session) {
  const box = make("div", { class: "compare", role: "group", "aria-label": session.say("compare") });
  session.watch(["result", "whole", "fault"], () => {
    const { result, whole, forced, fault } = session.state;
    if (!result?.look || !whole?.look) {
      box.replaceChildren(
        make(
          "p",
          { class: "soft" },
          fault ? session.faultWords(fault) : result?.look ? session.say("nothingBroken") : "",
        ),
      );
      return;
    }
    const [broken, sound] = [result.outputs[0], whole.outputs[0]];
    const common = commonTokens(sound.tokens, broken.tokens);
    box.replaceChildren(
      version(
        session,
        "theWhole",
        sound,
        common.map(([one]) => one),
        "",
      ),
      version(
        session,
        "theBroken",
        broken,
        common.map(([, other]) => other),
        " broken",
      ),
      make("p", { class: "told", role: "status" }, changeWords(session, sound, broken, common.length, forced)),
    );
  });
  return box;
}

function version(session, key, output, kept, kind) {
  const { lang } = session.state;
  const marks = output.tokens.map((token, index) =>
    make(kept.includes(index) ? "span" : "mark", {}, tokenLabel(token, lang)),
  );
  return make(
    "div",
    { class: `version${kind}` },
    make("h3", { class: "small soft" }, session.say(key)),
    make("p", { class: "translation", lang: "", dir: "auto" }, output.text || session.say("nothing")),
    make("p", { class: "pieces small", lang: "", "aria-hidden": "true" }, ...marks.flatMap((mark) => [mark, " "])),
    make("p", { class: "small soft" }, `ln P ${natsLabel(output.log_probability)}`),
  );
}

function changeWords(session, sound, broken, common, forced) {
  const likely = forced ? natsLabel(forced.steps.reduce((sum, step) => sum + step.log_probability, 0)) : "";
  const values = { kept: common, all: sound.tokens.length, before: natsLabel(sound.log_probability), after: likely };
  return session.say(sound.text === broken.text ? "unchanged" : "changed", values);
}

/** Pairs of places of the longest common subsequence of two lists. */
export function commonTokens(one, other) {
  const lengths = Array.from({ length: one.length + 1 }, () => new Uint16Array(other.length + 1));
  for (let i = one.length - 1; i >= 0; i--)
    for (let j = other.length - 1; j >= 0; j--) {
      lengths[i][j] = one[i] === other[j] ? lengths[i + 1][j + 1] + 1 : Math.max(lengths[i + 1][j], lengths[i][j + 1]);
    }
  const pairs = [];
  for (let i = 0, j = 0; i < one.length && j < other.length;) {
    if (one[i] === other[j]) pairs.push([i++, j++]);
    else if (lengths[i + 1][j] >= lengths[i][j + 1]) i++;
    else j++;
  }
  return pairs;
}
