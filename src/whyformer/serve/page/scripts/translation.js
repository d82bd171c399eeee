/** Translation: the parts of a run's own page, with a translator that the service runs; two of them side by side. */

import { afterwards } from "../../../browser/components/dom.js";
import { wholeLens } from "../../../browser/components/lens.js";
import { partGroups } from "../../../browser/components/parts.js";
import { Session } from "../../../browser/components/session.js";
import { againButton } from "./again.js";
import { ServerTranslator } from "./server.js";

const ALONE = ["input", "output", "steps", "heads", "search", "own"];
const BESIDE = ["output", "steps", "heads", "search"];
/** Milliseconds without a change after which a translation is remembered. */
const SETTLED = 1500;
const USUAL = { kind: "beam", size: 4 };

/** Translates what is typed by one run or two. */
export class TranslationPanel {
  /** What is said below: the service takes no lens. */
  static note = "brokenElsewhere";

  constructor(page, runs, text) {
    this.page = page;
    this.runs = runs;
    this.sessions = runs.map((run) => {
      const model = { decoding: run.decoding ?? USUAL, run: { ...run, examples: run.examples ?? [] } };
      const client = new ServerTranslator(page.http, run.name);
      return new Session(client, model, {}, { lang: page.lang, text, lens: wholeLens() });
    });
    for (const session of this.sessions) session.ask();
  }

  /** Draws all in the language of the page. */
  draw(input, answers) {
    const [first, second] = this.sessions;
    for (const session of this.sessions) {
      session.unwatch();
      session.set({ lang: this.page.lang });
    }
    if (second) {
      input.replaceChildren(...partGroups(first, ["input"]));
      this.sessions.forEach((session, index) => answers[index].replaceChildren(...this.#parts(session, BESIDE)));
      first.watch(["text"], () => second.set({ text: first.state.text }));
    } else answers[0].replaceChildren(...this.#parts(first, ALONE));
    first.watch(["text"], () => this.page.wrote(first.state.text));
    this.sessions.forEach((session, index) => this.#rememberSettled(session, this.runs[index]));
  }

  /** Takes another text. */
  take(text) {
    this.sessions[0].set({ text });
  }

  /** Ends what is going on. */
  close() {
    for (const session of this.sessions) session.close();
  }

  #parts(session, view) {
    const again = againButton(this.page);
    session.watch(["fault"], () => again.show(session.state.fault, () => session.ask()));
    const groups = partGroups(session, view);
    groups[0].querySelector(".fault").after(again.button);
    return groups;
  }

  #rememberSettled(session, run) {
    const settle = afterwards(() => {
      const { result, text, fault } = session.state;
      if (result?.look && !fault) this.page.remember(run, text, result.outputs[0].text);
    }, SETTLED);
    session.watch(["result"], settle);
  }
}
