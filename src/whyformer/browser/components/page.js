/** The page of one run: its name, language and light, all parts, and an address that tells what is shown. */

import { make, press } from "./dom.js";
import { wholeLens } from "./lens.js";
import { fromLink, toLink } from "./link.js";
import { mount, openSession } from "./mount.js";
import { drawParts, PARTS } from "./parts.js";
import { addSwitches, kept, recallTheme } from "./switches.js";
import { faultIn, HTML_LANGUAGES, sayIn } from "./words.js";

/** Milliseconds between two changes of the address, which browsers allow but so often. */
const WRITTEN_EVERY = 400;

globalThis.Whyformer = { mount };

/** Shows everything in `main`. */
async function showPage(main) {
  const root = document.documentElement;
  const base = main.dataset.base;
  recallTheme();
  const asked = /[#&]lang=(en|zh)/.exec(location.hash)?.[1];
  const lang = asked ?? kept("lang")?.slice(0, 2) ?? (root.lang.startsWith("zh") ? "zh" : "en");
  main.replaceChildren(make("p", { class: "soft", role: "status" }, sayIn(lang, "loading")));
  let session;
  try {
    session = await openSession(base, lang in HTML_LANGUAGES ? lang : "en", (facts) =>
      fromLink(location.hash, facts.heads),
    );
  } catch (fault) {
    main.replaceChildren(make("p", { class: "fault", role: "alert" }, faultIn(lang, fault)));
    return;
  }
  const head = make("div");
  const parts = make("div", { class: "whyformer" });
  const draw = () => {
    root.lang = HTML_LANGUAGES[session.state.lang];
    head.replaceChildren(...heading(session));
    drawParts(parts, session, PARTS);
    const speak = (chosen) => {
      session.set({ lang: chosen });
      draw();
    };
    session.onRedraw(addSwitches(document.querySelector(".switches"), session.state.lang, speak));
    document.querySelector("footer p").replaceChildren(session.say("made"), " ", make("code", {}, "whyformer page"));
  };
  main.replaceChildren(head, parts);
  draw();
  keepAddress(session, draw);
}

function heading(session) {
  const { run } = session.model;
  const { heads } = session.facts;
  const layers = `${heads["encoder self"].length} + ${heads.cross.length}`;
  document.title = `${run.name} · Whyformer`;
  const links = PARTS.slice(2).map((part) =>
    press(session.say({ own: "own", masks: "breakIt" }[part] ?? part), () => {
      const part_ = document.querySelector(`[data-part="${part}"]`);
      part_.scrollIntoView();
      part_.querySelector("button, input, select, textarea, [tabindex='0']")?.focus({ preventScroll: true });
    }),
  );
  return [
    make("p", { class: "kicker" }, run.name),
    make("h1", {}, session.say("title")),
    make("p", { class: "soft small" }, session.say("facts", { parameters: run.parameters, layers })),
    make("nav", { class: "parts small", "aria-label": session.say("parts") }, ...links),
  ];
}

/** Writes what is shown into the address, and follows an address that is put there. */
function keepAddress(session, draw) {
  let written = location.hash;
  let timer = 0;
  session.heard = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      const link = toLink(session.state, session.defaults);
      if (link === written) return;
      written = link;
      history.replaceState(null, "", link);
    }, WRITTEN_EVERY);
  };
  addEventListener("hashchange", () => {
    if (location.hash === written) return;
    const { lang } = session.state;
    const link = fromLink(location.hash, session.facts.heads);
    // What a link leaves out is as usual; one to a place on the page says nothing at all.
    if ("lang" in link) session.set({ ...session.defaults, lens: wholeLens(), own: "", step: null, ...link });
    if (session.state.lang !== lang) draw();
  });
}

addEventListener("DOMContentLoaded", () => {
  const main = document.querySelector("main[data-base]");
  if (main) showPage(main);
});
