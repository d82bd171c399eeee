"""The picture of the attention page: one head of every place with its tokens, all others small beside it.

Q query length · K key length · H heads
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from whyformer.plots.chart import CHINESE_FONTS, LATIN_FONTS, Language
from whyformer.plots.glyphs import drawable
from whyformer.plots.inspection.bitmap import COLORS, STOPS, text_on, weights_image
from whyformer.plots.inspection.labels import ATTENTION_WORDS, ENGLISH, Words
from whyformer.plots.inspection.map import AttentionKind, AttentionMap, WrittenToken, log_probability
from whyformer.plots.inspection.tokens import (
    BLANK,
    column_labels,
    cut_row_to_width,
    cut_to_width,
    every_nth,
    percent,
    row_labels,
    text_width,
    token_label,
    wrapped,
)

Groups = Mapping[AttentionKind, Sequence[AttentionMap]]
"""The layers of each place, first layer first, over the same tokens."""


class Opened(NamedTuple):
    """The head that is shown large."""

    layer: int
    """Its place in the list of layers."""
    head: int
    """From 0."""


# All sizes are in pixels of the page, of which the PNG has more.
MARGIN, GAP = 20.0, 40.0
FONT_SIZE, LINE = 13.0, 17.0
MAP_SIZE, MOST_HEIGHT, MOST_CELL, MOST_NUMBERED = 660.0, 900.0, 80.0, 12
LABEL_LIMIT = 170.0
SMALL_SIZE, SMALL_CELLS = 520.0, (30.0, 110.0)
LEAST_WIDTH, CARD = 760.0, 88.0
TEXT, SOFT, FRAME, MARK, BAR, RIVAL = "#1c1d20", "#55585f", "#c8c8c8", "#0b6e4f", "#0072b2", "#a33c00"


class _Canvas:
    """Collects the elements of an SVG and how much room they take."""

    def __init__(self) -> None:
        self.elements: list[str] = []
        self.width = 0.0
        self.y = MARGIN

    def add(self, element: str, right: float = 0.0) -> None:
        """Add an ``element`` whose right edge is at ``right``."""
        self.elements.append(element)
        self.width = max(self.width, right)

    def write(
        self, text: str, x: float, y: float, *, size: float = FONT_SIZE, color: str = TEXT, more: str = ""
    ) -> None:
        """Write ``text`` with its baseline at ``y``; ``more`` are further attributes."""
        shown = _runs(text)
        anchored = "text-anchor" in more or "rotate" in more
        right = 0.0 if anchored else x + text_width(text, size)
        self.add(
            f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" fill="{color}" {more}>{shown}</text>', right
        )

    def lines(self, texts: Sequence[str], *, size: float, color: str = TEXT, more: str = "") -> None:
        """Write ``texts`` below each other, from the left margin on."""
        for text in texts:
            self.y += 1.35 * size
            self.write(text, MARGIN, self.y - 0.3 * size, size=size, color=color, more=more)

    def svg(self) -> str:
        """Return the picture."""
        width, height = self.width + MARGIN, self.y + MARGIN
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
            f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="{LATIN_FONTS}">'
            f'<rect width="{width:.0f}" height="{height:.0f}" fill="white"/>'
            + "".join(self.elements)
            + "</svg>"
        )


def draw_sheet(
    groups: Groups,
    opened: Mapping[AttentionKind, Opened],
    sentence: tuple[str, str | None],
    written: Sequence[WrittenToken],
    lang: Language,
    missing: frozenset[str],
) -> str:
    """Return the SVG of every place, in which nothing needs a ``missing`` character.

    Args:
        groups: the maps.
        opened: of each place the head that is shown large.
        sentence: the source and, where there is one, its translation.
        written: how likely each token of the translation was.
        lang: the language of the words.
        missing: characters that no font can draw.
    """
    words = ATTENTION_WORDS[lang]
    if not missing.isdisjoint(words.labels.characters() + words.picture.characters()):
        words, lang = ENGLISH, "en"
    left = MARGIN + GAP + max(_large_width(maps[0], lang) for maps in groups.values())
    heads = max(len(map_.array()) for maps in groups.values() for map_ in maps)
    canvas, width = _Canvas(), max(LEAST_WIDTH, left + 60 + heads * (_small(heads) + 8))
    canvas.width = width
    _head(canvas, sentence, words, missing, width - MARGIN)
    tokens = [token for maps in groups.values() for token in (*maps[0].queries, *maps[0].keys)]
    if not missing.isdisjoint("".join(tokens)):
        canvas.lines([words.labels.numbered], size=FONT_SIZE)
    if written:
        _strip(canvas, written, words, lang, missing, width)
    _scale(canvas, words)
    for place, maps in groups.items():
        _place(canvas, maps, opened[place], words, lang, missing, left)
    return canvas.svg()


def _head(
    canvas: _Canvas, sentence: tuple[str, str | None], words: Words, missing: frozenset[str], width: float
) -> None:
    source, translation = sentence
    heading = source if translation is None else f"{source} → {translation}"
    if text_width(heading, 20) <= width:
        lines = [(heading, 20.0)]
    else:
        said = [words.picture.source + source, words.picture.translation + (translation or "")]
        lines = [(line, 16.0) for line in said[: 1 if translation is None else 2]]
    for line, size in lines:
        if missing.isdisjoint(line):
            canvas.lines(wrapped(line, size, width), size=size, more='font-weight="bold"')


def _strip(
    canvas: _Canvas,
    written: Sequence[WrittenToken],
    words: Words,
    lang: Language,
    missing: frozenset[str],
    width: float,
) -> None:
    """Write a card for each token: its probability as a bar and a number, and the likeliest other token."""
    canvas.y += 10
    canvas.lines([words.picture.strip], size=15, more='font-weight="bold"')
    sure = words.picture.sure.replace("#", log_probability(written))
    canvas.lines(wrapped(sure, FONT_SIZE, width - MARGIN), size=FONT_SIZE, color=SOFT)
    names = drawable([token_label(token.token, lang) for token in written], missing)
    per_line = int((width - MARGIN) // CARD)
    for index, (token, name) in enumerate(zip(written, names, strict=True)):
        x = MARGIN + index % per_line * CARD
        if index % per_line == 0:
            canvas.y += 14 if index == 0 else 68
        top, room = canvas.y, CARD - 12
        canvas.add(f'<rect x="{x:g}" y="{top:g}" width="{room:g}" height="4" fill="#d9dce1"/>')
        share = room * min(1.0, token.probability)
        canvas.add(f'<rect x="{x:g}" y="{top:g}" width="{share:.1f}" height="4" fill="{BAR}"/>')
        canvas.write(cut_to_width(name, 14, room), x, top + 20, size=14, more='font-weight="bold"')
        canvas.write(percent(token.probability), x, top + 36)
        for other in token.others[:1]:
            (label,) = drawable([token_label(other.token, lang)], missing)
            color = RIVAL if other.probability > token.probability else SOFT
            chance = percent(other.probability)
            kept = cut_to_width(label, 11, room - text_width(f" {chance}", 11))
            canvas.write(f"{kept} {chance}", x, top + 51, size=11, color=color)
    canvas.y += 62


def _scale(canvas: _Canvas, words: Words) -> None:
    """Write the legend of the colours."""
    canvas.y += 10
    x = MARGIN + text_width(words.picture.weight, FONT_SIZE) + 10
    stops = "".join(f'<stop offset="{at}" stop-color="{c}"/>' for at, c in zip(STOPS, COLORS, strict=True))
    canvas.add(f'<defs><linearGradient id="ramp">{stops}</linearGradient></defs>')
    canvas.write(words.picture.weight, MARGIN, canvas.y + 11)
    canvas.add(
        f'<rect x="{x:g}" y="{canvas.y:g}" width="200" height="12" fill="url(#ramp)" stroke="{FRAME}"/>'
    )
    for tick in (0, 0.25, 0.5, 0.75, 1):
        canvas.write(f"{tick:g}", x + 200 * tick, canvas.y + 27, size=12, more='text-anchor="middle"')
    canvas.y += 30


def _place(
    canvas: _Canvas,
    maps: Sequence[AttentionMap],
    opened: Opened,
    words: Words,
    lang: Language,
    missing: frozenset[str],
    left: float,
) -> None:
    """Draw the ``opened`` head of one place large, and from ``left`` on all of them small."""
    labels, first = words.labels, maps[opened.layer]
    canvas.y += 24
    canvas.lines([labels.places[first.place]], size=17, more='font-weight="bold"')
    canvas.lines([labels.axes[first.written is not None]], size=FONT_SIZE, color=SOFT)
    rows, columns = drawable(row_labels(first, lang), missing), drawable(column_labels(first, lang), missing)
    cell = _cell(len(columns))
    named = (_every(len(rows), _row_height(len(rows), cell)), _every(len(columns), cell))
    said = [
        text.replace("#", str(every)) for text, every in zip(labels.every, named, strict=True) if every > 1
    ]
    canvas.lines(said, size=FONT_SIZE, color=SOFT)
    number = labels.nth_layer.replace("#", str(first.layer + 1))
    single = len(maps) * len(first.array()) == 1
    # Fonts of Chinese put the dot into a wide box of its own, so that it seems to lean to one side.
    between = " · " if lang == "en" else " "
    title = f"{number}{between}{labels.nth_head.replace('#', str(opened.head + 1))}"
    if not single:
        title = words.picture.opened.replace("#", title)
    canvas.y += 6
    canvas.lines([title], size=FONT_SIZE, more='font-weight="bold"')
    canvas.y += 8
    top = canvas.y
    _large(canvas, first.array()[opened.head], rows, columns, top)
    bottom = canvas.y
    if not single:
        canvas.y = top + 20
        _all_heads(canvas, maps, opened, words, left)
    canvas.y = max(bottom, canvas.y)


def _large(
    canvas: _Canvas, weights: npt.NDArray[np.float64], rows: Sequence[str], columns: Sequence[str], top: float
) -> None:
    """Draw the map ``weights`` (Q, K) with its tokens."""
    cell = _cell(len(columns))
    height = _row_height(len(rows), cell)
    left = MARGIN + _names(rows)
    longest = min(LABEL_LIMIT - 50, max(text_width(column, FONT_SIZE) for column in columns))
    flat = longest <= cell - 6
    y = top + (LINE + 4 if flat else longest + 12)
    wide, high = cell * len(columns), height * len(rows)
    canvas.add(
        f'<image x="{left:g}" y="{y:g}" width="{wide:g}" height="{high:g}" preserveAspectRatio="none" '
        f'image-rendering="optimizeSpeed" style="image-rendering:pixelated" href="{weights_image(weights)}"/>'
        f'<rect x="{left:g}" y="{y:g}" width="{wide:g}" height="{high:g}" fill="none" stroke="{FRAME}"/>',
        left + wide,
    )
    for row in range(0, len(rows), _every(len(rows), height)):
        middle = y + (row + 0.5) * height + 0.35 * FONT_SIZE
        text = cut_row_to_width(rows[row], FONT_SIZE, left - MARGIN - 6)
        canvas.write(text, left - 6, middle, more='text-anchor="end"')
    for column in range(0, len(columns), 1 if flat else _every(len(columns), cell)):
        x = left + (column + 0.5) * cell
        text = cut_to_width(columns[column], FONT_SIZE, cell if flat else longest)
        if flat:
            canvas.write(text, x, y - 7, more='text-anchor="middle"')
        else:
            x += 0.35 * FONT_SIZE
            canvas.write(text, x, y - 6, more=f'transform="rotate(-90 {x:g} {y - 6:g})"')
    if max(weights.shape) <= MOST_NUMBERED:
        _numbers(canvas, weights, (left, y), (cell, height))
    canvas.y = y + high


def _row_height(rows: int, cell: float) -> float:
    """Return the height of a row: at least that of its name, as long as the picture has room."""
    return max(cell, min(LINE, MOST_HEIGHT / rows))


def _every(count: int, cell: float) -> int:
    return every_nth(count, cell, FONT_SIZE + 1.5)


def _names(rows: Sequence[str]) -> float:
    """Return the room that the names of ``rows`` take, with the gap behind them."""
    return min(LABEL_LIMIT, max(text_width(row, FONT_SIZE) for row in rows)) + 8


def _large_width(map_: AttentionMap, lang: Language) -> float:
    return _names(row_labels(map_, lang)) + _cell(len(map_.keys)) * len(map_.keys)


def _numbers(
    canvas: _Canvas,
    weights: npt.NDArray[np.float64],
    corner: tuple[float, float],
    cell: tuple[float, float],
) -> None:
    """Write each weight of ``weights`` (Q, K) into its cell; one that rounds to 0 stays empty."""
    for row, column in np.argwhere(weights >= 0.005).tolist():
        weight = float(weights[row, column])
        x = corner[0] + (column + 0.5) * cell[0]
        y = corner[1] + (row + 0.5) * cell[1] + 4.5
        color = text_on(round(weight * 255) / 255)
        canvas.write(f"{weight:.2f}", x, y, color=color, more='text-anchor="middle"')


def _all_heads(
    canvas: _Canvas, maps: Sequence[AttentionMap], opened: Opened, words: Words, left: float
) -> None:
    """Draw every head small: a line for each layer; the large one has a frame."""
    heads = max(len(map_.array()) for map_ in maps)
    side = _small(heads)
    names = [words.labels.nth_layer.replace("#", str(map_.layer + 1)) for map_ in maps]
    start = left + max(text_width(name, 12) for name in names) + 8
    for head in range(heads):
        x = start + head * (side + 8) + side / 2
        canvas.write(str(head + 1), x, canvas.y, size=12, color=SOFT, more='text-anchor="middle"')
    for index, map_ in enumerate(maps):
        y = canvas.y + 8
        canvas.write(names[index], start - 8, y + side / 2 + 4, size=12, color=SOFT, more='text-anchor="end"')
        for head, weights in enumerate(map_.array()):
            x = start + head * (side + 8)
            frame = f'stroke="{MARK}" stroke-width="3"' if opened == (index, head) else f'stroke="{FRAME}"'
            canvas.add(
                f'<image x="{x:g}" y="{y:g}" width="{side:g}" height="{side:g}" preserveAspectRatio="none" '
                f'image-rendering="optimizeSpeed" style="image-rendering:pixelated" '
                f'href="{weights_image(weights)}"/>'
                f'<rect x="{x:g}" y="{y:g}" width="{side:g}" height="{side:g}" fill="none" {frame}/>',
                x + side,
            )
        canvas.y = y + side


def _cell(keys: int) -> float:
    """Return the width of a column of the large map, in whole pixels where there are any."""
    side = min(MOST_CELL, MAP_SIZE / keys)
    return side if side < 1 else side // 1


def _small(heads: int) -> float:
    """Return the side of a small map."""
    least, most = SMALL_CELLS
    return max(least, min(most, SMALL_SIZE // heads - 8))


def _runs(text: str) -> str:
    """Return ``text`` as the content of an SVG text: whatever is wide in fonts that have it.

    The renderer takes a whole run from another font where the first lacks one character, and a Chinese font
    draws the thin dot as wide as a character.
    """
    if all(character < "\u2e80" for character in text):
        return escape(text)
    parts = text.split(BLANK)
    wide = [f'<tspan font-family="{CHINESE_FONTS}">{escape(part)}</tspan>' if part else "" for part in parts]
    return BLANK.join(wide)
