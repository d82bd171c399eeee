/** The field to type in, examples beside it, and a way to stop what takes long. */

import { make, press } from "./dom.js";

/** The reader's text; it is translated while it is typed. */
export function inputView(session) {
  const field = make("textarea", {
    rows: 2,
    spellcheck: "false",
    autocapitalize: "off",
    autocomplete: "off",
    lang: "",
    dir: "auto",
    placeholder: session.say("placeholder"),
    oninput: () => session.set({ text: field.value }),
  });
  const stop = press(session.say("stop"), () => session.stop(), { class: "plain stop", hidden: true });
  const state = make("p", { class: "state soft small", role: "status" });
  session.watch(["text"], () => {
    // What is being typed is never written over.
    if (field.value !== session.state.text) field.value = session.state.text;
  });
  session.watch(["busy", "slow", "result"], () => {
    const { busy, slow, result } = session.state;
    stop.hidden = !slow;
    state.textContent = slow ? session.say("takesLong") : busy || !result ? "" : timeWords(session, result);
  });
  return make(
    "section",
    { class: "part input" },
    make("label", {}, make("span", { class: "name" }, session.say("source")), field),
    make("div", { class: "under" }, state, stop),
    examples(session),
  );
}

function timeWords(session, result) {
  if (!result.look) return "";
  const { milliseconds } = result;
  return session.say("time", { time: milliseconds < 10 ? milliseconds.toFixed(1) : Math.round(milliseconds) });
}

function examples(session) {
  const texts = session.model.run.examples;
  if (!texts.length) return null;
  const buttons = texts.map((text) =>
    press(text, () => session.set({ text }), { class: "chip", lang: "", dir: "auto" }),
  );
  return make(
    "div",
    { class: "examples", role: "group", "aria-label": session.say("examples") },
    make("span", { class: "soft small", "aria-hidden": "true" }, session.say("examples")),
    ...buttons,
  );
}
