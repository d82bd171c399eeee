/** Speech: what is said into the microphone, word by word, as one run or two hear it. */

import { make, press, setVars } from "../../../browser/components/dom.js";
import { faultLine } from "./again.js";
import { Recognition } from "./recognition.js";
import { loudness, openMicrophone, pieces, readSound } from "./sound.js";

/** Words of one run or two. */
export class SpeechPanel {
  #microphone = null;
  #opening = 0;

  constructor(page, runs) {
    this.page = page;
    this.runs = runs;
    this.heard = runs.map(() => null);
    this.fault = null;
    this.shows = [];
    this.state = () => {};
  }

  /** Draws all in the language of the page. */
  draw(input, answers) {
    const { page } = this;
    const record = press("", () => (this.#microphone ? this.finish() : this.listen()), { class: "plain go" });
    const level = make("i", { class: "bar" });
    const meter = make("span", { class: "level", "aria-hidden": "true" }, level);
    const told = make("span", { class: "soft small", role: "status" });
    const { line, show } = faultLine(page);
    const file = make("input", { type: "file", accept: "audio/*", onchange: () => this.read(file) });
    this.louder = (loud) => setVars(level, { "--share": `${Math.round(100 * loud)}%` });
    this.state = () => {
      const listening = this.#microphone !== null;
      record.textContent = page.say(listening ? "stopListening" : "listen");
      record.setAttribute("aria-pressed", String(listening));
      file.disabled = listening;
      const working = this.heard.some((each) => each && !each.over);
      told.textContent = page.say(listening ? "listening" : working ? "hearing" : "notListening");
      if (!listening) this.louder(0);
      show(this.fault, () => this.listen());
    };
    input.replaceChildren(
      make(
        "section",
        { class: "part input boxed" },
        make("div", { class: "under" }, record, meter, told),
        make("label", { class: "check small" }, make("span", {}, page.say("orFile")), file),
        line,
      ),
    );
    this.shows = this.runs.map((_, index) => this.#answerPart(index, answers[index]));
    this.state();
  }

  /** Speech has no text to take. */
  take() {}

  /** Ends what is going on. */
  close() {
    this.#opening += 1;
    this.#endMicrophone();
    for (const each of this.heard) each?.stop();
    this.shows = [];
    this.state = () => {};
  }

  /** Listens to the microphone. */
  async listen() {
    this.fault = null;
    const opening = ++this.#opening;
    try {
      const opened = await openMicrophone(this.page.microphone, (piece) => {
        this.louder(loudness(piece));
        for (const each of this.heard) each?.send(piece);
        if (this.#microphone && this.heard.every((each) => each.over)) this.#endMicrophone();
      });
      if (opening !== this.#opening) return opened.close();
      this.#microphone = opened;
      this.#recognise(opened.rate);
    } catch (fault) {
      this.fault = fault;
    }
    this.state();
  }

  /** Ends listening; the last words are still to come. */
  finish() {
    this.#endMicrophone();
    for (const each of this.heard) each?.end();
    this.state();
  }

  /** Sends the sound of the file that was chosen. */
  async read(input) {
    const [file] = input.files;
    if (!file) return;
    this.fault = null;
    const opening = ++this.#opening;
    try {
      const { rate, samples } = await readSound(file);
      if (opening !== this.#opening) return;
      this.#recognise(rate);
      for (const each of this.heard) each.sendAll(pieces(samples));
    } catch (fault) {
      this.fault = fault;
    }
    this.state();
  }

  #recognise(rate) {
    for (const each of this.heard) each?.stop();
    this.heard = this.runs.map((run, index) => {
      const address = this.page.http.socketAddress(`vosk/${encodeURIComponent(run.name)}`);
      const recognition = new Recognition(address, rate, () => {
        if (this.heard[index] !== recognition) return;
        if (recognition.over) this.#remember(run, recognition);
        this.shows[index]?.();
        this.state();
      });
      return recognition;
    });
    this.shows.forEach((show) => show());
  }

  #remember(run, { finals }) {
    const text = finals.map((each) => each.text).join(" ");
    if (text) this.page.remember(run, "", text);
  }

  #endMicrophone() {
    this.#microphone?.close();
    this.#microphone = null;
    this.state();
  }

  #answerPart(index, box) {
    const { page } = this;
    const said = make("div", { class: "said", role: "log", "aria-label": page.say("words"), lang: "", dir: "auto" });
    const partial = make("p", { class: "partial translation long", lang: "", dir: "auto" });
    const all = make("div", { class: "tall", tabindex: 0, role: "group", "aria-label": page.say("transcript") });
    const { line, show } = faultLine(page);
    const times = timesOf(page);
    const about = make("p", { class: "soft small" });
    let shown = null;
    const draw = () => {
      const heard = this.heard[index];
      show(heard?.fault, () => this.listen());
      if (shown !== heard) said.replaceChildren();
      shown = heard;
      const finals = heard?.finals ?? [];
      // Only what is new is added, so that it alone is read aloud.
      for (const { text } of finals.slice(said.children.length))
        said.append(make("p", { class: "translation long" }, text));
      partial.textContent = heard?.partial ?? "";
      about.textContent = heard?.over && !heard.fault && !finals.length ? page.say("noWords") : "";
      times.show(finals.flatMap((each) => each.words));
      all.scrollTop = all.scrollHeight;
    };
    all.append(said, partial);
    box.replaceChildren(
      make(
        "section",
        { class: "part boxed answer" },
        make("h2", {}, page.say("transcript")),
        line,
        all,
        about,
        times.fold,
      ),
    );
    draw();
    return draw;
  }
}

/** A table of words with their times, folded up. */
function timesOf(page) {
  const rows = make("tbody");
  const names = ["word", "from", "to", "confidence"].map((name) => make("th", { scope: "col" }, page.say(name)));
  const table = make("table", { class: "times" }, make("thead", {}, make("tr", {}, ...names)), rows);
  const box = make("div", { class: "scroll tall", tabindex: 0, role: "group", "aria-label": page.say("times") }, table);
  const fold = make("details", {}, make("summary", {}, page.say("times")), box);
  const seconds = (time) => (typeof time === "number" ? page.say("seconds", { time: time.toFixed(2) }) : "");
  const show = (words) => {
    fold.hidden = !words.length;
    if (words.length < rows.children.length) rows.replaceChildren();
    for (const { word, start, end, conf } of words.slice(rows.children.length)) {
      const sure = typeof conf === "number" ? conf.toFixed(2) : "";
      const cells = [seconds(start), seconds(end), sure].map((each) => make("td", {}, each));
      rows.append(make("tr", {}, make("th", { scope: "row", lang: "" }, String(word)), ...cells));
    }
  };
  return { fold, show };
}
