/** Colours of weights, the same as on the attention page: darker is more by day, lighter is more by night. */

export const DAY = ["#ffffff", "#fde2a3", "#fca636", "#e8705a", "#b6308b", "#6d00a8", "#0d0887"];
export const NIGHT = ["#1c1e23", "#3a1773", "#7a1fa2", "#b6308b", "#e8705a", "#fca636", "#fdf0c0"];
export const STOPS = [0, 0.04, 0.16, 0.35, 0.55, 0.78, 1];
const LEVELS = 256;
const night = matchMedia("(prefers-color-scheme: dark)");
let printing = false;

/** Whether the page is dark: by its own switch, else as the system has it; paper is light. */
export function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return !printing && (chosen ? chosen === "dark" : night.matches);
}

/** Calls `listener` whenever colours have to be drawn anew; the returned function ends it. */
export function watchTheme(listener) {
  const before = () => {
    printing = true;
    listener();
  };
  const after = () => {
    printing = false;
    listener();
  };
  const observer = new MutationObserver(listener);
  observer.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  night.addEventListener("change", listener);
  addEventListener("beforeprint", before);
  addEventListener("afterprint", after);
  return () => {
    observer.disconnect();
    night.removeEventListener("change", listener);
    removeEventListener("beforeprint", before);
    removeEventListener("afterprint", after);
  };
}

const bandsOf = (color) => [1, 3, 5].map((start) => parseInt(color.slice(start, start + 2), 16));

function rampOf(colors) {
  const bytes = colors.map(bandsOf);
  return Array.from({ length: LEVELS }, (_, level) => {
    const weight = level / (LEVELS - 1);
    const above = Math.max(
      1,
      STOPS.findIndex((stop) => stop >= weight),
    );
    const share = (weight - STOPS[above - 1]) / (STOPS[above] - STOPS[above - 1]);
    return bytes[above - 1].map((from, band) => Math.round(from + share * (bytes[above][band] - from)));
  });
}

const RAMPS = { day: rampOf(DAY), night: rampOf(NIGHT) };

/** The colours of all levels, [red, green, blue] each, in the light at hand. */
export function ramp() {
  return isDark() ? RAMPS.night : RAMPS.day;
}

/** Red, green and blue of a weight from 0 to 1. */
export function colorOf(weight) {
  return ramp()[Math.round(Math.max(0, Math.min(1, weight || 0)) * (LEVELS - 1))];
}

/** The same for a style sheet. */
export function cssColor(color) {
  return `rgb(${color.join(" ")})`;
}

/** Black or white, whichever reads better on a colour: 4.5 to 1 or more. */
export function inkOn(color) {
  const [r, g, b] = color.map((c) => (c <= 10 ? c / 3294.6 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  return (0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05) ** 2 > 0.0525 ? "#000" : "#fff";
}

/** Draws weights of `rows` × `columns` on a canvas, a pixel each. */
export function paintWeights(canvas, weights, rows, columns) {
  canvas.width = columns;
  canvas.height = rows;
  const brush = canvas.getContext("2d");
  const image = brush.createImageData(columns, rows);
  const colors = ramp();
  for (let cell = 0; cell < rows * columns; cell++) {
    const level = Math.round(Math.max(0, Math.min(1, weights[cell] || 0)) * (LEVELS - 1));
    const [r, g, b] = colors[level];
    const at = 4 * cell;
    image.data[at] = r;
    image.data[at + 1] = g;
    image.data[at + 2] = b;
    image.data[at + 3] = 255;
  }
  brush.putImageData(image, 0, 0);
}
