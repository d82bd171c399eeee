/** A translation of the reader's own, and how likely the model finds each of its tokens. */

import { alongLine, make, press, rove } from "./dom.js";
import { natsLabel } from "./labels.js";
import { writtenTokens } from "./strip.js";

const sumOf = (look) => look.steps.reduce((sum, step) => sum + step.log_probability, 0);

/** A field for it, its probability beside that of the model's own, and its tokens. */
export function ownView(session) {
  const field = make("textarea", {
    rows: 1,
    spellcheck: "false",
    autocapitalize: "off",
    autocomplete: "off",
    lang: "",
    dir: "auto",
    oninput: () => session.set({ own: field.value }),
  });
  const told = make("p", { class: "told", role: "status" });
  const tokens = make("div", { class: "tokens", role: "group", "aria-label": session.say("ownTokens") });
  const open = press(
    session.say("lookInsideOwn"),
    () => {
      const { shown, ownLook } = session.state;
      if (shown.kind === "own") session.show({ kind: "best" }, null);
      else session.set({ shown: { kind: "own" }, look: ownLook, step: null, hover: null });
    },
    { class: "plain" },
  );
  const take = press(session.say("takeModels"), () => session.set({ own: session.state.result.outputs[0].text }), {
    class: "chip",
  });
  rove(tokens, "[data-index]", alongLine);
  session.watch(["own"], () => {
    if (field.value !== session.state.own) field.value = session.state.own;
  });
  session.watch(["ownLook", "ownFault", "result", "shown"], () => {
    const { ownLook, ownFault, result, shown } = session.state;
    const best = result?.outputs[0];
    told.textContent = ownFault
      ? session.faultWords(ownFault)
      : ownLook && best
        ? ownWords(session, ownLook, best)
        : "";
    tokens.replaceChildren(
      ...(ownLook
        ? writtenTokens(session, ownLook.steps, {
            press: (step) => session.set({ shown: { kind: "own" }, look: ownLook, step, hover: null }),
          })
        : []),
    );
    open.hidden = !ownLook;
    open.setAttribute("aria-pressed", String(shown.kind === "own"));
    take.hidden = !best?.text;
  });
  return make(
    "section",
    { class: "part own" },
    make("h2", {}, session.say("own")),
    make("p", { class: "soft small" }, session.say("ownAbout")),
    make("label", {}, make("span", { class: "name" }, session.say("ownName")), field),
    make("div", { class: "under" }, take, open),
    told,
    tokens,
  );
}

function ownWords(session, look, best) {
  const own = sumOf(look);
  const values = { own: natsLabel(own), best: natsLabel(best.log_probability) };
  const times = Math.exp(Math.abs(own - best.log_probability));
  if (times < 1.005) return session.say("ownEqual", values);
  const shown =
    times >= 1e6 ? powerOfTen(times) : times >= 10 ? Math.round(times).toLocaleString("en") : times.toFixed(1);
  return session.say(own > best.log_probability ? "ownLikelier" : "ownLess", { ...values, times: shown });
}

/** The nearest power of ten, as it is written by hand. */
function powerOfTen(number) {
  const digits = String(Math.round(Math.log10(number)));
  return `10${[...digits].map((digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit]).join("")}`;
}
