/** The translation, other hypotheses, and a fault in one sentence. */

import { make, press } from "./dom.js";
import { natsLabel } from "./labels.js";
import { isWhole } from "./lens.js";

/** Characters from which on a translation is set smaller. */
const LONG = 90;

/** What the model says. */
export function outputView(session) {
  const name = make("h2", { class: "name" }, session.say("translation"));
  const best = make("p", { class: "translation", lang: "", dir: "auto", "aria-live": "polite" });
  const facts = make("p", { class: "measures soft small" });
  const others = make("div", { class: "others" });
  const fault = make("p", { class: "fault", role: "alert" });
  session.watch(["result", "fault", "shown", "lens"], () => {
    const { result, fault: met, shown } = session.state;
    const [first, ...rest] = result?.outputs ?? [];
    fault.textContent = met ? session.faultWords(met) : "";
    best.textContent = first?.text ?? "";
    best.classList.toggle("long", best.textContent.length > LONG);
    best.classList.toggle("broken", !isWhole(session.state.lens));
    facts.textContent = result?.look ? outputWords(session, first) : result ? session.say("blank") : "";
    others.replaceChildren(...(rest.length ? hypotheses(session, rest, shown) : []));
  });
  return make("section", { class: "part output" }, name, best, fault, facts, others, brokenBanner(session));
}

function outputWords(session, output) {
  const told = [`ln P ${natsLabel(output.log_probability)}`];
  if (!output.finished) told.push(session.say("cutOff"));
  return told.join(" · ");
}

function hypotheses(session, outputs, shown) {
  const items = outputs.map((output, at) => {
    const index = at + 1;
    const pressed = shown.kind === "output" && shown.index === index;
    const open = () =>
      pressed ? session.show({ kind: "best" }, null) : session.show({ kind: "output", index }, session.pathOf(output));
    const label = [
      make("span", { lang: "", dir: "auto" }, output.text || session.say("nothing")),
      make("small", {}, natsLabel(output.score)),
    ];
    return make("li", {}, press(label, open, { class: "line", title: output.text, "aria-pressed": String(pressed) }));
  });
  return [make("h3", { class: "small soft" }, session.say("hypotheses")), make("ol", { start: 2 }, ...items)];
}

/** A sign that the model is broken on purpose, what is broken, and a way back. */
export function brokenBanner(session) {
  const banner = make("div", { class: "banner", role: "status" });
  session.watch(["lens"], () => {
    const broken = !isWhole(session.state.lens);
    banner.classList.toggle("shown", broken);
    banner.replaceChildren(
      ...(broken
        ? [
            make("p", {}, make("b", {}, session.say("broken")), " ", session.lensWords()),
            press(session.say("mend"), () => session.mend(), { class: "plain" }),
          ]
        : []),
    );
  });
  return banner;
}
