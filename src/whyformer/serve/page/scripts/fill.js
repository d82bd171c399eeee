/** Holes in a text, and what each run would put there. */

import { afterwards, make, press, setVars } from "../../../browser/components/dom.js";
import { percentLabel, tokenLabel } from "../../../browser/components/labels.js";
import { faultLine } from "./again.js";
import { exampleChips, textField } from "./field.js";

const MASK = "[MASK]";
/** How a hole may be written: as the service reads it. */
const HOLES = /\[MASK\]|<mask>|<MASK>|\[mask\]/g;
const FILL_QUIET = 250;
const GUESSES = 5;

/** Guesses for each hole, by one run or two. */
export class FillPanel {
  #stop = new AbortController();

  constructor(page, runs, text) {
    this.page = page;
    this.runs = runs;
    this.text = text;
    this.found = runs.map(() => ({ answer: null, fault: null }));
    this.shows = [];
    this.soon = afterwards(() => this.ask(), FILL_QUIET);
    this.soon();
  }

  /** Draws all in the language of the page. */
  draw(input, answers) {
    const { page } = this;
    const { field, label } = textField({
      name: page.say("textWithHoles"),
      placeholder: page.say("holePlaceholder"),
      text: this.text,
      changed: (text) => this.#wrote(text),
    });
    this.field = field;
    const hint = make("p", { class: "soft small", role: "status" });
    this.hint = () => {
      hint.textContent = this.text.trim() && !this.text.match(HOLES) ? page.say("noHole") : "";
    };
    const hole = press(page.say("makeHole"), () => this.#dig(), { class: "plain" });
    input.replaceChildren(
      make(
        "section",
        { class: "part input boxed" },
        label,
        make("div", { class: "under" }, hole, hint),
        exampleChips(page, this.runs[0].examples ?? [], (text) => this.take(text)),
      ),
    );
    this.shows = this.runs.map((_, index) => this.#answerPart(index, answers[index]));
    this.hint();
  }

  /** Takes another text. */
  take(text) {
    this.field.value = text;
    this.#wrote(text);
  }

  /** Ends what is going on. */
  close() {
    this.#stop.abort();
    this.soon = () => {};
  }

  /** Asks all runs; an older question is given up. */
  ask() {
    this.#stop.abort();
    this.#stop = new AbortController();
    const { signal } = this.#stop;
    const { text } = this;
    if (!text.match(HOLES)) {
      this.found = this.runs.map(() => ({ answer: null, fault: null }));
      this.shows.forEach((show) => show());
      return;
    }
    this.runs.forEach(async (run, index) => {
      let found;
      try {
        const answer = await this.page.http.json("v1/fill", { model: run.name, text, top: GUESSES }, signal);
        found = { answer: { ...answer, asked: text }, fault: null };
        this.page.remember(run, text, answer.text);
      } catch (fault) {
        found = { answer: null, fault };
      }
      if (signal.aborted) return;
      this.found[index] = found;
      this.shows[index]();
    });
  }

  #wrote(text) {
    this.text = text;
    this.page.wrote(text);
    this.hint();
    this.soon();
  }

  /** Puts a hole where the cursor is, or in place of what is marked. */
  #dig() {
    const { field } = this;
    field.setRangeText(MASK, field.selectionStart, field.selectionEnd, "end");
    field.focus();
    this.#wrote(field.value);
  }

  /** Puts a guess into a hole. */
  #choose(answer, place, guess) {
    let at = -1;
    const filled = answer.asked.replace(HOLES, (hole, offset) => {
      at += 1;
      if (at !== place) return hole;
      const before = answer.asked.slice(0, offset);
      return guess.text.startsWith(" ") && /(^|\s)$/.test(before) ? guess.text.slice(1) : guess.text;
    });
    this.take(filled);
    this.field.focus();
  }

  #answerPart(index, box) {
    const { page } = this;
    const text = make("p", { class: "translation", lang: "", dir: "auto", "aria-live": "polite" });
    const lists = make("div", { class: "holes" });
    const { line, show } = faultLine(page);
    const draw = () => {
      const { answer, fault } = this.found[index];
      show(fault, () => this.ask());
      text.textContent = answer?.text ?? "";
      lists.replaceChildren(...(answer?.holes ?? []).map((guesses, place) => this.#hole(answer, guesses, place)));
    };
    box.replaceChildren(
      make("section", { class: "part boxed answer" }, make("h2", {}, page.say("filled")), line, text, lists),
    );
    draw();
    return draw;
  }

  #hole(answer, guesses, place) {
    const { page } = this;
    const name = page.say("hole", { number: place + 1 });
    const items = guesses.map((guess) => {
      const bar = make("i", { class: "bar" });
      setVars(bar, { "--share": `${(100 * Math.min(1, guess.probability)).toFixed(1)}%` });
      const label = tokenLabel(guess.token, page.lang);
      const choose = press(make("span", { lang: "" }, label), () => this.#choose(answer, place, guess), {
        "aria-label": page.say("putIn", { guess: label }),
        title: page.say("putIn", { guess: label }),
      });
      const chance = make("span", { class: "number" }, percentLabel(guess.probability));
      return make("li", {}, choose, make("span", { class: "track", "aria-hidden": "true" }, bar), chance);
    });
    return make("div", {}, make("h3", {}, name), make("ol", { class: "likeliest" }, ...items));
  }
}
