/** Elements made by script: text is always text, never HTML. */

const SVG = "http://www.w3.org/2000/svg";

/** Gives `node` attributes, listeners (`onclick`), style variables (`vars`) and children. */
function dressed(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "vars") setVars(node, value);
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

/** An HTML element. */
export function make(tag, attributes = {}, ...children) {
  return dressed(document.createElement(tag), attributes, children);
}

/** An SVG element. */
export function shape(tag, attributes = {}, ...children) {
  return dressed(document.createElementNS(SVG, tag), attributes, children);
}

/** Sets custom properties of an element; an inline `style` would be refused where a page has a strict policy. */
export function setVars(node, values) {
  for (const [name, value] of Object.entries(values)) node.style.setProperty(name, value);
}

/** A button that submits nothing. */
export function press(label, onclick, attributes = {}) {
  return make("button", { type: "button", onclick, ...attributes }, label);
}

/** Keeps one of several elements in the order of the Tab key; arrow keys go to the others. */
export function rove(box, selector, step) {
  box.addEventListener("keydown", (event) => {
    const all = [...box.querySelectorAll(selector)];
    const at = all.indexOf(document.activeElement);
    const to = at < 0 ? undefined : step(event.key, at, all);
    if (to === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    all[Math.max(0, Math.min(all.length - 1, to))].focus();
  });
  box.addEventListener("focusin", (event) => {
    if (!event.target.matches(selector)) return;
    for (const each of box.querySelectorAll(selector)) each.tabIndex = each === event.target ? 0 : -1;
  });
}

/** Where an arrow key, Home or End leads in a line of `count`. */
export function alongLine(key, at, all) {
  return { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: all.length - 1 }[key];
}

/** Calls `action` once, when it was not asked for any more during some milliseconds. */
export function afterwards(action, milliseconds) {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(action, milliseconds);
  };
}

/** Calls `action` once in the next picture, however often it is asked for before. */
export function onceAPicture(action) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      action();
    });
  };
}
