/** The page of the service: its models, one of them or two side by side, and what was asked before. */

import { afterwards, make, press } from "../../../browser/components/dom.js";
import { addSwitches, kept, recallTheme } from "../../../browser/components/switches.js";
import { faultIn, HTML_LANGUAGES, sayIn } from "../../../browser/components/words.js";
import { faultLine } from "./again.js";
import { FillPanel } from "./fill.js";
import { GenerationPanel } from "./generation.js";
import { forget, recalled, remember } from "./history.js";
import { Http } from "./http.js";
import { SpeechPanel } from "./speech.js";
import { TranslationPanel } from "./translation.js";
import { addServedWords } from "./words.js";

/** What shows a run, by its task. */
const PANELS = {
  translation: TranslationPanel,
  masked_lm: FillPanel,
  causal_lm: GenerationPanel,
  speech: SpeechPanel,
};
/** Milliseconds between two changes of the address, which browsers allow but so often. */
const ADDRESS_EVERY = 400;
const KEY = "whyformer-key";

addServedWords();

/** The page, drawn in `main`. */
class ServicePage {
  #ends = [];
  #panel = null;
  #address = location.hash;

  constructor(main) {
    this.main = main;
    this.microphone = main.dataset.microphone;
    this.http = new Http(keptKey());
    this.runs = [];
    this.chosen = { run: null, beside: null };
    this.texts = new Map();
    this.lang = languageAsked();
    this.writeAddress = afterwards(() => this.#writeAddress(), ADDRESS_EVERY);
    addEventListener("hashchange", () => this.#follow());
  }

  /** Words in the language of the page. */
  say(key, values = {}) {
    return sayIn(this.lang, key, values);
  }

  /** A fault as one sentence. */
  faultWords(fault) {
    return faultIn(this.lang, fault);
  }

  /** Asks which runs there are, and shows the first or the one of the address. */
  async open() {
    this.#dress();
    this.main.replaceChildren(make("p", { class: "soft", role: "status" }, this.say("loadingRuns")));
    try {
      const { runs } = await this.http.json("v1/runs");
      this.runs = runs;
    } catch (fault) {
      this.#refuse(fault);
      return;
    }
    this.#readAddress();
    this.#build();
  }

  /** Notes what is typed, for the address and for other runs of the same task. */
  wrote(text) {
    this.texts.set(this.chosen.run.task, text);
    this.writeAddress();
  }

  /** Keeps a question and its answer in this browser. */
  remember(run, text, answer) {
    remember({ task: run.task, run: run.name, text, answer });
    this.drawHistory();
  }

  /** Draws all anew, in the language at hand; what the panel has found stays. */
  draw() {
    this.#dress();
    const { run, beside } = this.chosen;
    const input = make("div", { class: "whyformer" });
    const shown = [run, beside].filter(Boolean);
    const answers = shown.map(() => make("div"));
    const columns = answers.map((answer, index) =>
      make(
        "section",
        { class: "whyformer column", "aria-label": shown[index].name },
        beside ? make("p", { class: "kicker runs" }, shown[index].name) : null,
        answer,
      ),
    );
    this.main.replaceChildren(
      make("h1", {}, this.say("serviceTitle")),
      ...this.#choices(),
      input,
      make("div", { class: beside ? "columns" : "" }, ...columns),
      ...this.#note(run),
      this.#historyPart(),
    );
    if (this.#panel) this.#panel.draw(input, answers);
    else answers[0].replaceChildren(make("p", {}, this.say("notShown")));
  }

  /** Shows the history anew. */
  drawHistory() {
    const entries = recalled();
    this.clear.disabled = !entries.length;
    this.entries.replaceChildren(
      ...(entries.length
        ? entries.map((entry) => make("li", {}, this.#entry(entry)))
        : [make("li", { class: "soft" }, this.say("emptyHistory"))]),
    );
  }

  /** Language, light and footer. */
  #dress() {
    const root = document.documentElement;
    root.lang = HTML_LANGUAGES[this.lang];
    for (const end of this.#ends.splice(0)) end();
    const speak = (lang) => {
      this.lang = lang;
      if (this.chosen.run) this.draw();
      else this.open();
      this.writeAddress();
    };
    this.#ends.push(addSwitches(document.querySelector(".switches"), this.lang, speak));
    document.querySelector("footer p").replaceChildren(this.say("served"), " ", make("code", {}, "whyformer serve"));
    document.querySelector(".skip").textContent = this.say("skip");
    const { run } = this.chosen;
    document.title = run ? `${run.name} · Whyformer` : "Whyformer";
  }

  /** Makes the panel of the chosen runs, and draws it. */
  #build() {
    this.#panel?.close();
    this.#panel = null;
    const { run, beside } = this.chosen;
    if (!run) {
      this.main.replaceChildren(make("p", { role: "status" }, this.say("noRuns")));
      return;
    }
    const Panel = PANELS[run.task];
    const examples = run.examples ?? [];
    const text = this.texts.get(run.task) ?? examples[Math.floor(examples.length / 2)] ?? "";
    if (Panel) this.#panel = new Panel(this, [run, beside].filter(Boolean), text);
    this.draw();
  }

  /** The runs to choose from, what is known of the chosen one, and who may stand beside it. */
  #choices() {
    const { run, beside } = this.chosen;
    const chips = this.runs.map((each) => {
      const task = this.say(each.task in PANELS ? `task_${each.task}` : "task_other");
      const label = [make("b", { lang: "" }, each.name), " ", make("small", {}, task)];
      return press(label, () => this.#choose(each, null), {
        class: "chip",
        "data-run": each.name,
        "aria-pressed": String(each === run),
      });
    });
    const facts = [this.#pairOf(run), this.#sizeOf(run), this.say("where")].filter(Boolean).join(" · ");
    return [
      make("div", { class: "whyformer" }, make("nav", { class: "examples", "aria-label": this.say("runs") }, ...chips)),
      make("p", { class: "soft small" }, facts),
      ...this.#besideChoice(run, beside),
    ];
  }

  #sizeOf(run) {
    return run.parameters ? this.say("runFacts", { parameters: run.parameters }) : "";
  }

  #pairOf(run) {
    const names = new Intl.DisplayNames([HTML_LANGUAGES[this.lang]], { type: "language", fallback: "code" });
    const name = (code) => {
      try {
        return names.of(code);
      } catch {
        return code;
      }
    };
    const { source, target } = run.languages ?? {};
    return source && target ? `${name(source)} → ${name(target)}` : "";
  }

  #besideChoice(run, beside) {
    const others = this.runs.filter((each) => each !== run && each.task === run.task && each.task in PANELS);
    if (!others.length) return [];
    const options = [["", this.say("nobody")], ...others.map(({ name }) => [name, name])];
    const select = make(
      "select",
      { id: "beside", onchange: () => this.#choose(run, select.value) },
      ...options.map(([value, name]) => make("option", { value }, name)),
    );
    select.value = beside?.name ?? "";
    const label = make("label", {}, make("span", {}, this.say("beside")), select);
    return [make("div", { class: "whyformer" }, make("div", { class: "controls" }, label))];
  }

  /** Shows a run, and beside it another one called `besideName`; a step that the browser can take back. */
  #choose(run, besideName) {
    const focus = document.activeElement?.dataset.run ? `[data-run="${CSS.escape(run.name)}"]` : "#beside";
    this.chosen = { run, beside: this.runs.find((each) => each.name === besideName) ?? null };
    this.#build();
    this.#address = this.#link();
    history.pushState(null, "", this.#address);
    document.querySelector(focus)?.focus();
  }

  #link() {
    const { run, beside } = this.chosen;
    const said = new URLSearchParams({ run: run.name });
    if (beside) said.set("beside", beside.name);
    const text = this.texts.get(run.task);
    if (text) said.set("text", text);
    said.set("lang", this.lang);
    return `#${said}`;
  }

