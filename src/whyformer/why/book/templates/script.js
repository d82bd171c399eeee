"use strict";
(() => {
  const root = document.documentElement;
  const kept = (name) => { try { return localStorage.getItem(name); } catch { return null; } };
  const keep = (name, value) => { try { localStorage.setItem(name, value); } catch { /* private window */ } };
  const zh = root.lang.startsWith("zh");
  const dark = () => root.dataset.theme ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  if (kept("theme")) root.dataset.theme = kept("theme");

  const addTheme = () => {
    const place = document.querySelector(".switches");
    if (!place) return;
    const button = document.createElement("button");
    const say = () => { button.textContent = dark() ? (zh ? "浅色" : "Light") : (zh ? "深色" : "Dark"); };
    button.type = "button";
    button.addEventListener("click", () => {
      root.dataset.theme = dark() ? "light" : "dark";
      keep("theme", root.dataset.theme);
      say();
    });
    say();
    place.append(button);
  };

  const filter = () => {
    const form = document.querySelector("form.filters");
    if (!form) return;
    const tiles = [...document.querySelectorAll(".tile")];
    const found = form.querySelector(".found");
    const same = { "点乘": "点积", "点积": "点乘", "加性": "加法", "加法": "加性", "sqrt": "√", "rope": "旋转" };
    const show = () => {
      const words = form.elements.words.value.toLowerCase().split(/\s+/).filter(Boolean);
      const has = (tile, word) => tile.dataset.words.includes(word)
        || (same[word] !== undefined && tile.dataset.words.includes(same[word]));
      let count = 0;
      for (const tile of tiles) {
        const shown = words.every((word) => has(tile, word))
          && [tile.dataset.group, ""].includes(form.elements.group.value)
          && [tile.dataset.verdict, ""].includes(form.elements.verdict.value);
        tile.hidden = !shown;
        count += shown;
      }
      for (const shelf of document.querySelectorAll(".shelf")) {
        shelf.hidden = !shelf.querySelector(".tile:not([hidden])");
      }
      found.textContent = found.dataset.words.replace("%d", count).replace("%d", tiles.length);
    };
    form.addEventListener("input", show);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.hidden = false;
    show();
  };

  // The model's page is three times as heavy as this one: it comes once it is asked for.
  const enliven = () => {
    for (const cell of document.querySelectorAll(".live .cell")) {
      const options = JSON.parse(cell.dataset.options);
      const button = document.createElement("button");
      const note = document.createElement("p");
      button.type = "button";
      button.textContent = zh ? "试一试" : "Try it";
      note.className = "soft small";
      note.textContent = zh
        ? `载入 ${options.size} MB；模型在你的设备上运行。`
        : `Loads ${options.size} MB; the model runs on your own device.`;
      button.addEventListener("click", () => {
        button.disabled = true;
        note.textContent = zh ? "正在载入……" : "Loading …";
        const script = document.createElement("script");
        script.src = `${options.base}/script.js`;
        script.addEventListener("load", () => {
          globalThis.Whyformer.mount(cell, options);
          cell.querySelector("button").click();
        });
        script.addEventListener("error", () => {
          button.disabled = false;
          note.textContent = zh ? "没有找到模型的文件 live/script.js。" : "The model's file live/script.js was not found.";
        });
        document.head.append(script);
      });
      cell.replaceChildren(button, note);
    }
  };

  addEventListener("DOMContentLoaded", () => {
    addTheme();
    enliven();
    filter();
    for (const link of document.querySelectorAll("a[hreflang]")) {
      link.addEventListener("click", () => keep("lang", link.hreflang));
      // The page's language as it was last chosen, else the browser's, is a hint only.
      const wanted = kept("lang") || navigator.language || "";
      if (document.body.classList.contains("start") && link.hreflang.slice(0, 2) === wanted.slice(0, 2)) {
        link.classList.add("likely");
      }
    }
    if (document.body.classList.contains("start") === false && kept("lang") === null) keep("lang", root.lang);
  });
  addEventListener("beforeprint", () => {
    for (const fold of document.querySelectorAll("details:not([open])")) {
      fold.open = true;
      fold.dataset.folded = "";
    }
  });
  addEventListener("afterprint", () => {
    for (const fold of document.querySelectorAll("details[data-folded]")) {
      fold.open = false;
      delete fold.dataset.folded;
    }
  });
})();
