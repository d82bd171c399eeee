// What a reader meets on a page: texts that lie on each other or leave their frame, and texts that are too pale.
(async () => {
  const texts = [];
  const shown = (element) => element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  const corners = (x, y, w, h, matrix) =>
    [[x, y], [x + w, y], [x + w, y + h], [x, y + h]].map(([a, b]) => { const p = new DOMPoint(a, b).matrixTransform(matrix); return [p.x, p.y]; });
  // Letters are lower than the line that a font asks for, and may touch their neighbours' room by a pixel.
  const tight = (x, y, w, h, size) => [x + 0.5, y + h / 2 - 0.45 * size, w - 1, 0.9 * size];

  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || element.closest("script, style, select, svg") || !shown(element)) continue;
    const range = document.createRange(), size = parseFloat(getComputedStyle(element).fontSize);
    range.selectNodeContents(node);
    for (const box of range.getClientRects())
      if (box.width > 1) texts.push({ text: node.data.trim(), element, shape: corners(...tight(box.x, box.y, box.width, box.height, size), new DOMMatrix()) });
  }
  for (const element of document.querySelectorAll("svg text")) {
    const style = getComputedStyle(element), matrix = element.getScreenCTM();
    if (!element.textContent.trim() || !shown(element) || element.closest("[opacity='0']")) continue;
    const box = element.getBBox();
    texts.push({ text: element.textContent, element, shape: corners(...tight(box.x, box.y, box.width, box.height, parseFloat(style.fontSize)), matrix) });
  }

  const apart = (one, other) => [one, other].some((shape) => [0, 1].some((side) => {
    const [p, q] = [shape[side], shape[side + 1]], normal = [p[1] - q[1], q[0] - p[0]];
    const along = (points) => points.map(([x, y]) => x * normal[0] + y * normal[1]);
    const [a, b] = [along(one), along(other)];
    return Math.max(...a) <= Math.min(...b) || Math.max(...b) <= Math.min(...a);
  }));
  const overlaps = [];
  texts.forEach((one, index) => texts.slice(index + 1).forEach((other) => {
    if (one.element !== other.element && !apart(one.shape, other.shape)) overlaps.push(`${one.text} | ${other.text}`);
  }));

  const outside = texts.filter(({ element, shape }) => {
    const scrolled = element.closest(".scroll");
    const frame = element.closest("svg")?.getBoundingClientRect() || { left: 0, right: innerWidth, top: -1e9, bottom: 1e9 };
    return !scrolled && shape.some(([x, y]) => x < frame.left - 1 || x > frame.right + 1 || y < frame.top - 2 || y > frame.bottom + 2);
  }).map(({ text }) => text);

  const numbers = (color) => {
    const canvas = document.createElement("canvas").getContext("2d");
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = ([r, g, b]) => [r, g, b].map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, band) => sum + c * [0.2126, 0.7152, 0.0722][band], 0);
  const ratio = (one, other) => { const [a, b] = [luminance(one), luminance(other)].sort((x, y) => y - x); return (a + 0.05) / (b + 0.05); };
  const over = (top, ground) => top.slice(0, 3).map((c, band) => (c * top[3] + ground[band] * (255 - top[3])) / 255);
  const pixel = async (image, x, y) => {
    const box = image.getBoundingClientRect(), picture = new Image();
    picture.src = image.getAttribute("href");
    await picture.decode();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [picture.width, picture.height];
    const pen = canvas.getContext("2d");
    pen.drawImage(picture, 0, 0);
    return [...pen.getImageData(Math.floor((x - box.x) / box.width * picture.width), Math.floor((y - box.y) / box.height * picture.height), 1, 1).data];
  };
  const page = () => { const color = numbers(getComputedStyle(document.body).backgroundColor); return color[3] ? color : [255, 255, 255, 255]; };
  const known = new Map();
  const shapes = (svg) => {
    if (!known.has(svg)) known.set(svg, [...svg.querySelectorAll("rect, path, image")].map((each) => ({ each, box: each.getBoundingClientRect() })));
    return known.get(svg);
  };
  const ground = async ({ element, shape }) => {
    const [x, y] = [0, 1].map((at) => (shape[0][at] + shape[2][at]) / 2);
    let color = page();
    const svg = element.closest("svg");
    const lower = svg ? shapes(svg).filter(({ each, box }) => x >= box.left && x <= box.right && y >= box.top && y <= box.bottom && each.compareDocumentPosition(element) & Node.DOCUMENT_POSITION_FOLLOWING) : [];
    for (let up = element; up; up = up.parentElement)
      if (numbers(getComputedStyle(up).backgroundColor)[3]) { color = over(numbers(getComputedStyle(up).backgroundColor), color); break; }
    for (const { each, box } of lower) {
      const style = getComputedStyle(each);
      if (each.tagName === "image") color = await pixel(each, x, y);
      else if (style.fill !== "none" && numbers(style.fill)[3] && style.fillOpacity > 0 && style.opacity > 0 && each.getAttribute("fill") !== "url(#ramp)") {
        const fill = numbers(style.fill);
        fill[3] *= style.fillOpacity * style.opacity;
        color = over(fill, color);
      }
    }
    return color;
  };
  const pale = [];
  for (const each of texts) {
    const style = getComputedStyle(each.element), color = numbers(each.element.closest("svg") ? style.fill : style.color);
    const under = await ground(each), found = ratio(over(color, under), under);
    if (found < 4.5) pale.push(`${each.text}: ${found.toFixed(2)}`);
  }
  return { texts: texts.length, overlaps, outside, pale, wider: document.documentElement.scrollWidth - innerWidth };
})()
