/** Texts that go on: a beginning, and what each run writes after it, as it is written. */

import { make, press } from "../../../browser/components/dom.js";
import { faultLine } from "./again.js";
import { exampleChips, textField } from "./field.js";

const SETTINGS = {
  max_tokens: { min: 1, max: 200, step: 1, value: 40 },
  temperature: { min: 0, max: 2, step: 0.1, value: 0.8 },
};

/** Continuations by one run or two. */
export class GenerationPanel {
  #stop = null;

  constructor(page, runs, text) {
    this.page = page;
    this.runs = runs;
    this.text = text;
    this.settings = Object.fromEntries(Object.entries(SETTINGS).map(([name, { value }]) => [name, value]));
    this.written = runs.map(() => ({ prompt: "", text: "", fault: null, busy: false, reason: null }));
    this.shows = [];
  }

  /** Draws all in the language of the page. */
  draw(input, answers) {
    const { page } = this;
    const { field, label } = textField({
      name: page.say("beginning"),
      placeholder: page.say("beginningPlaceholder"),
      text: this.text,
      changed: (text) => this.#wrote(text),
    });
    this.field = field;
    const go = press(page.say("generate"), () => this.generate(), { class: "plain go" });
    const stop = press(page.say("stop"), () => this.#stop?.abort(), { class: "plain" });
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.generate();
    });
    const told = make("span", { class: "soft small", role: "status" });
    this.state = () => {
      const busy = this.written.some((each) => each.busy);
      // A button that has the focus keeps it, so it stays in its place.
      stop.disabled = !busy;
      told.textContent = busy ? page.say("writing") : "";
    };
    input.replaceChildren(
      make(
        "section",
        { class: "part input boxed" },
        label,
        make("div", { class: "controls" }, ...Object.keys(SETTINGS).map((name) => this.#slider(name))),
        make("div", { class: "under" }, go, stop, told),
        exampleChips(page, this.runs[0].examples ?? [], (text) => this.take(text)),
      ),
    );
    this.shows = this.runs.map((_, index) => this.#answerPart(index, answers[index]));
    this.state();
  }

  /** Takes another text. */
  take(text) {
    this.field.value = text;
    this.#wrote(text);
  }

  /** Ends what is going on. */
  close() {
    this.#stop?.abort();
    this.shows = [];
  }

  /** Asks all runs; what is being written is given up. */
  generate() {
    this.#stop?.abort();
    this.#stop = new AbortController();
    this.runs.forEach((run, index) => this.#follow(run, index, this.#stop.signal));
  }

  async #follow(run, index, signal) {
    const state = { prompt: this.text, text: "", fault: null, busy: true, reason: null };
    this.written[index] = state;
    const show = () => {
      if (this.written[index] !== state) return;
      this.shows[index]?.();
      this.state();
    };
    show();
    const request = { model: run.name, prompt: state.prompt, stream: true, ...this.settings };
    try {
      for await (const { choices = [] } of this.page.http.events("v1/completions", request, signal)) {
        state.text += choices[0]?.text ?? "";
        state.reason = choices[0]?.finish_reason ?? state.reason;
        show();
      }
      this.page.remember(run, state.prompt, state.text);
    } catch (fault) {
      if (fault.code !== "stopped") state.fault = fault;
    }
    state.busy = false;
    show();
  }

  #wrote(text) {
    this.text = text;
    this.page.wrote(text);
  }

  #slider(name) {
    const { min, max, step } = SETTINGS[name];
    const shown = make("output", {}, String(this.settings[name]));
    const input = make("input", {
      type: "range",
      min,
      max,
      step,
      oninput: () => {
        this.settings[name] = Number(input.value);
        shown.textContent = input.value;
      },
    });
    input.value = this.settings[name];
    return make("label", {}, make("span", {}, this.page.say(name)), input, shown);
  }

  #answerPart(index, box) {
    const { page } = this;
    const prompt = make("span", { class: "soft" });
    const text = make("span");
    const about = make("p", { class: "soft small" });
    const { line, show } = faultLine(page);
    const whole = make("p", { class: "translation long prose", lang: "", dir: "auto" }, prompt, text);
    const box_ = make("div", { class: "tall", tabindex: 0, role: "group", "aria-label": page.say("written") }, whole);
    const draw = () => {
      const state = this.written[index];
      show(state.fault, () => this.generate());
      prompt.textContent = state.prompt;
      text.textContent = state.text;
      box_.setAttribute("aria-busy", String(state.busy));
      const done = !state.busy && (state.prompt || state.text) && !state.fault;
      about.textContent = done ? page.say(state.reason === "length" ? "endedByLength" : "ended") : "";
    };
    about.setAttribute("role", "status");
    box.replaceChildren(
      make("section", { class: "part boxed answer" }, make("h2", {}, page.say("written")), line, box_, about),
    );
    draw();
    return draw;
  }
}
