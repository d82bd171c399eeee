/** The switches of language and light at the top of a page, and what a browser keeps of them. */

import { isDark, watchTheme } from "./colors.js";
import { press } from "./dom.js";
import { HTML_LANGUAGES, sayIn } from "./words.js";

/** What this browser has kept under a name; null if nothing. */
export function kept(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

/** Keeps a text under a name, where the browser allows it: a private window may not, and a full store cannot. */
export function keep(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    /* The page goes on without. */
  }
}

/** Gives the page the light that was last chosen. */
export function recallTheme() {
  const theme = kept("theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
}

/** Puts both switches into `box`; `speak` is told of another language. What it returns ends their watch. */
export function addSwitches(box, lang, speak) {
  const root = document.documentElement;
  const other = lang === "en" ? "zh" : "en";
  const language = press(
    { en: "English", zh: "中文" }[other],
    () => {
      keep("lang", HTML_LANGUAGES[other]);
      speak(other);
      box.querySelector("button").focus();
    },
    { lang: HTML_LANGUAGES[other] },
  );
  const theme = press("", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    keep("theme", root.dataset.theme);
  });
  const name = () => {
    theme.textContent = sayIn(lang, isDark() ? "light" : "dark");
  };
  name();
  box.replaceChildren(language, theme);
  return watchTheme(name);
}
