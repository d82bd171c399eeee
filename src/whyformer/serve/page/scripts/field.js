/** A field to write in, with a name above it. */

import { make, press } from "../../../browser/components/dom.js";

/** The field, and the label that holds it; `changed` is called with what stands there. */
export function textField({ name, placeholder, text, changed }) {
  const field = make("textarea", {
    rows: 2,
    spellcheck: "false",
    autocapitalize: "off",
    autocomplete: "off",
    lang: "",
    dir: "auto",
    placeholder,
    oninput: () => changed(field.value),
  });
  field.value = text;
  return { field, label: make("label", {}, make("span", { class: "name" }, name), field) };
}

/** Examples to press; nothing where there are none. */
export function exampleChips(page, texts, choose) {
  if (!texts.length) return null;
  const chips = texts.map((text) => press(text, () => choose(text), { class: "chip", lang: "", dir: "auto" }));
  return make(
    "div",
    { class: "examples", role: "group", "aria-label": page.say("examples") },
    make("span", { class: "soft small", "aria-hidden": "true" }, page.say("examples")),
    ...chips,
  );
}
