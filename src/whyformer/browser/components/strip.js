/** Tokens side by side, each as probable as its bar is long. */

import { make, press, setVars } from "./dom.js";
import { percentLabel, tokenLabel } from "./labels.js";

/** A line of tokens that only are there, such as those of the source. */
export function plainTokens(tokens, lang, listeners) {
  return tokens.map((token, index) =>
    press(make("b", { lang: "" }, tokenLabel(token, lang)), () => listeners.press(index), {
      class: "token",
      "data-index": index,
      tabindex: index ? -1 : 0,
    }),
  );
}

/** A line of tokens that were written, with their probabilities. */
export function writtenTokens(session, steps, listeners) {
  const { lang } = session.state;
  return steps.map((step, index) => {
    const probability = Math.exp(step.log_probability);
    const [rival] = step.others;
    const bar = make("i", { class: "bar" });
    setVars(bar, { "--share": `${(100 * Math.min(1, probability)).toFixed(1)}%` });
    const children = [
      bar,
      make("b", { lang: "" }, tokenLabel(step.token, lang)),
      make("small", {}, percentLabel(probability)),
    ];
    if (rival && rival.log_probability > step.log_probability)
      children.push(
        make(
          "small",
          { class: "rival" },
          session.say("rather"),
          make("span", { lang: "" }, tokenLabel(rival.token, lang)),
        ),
      );
    return press(children, () => listeners.press(index), {
      class: "token written",
      "data-index": index,
      tabindex: index ? -1 : 0,
    });
  });
}

/** The likeliest tokens of a step as bars, the one that was written among them, the likeliest first. */
export function likeliest(session, step) {
  const { lang } = session.state;
  const written = { token: step.token, log_probability: step.log_probability, written: true };
  const all = [written, ...step.others].sort((one, other) => other.log_probability - one.log_probability);
  return make(
    "ol",
    { class: "likeliest" },
    ...all.map((each) => {
      const bar = make("i", { class: "bar" });
      const probability = Math.exp(each.log_probability);
      setVars(bar, { "--share": `${(100 * Math.min(1, probability)).toFixed(1)}%` });
      return make(
        "li",
        { class: each.written ? "written" : "" },
        make("b", { lang: "" }, tokenLabel(each.token, lang)),
        make("span", { class: "track" }, bar),
        make("span", { class: "number" }, percentLabel(probability)),
        each.written ? make("span", { class: "unseen" }, session.say("isWritten")) : null,
      );
    }),
  );
}
