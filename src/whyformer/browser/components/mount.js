/** Parts of the page, put into any element: all of them on a page of their own, some of them in the book. */

import { Client } from "../runtime/client.js";
import { make, press } from "./dom.js";
import { wholeLens } from "./lens.js";
import { drawParts, PARTS } from "./parts.js";
import { Session } from "./session.js";
import { faultIn, HTML_LANGUAGES, sayIn } from "./words.js";

const loaded = new Map();

/**
 * Shows parts of the model (`view`, a list of names) in an element, in the language `lang`, once the reader asks
 * for it. `preset` is what is shown at first: text, search, lens, place, heads, step. The model is read from the
 * folder `base`.
 */
export function mount(element, { lang = "en", view = PARTS, preset = {}, base = ".", size = "3" } = {}) {
  const root = make("div", { class: "whyformer", lang: HTML_LANGUAGES[lang] });
  const about = make("p", { class: "soft small" }, sayIn(lang, "tryItAbout", { size }));
  const begin = press(
    sayIn(lang, "tryIt"),
    async () => {
      begin.disabled = true;
      about.textContent = sayIn(lang, "loading");
      try {
        const session = await openSession(base, lang, preset);
        drawParts(root, session, view);
        root.querySelector("textarea, button")?.focus();
      } catch (fault) {
        begin.disabled = false;
        about.textContent = faultIn(lang, fault);
      }
    },
    { class: "begin" },
  );
  addStyle(base);
  root.append(begin, about);
  element.replaceChildren(root);
  element.hidden = false;
}

/** A session with the model in the folder `base`, which is read once however many parts show it. */
export async function openSession(base, lang, preset) {
  if (!loaded.has(base)) {
    const found = openModel(base);
    loaded.set(base, found);
    found.catch(() => loaded.delete(base));
  }
  const { client, model, facts } = await loaded.get(base);
  const { examples } = model.run;
  const start = typeof preset === "function" ? preset(facts) : preset;
  const session = new Session(client, model, facts, {
    lang,
    text: examples[Math.floor(examples.length / 2)] ?? "",
    lens: wholeLens(),
    ...start,
  });
  session.ask();
  return session;
}

async function openModel(base) {
  for (const [name, file] of [
    ["engine", "engine.js"],
    ["model", "model.js"],
  ]) {
    if (globalThis.whyformerData?.[name] === undefined) await addScript(`${base}/${file}`, file);
  }
  const { engine, model } = globalThis.whyformerData;
  const client = new Client({ engine, model });
  return { client, model, facts: await client.ready };
}

/** Adds a script that brings data: the one way to read files that also works from a disk. */
function addScript(address, file) {
  return new Promise((done, failed) => {
    const missing = () => failed(Object.assign(new Error(file), { code: "not_loaded", values: { file } }));
    document.head.append(make("script", { src: address, onload: done, onerror: missing }));
  });
}

function addStyle(base) {
  const address = new URL(`${base}/style.css`, document.baseURI).href;
  if ([...document.styleSheets].some((sheet) => sheet.href === address)) return;
  document.head.append(make("link", { rel: "stylesheet", href: address }));
}
