/** Faults as one sentence, and a way to ask again where waiting may help. */

import { make, press } from "../../../browser/components/dom.js";

const WORTH_IT = ["overload", "unreachable", "server", "cut", "answer"];

/** A button that asks again; after an overload it waits until the service wants to be asked. */
export function againButton(page) {
  const button = press("", () => ask(), { class: "plain again", hidden: true });
  let timer = 0;
  let ask = () => {};
  const show = (fault, action) => {
    clearTimeout(timer);
    ask = action;
    button.hidden = !WORTH_IT.includes(fault?.code);
    if (!button.hidden) count(fault.values.seconds ?? 0);
  };
  const count = (seconds) => {
    button.disabled = seconds > 0;
    button.textContent = seconds > 0 ? page.say("againIn", { seconds }) : page.say("again");
    if (seconds > 0) timer = setTimeout(() => count(seconds - 1), 1000);
  };
  return { button, show };
}

/** A line for a fault with its button. */
export function faultLine(page) {
  const told = make("p", { class: "fault", role: "alert" });
  const again = againButton(page);
  const show = (fault, action) => {
    told.textContent = fault ? page.faultWords(fault) : "";
    again.show(fault, action);
  };
  return { line: make("div", { class: "faulty" }, told, again.button), show };
}