  #writeAddress() {
    if (!this.chosen.run) return;
    this.#address = this.#link();
    history.replaceState(null, "", this.#address);
  }

  /** Follows an address that was put there, or that the reader went back to. */
  #follow() {
    if (location.hash === this.#address || !location.hash.includes("=") || !this.runs.length) return;
    this.lang = languageAsked();
    this.#readAddress();
    this.#build();
  }

  /** Takes run, text and company from the address; whatever makes no sense there is left out. */
  #readAddress() {
    this.#address = location.hash;
    const said = new URLSearchParams(location.hash.slice(1));
    const named = (name) => this.runs.find((each) => each.name === said.get(name)) ?? null;
    const run = named("run") ?? this.runs.find((each) => each.task in PANELS) ?? this.runs[0] ?? null;
    const beside = named("beside");
    this.chosen = { run, beside: run && beside !== run && beside?.task === run.task ? beside : null };
    if (run && said.has("text")) this.texts.set(run.task, said.get("text"));
  }

  /** What is not to be had here, and where it is. */
  #note(run) {
    const { note } = PANELS[run.task] ?? {};
    return note ? [make("p", { class: "soft small" }, this.say(note))] : [];
  }

  #historyPart() {
    this.entries = make("ul");
    this.clear = press(
      this.say("clearHistory"),
      () => {
        forget();
        this.drawHistory();
        fold.querySelector("summary").focus();
      },
      { class: "plain" },
    );
    const about = make("p", { class: "soft small" }, this.say("historyAbout"));
    const fold = make(
      "details",
      { class: "history" },
      make("summary", {}, this.say("history")),
      about,
      this.entries,
      this.clear,
    );
    fold.open = this.main.querySelector(".history")?.open ?? false;
    this.drawHistory();
    return make("div", { class: "whyformer" }, fold);
  }

  #entry({ task, run, text, answer }) {
    const served = this.runs.find((each) => each.name === run && each.task === task);
    const label = [
      make("span", { lang: "", dir: "auto" }, [text, answer].filter(Boolean).join(" → ")),
      make("small", {}, run),
    ];
    if (!served || !text) return make("span", { class: "line" }, ...label);
    return press(label, () => this.#recall(served, text), { class: "line" });
  }

  #recall(run, text) {
    this.texts.set(run.task, text);
    if (run === this.chosen.run) this.#panel?.take(text);
    else this.#choose(run, null);
    this.main.querySelector("textarea")?.focus();
  }

  /** Says why the runs could not be had; where a key is wanted, there is a field for it. */
  #refuse(fault) {
    const { line, show } = faultLine(this);
    const form = fault.code === "key" ? this.#keyForm() : null;
    this.main.replaceChildren(make("div", { class: "whyformer" }, line, form));
    // The first time nobody has given a wrong key yet.
    if (fault.code !== "key" || this.http.key) show(fault, () => this.open());
    this.main.querySelector("input")?.focus();
  }

  #keyForm() {
    const field = make("input", { type: "password", autocomplete: "off", required: true });
    const use = (event) => {
      event.preventDefault();
      this.http.key = field.value;
      keepKey(field.value);
      this.open();
    };
    return make(
      "form",
      { class: "part", onsubmit: use },
      make("p", {}, this.say("keyAsked")),
      make("label", { class: "check" }, make("span", {}, this.say("keyName")), field),
      make("button", { class: "plain" }, this.say("useKey")),
    );
  }
}

/** The key that this tab keeps; none where it may keep nothing. */
function keptKey() {
  try {
    return sessionStorage.getItem(KEY) ?? "";
  } catch {
    return "";
  }
}

function keepKey(key) {
  try {
    sessionStorage.setItem(KEY, key);
  } catch {
    /* It is asked for again. */
  }
}

/** The language of the address, else the one last chosen, else that of the browser. */
function languageAsked() {
  const asked = /[#&]lang=(en|zh)/.exec(location.hash)?.[1];
  const lang = asked ?? (kept("lang") ?? navigator.language ?? "").slice(0, 2);
  return lang in HTML_LANGUAGES ? lang : "en";
}

recallTheme();
addEventListener("DOMContentLoaded", () => {
  const main = document.querySelector("main[data-microphone]");
  if (main) new ServicePage(main).open();
});
