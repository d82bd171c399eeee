"""A figure drawn by characters: lines in braille, bars in blocks, cells with a ground of their own."""

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean

from rich.table import Table
from rich.text import Text as Line

from whyformer.language import display_width, padded
from whyformer.plots.chart import Language
from whyformer.why.book.figures.plot import arm_colors
from whyformer.why.book.labels import REFUSED
from whyformer.why.question import Figure, Findings, Text, place_name

_WIDTH, _HEIGHT = 64, 14
"""Columns and rows of a plot; a cell is two dots wide and four high."""
_BARS = 40
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""Bits of a braille character, by column and row."""
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_GREY = "grey50"
# From nothing to all, as in the book; dark grounds want light letters.
_COLD, _WARM = (0xF7, 0xF7, 0xF7), (0x08, 0x51, 0x9C)

Means = Mapping[tuple[Text, float | Text], float]


def draw_figure(findings: Findings, figure: Figure, lang: Language) -> Iterator[Line | Table]:
    """The means of ``figure`` as lines to print: a title, the drawing, and what its signs mean."""
    means = {key: fmean(values) for key, values in findings.numbers(figure).items()}
    unit = figure.unit.say(lang)
    yield Line(figure.title.say(lang) + (f" · {unit}" if unit else ""), style="bold")
    match figure.mark:
        case "line":
            yield from _lines(figure, means, lang)
        case "heat":
            yield _cells(figure, means, lang)
        case _:
            yield from _bars(figure, means, lang)


class _Axis:
    """Where a number lies between the ends of an axis, from 0 to 1."""

    def __init__(self, values: Sequence[float], *, log: bool) -> None:
        known = [value for value in values if math.isfinite(value) and not (log and value <= 0)]
        self.is_log = log and bool(known)
        self.low, self.high = (min(known), max(known)) if known else (0.0, 1.0)
        if self.low == self.high:
            self.low, self.high = (
                (self.low / 2, self.high * 2) if self.is_log else (self.low - 1, self.high + 1)
            )

    def at(self, value: float) -> float | None:
        """The place of ``value``; None where it cannot be drawn."""
        if not math.isfinite(value) or (self.is_log and value <= 0):
            return None
        low, high, here = (math.log(x) if self.is_log else x for x in (self.low, self.high, value))
        return (here - low) / (high - low)

    def middle(self) -> float:
        return math.sqrt(self.low * self.high) if self.is_log else (self.low + self.high) / 2


class _Canvas:
    """Dots in cells, each cell in the colour of whatever was drawn last."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.bits = [[0] * width for _ in range(height)]
        self.signs: dict[tuple[int, int], str] = {}
        self.styles: dict[tuple[int, int], str] = {}

    def dot(self, x: int, y: int, style: str) -> None:
        """Set a dot, counted from the top left."""
        row, column = y // 4, x // 2
        self.bits[row][column] |= _DOTS[x % 2][y % 4]
        self.styles[row, column] = style

    def line(self, start: tuple[float, float], end: tuple[float, float], style: str) -> None:
        """Draw from one point to another, each from 0 to 1 upwards and to the right."""
        (x0, y0), (x1, y1) = (self.dots(*point) for point in (start, end))
        steps = max(abs(x1 - x0), abs(y1 - y0), 1)
        for step in range(steps + 1):
            share = step / steps
            self.dot(round(x0 + (x1 - x0) * share), round(y0 + (y1 - y0) * share), style)

    def dots(self, x: float, y: float) -> tuple[int, int]:
        """The dot at a point, counted from the top left."""
        return round(x * (2 * self.width - 1)), round((1 - y) * (4 * self.height - 1))

    def sign(self, x: float, y: float, letter: str, style: str) -> None:
        """Write a letter over the cell at a point, or beside it where another stands there."""
        across, down = self.dots(x, y)
        row, column = down // 4, across // 2
        while (row, column) in self.signs and column > 0:
            column -= 1
        self.signs[row, column] = letter
        self.styles[row, column] = style

    def rows(self) -> Iterator[Line]:
        """The rows, from the top."""
        for row, bits in enumerate(self.bits):
            line = Line()
            for column, bit in enumerate(bits):
                sign = self.signs.get((row, column)) or (chr(0x2800 + bit) if bit else " ")
                line.append(sign, style=self.styles.get((row, column), ""))
            yield line


def _lines(figure: Figure, means: Means, lang: Language) -> Iterator[Line]:
    points = {key: value for key, value in means.items() if not isinstance(key[1], Text)}
    places = [place for _, place in points if not isinstance(place, Text)]
    log = figure.log or ""
    across = _Axis(places, log="x" in log)
    levels = [level.at for level in figure.levels]
    up = _Axis([*points.values(), *levels, *([] if "y" in log else [0.0])], log="y" in log)
    canvas = _Canvas(_WIDTH, _HEIGHT)
    for level in figure.levels:
        height = up.at(level.at)
        if height is not None:
            for column in range(0, 2 * _WIDTH, 4):
                canvas.dot(column, canvas.dots(0, height)[1], _GREY)
    arms = list(dict.fromkeys(arm for arm, _ in points))
    colors = arm_colors(arms)
    letters = {arm: chr(ord("A") + index) for index, arm in enumerate(arms)}
    ends: dict[Text, float] = {}
    for arm in arms:
        last: tuple[float, float] | None = None
        for (who, place), value in points.items():
            if who != arm or isinstance(place, Text):
                continue
            x, y = across.at(place), up.at(value)
            here = None if x is None or y is None else (x, y)
            if here is not None:
                canvas.line(last or here, here, colors[arm])
                ends[arm] = value
            last = here
        if last is not None:
            canvas.sign(*last, letters[arm], f"bold {colors[arm]}")
    yield from _framed(canvas, across, up, figure.across.say(lang))
    for arm in arms:
        told = f"{letters[arm]} {arm.say(lang)}" + (f"  → {short(ends[arm])}" if arm in ends else "")
        yield Line("  ").append("━━ ", style=colors[arm]).append(told)
    yield from _level_names(figure, lang, "┈┈")


def _framed(canvas: _Canvas, across: _Axis, up: _Axis, name: str) -> Iterator[Line]:
    """The canvas with its axes, three numbers on each."""
    ticks = {0: up.high, canvas.height // 2: up.middle(), canvas.height - 1: up.low}
    wide = max(len(short(value)) for value in ticks.values())
    for row, line in enumerate(canvas.rows()):
        number = short(ticks[row]) if row in ticks else ""
        yield Line(f"{number:>{wide}} ┤" if number else f"{'':{wide}} │", style=_GREY).append_text(line)
    yield Line(f"{'':{wide}} └{'─' * canvas.width}", style=_GREY)
    first, middle, last = (short(value) for value in (across.low, across.middle(), across.high))
    half = canvas.width // 2
    numbers = f"{first:<{half - len(middle) // 2}}{middle}"
    yield Line(f"{'':{wide}}  {numbers}{last:>{canvas.width - len(numbers)}}  {name}", style=_GREY)


def _bars(figure: Figure, means: Means, lang: Language) -> Iterator[Line]:
    arms = list(dict.fromkeys(arm for arm, _ in means))
    places = list(dict.fromkeys(place for _, place in means))
    colors = arm_colors(arms)
    levels = [level.at for level in figure.levels]
    scale = _Axis([*means.values(), *levels, 0.0], log="y" in (figure.log or ""))
    if scale.is_log:
        scale.low /= 2  # the least has a bar too
    origin = 0.0 if scale.is_log else (scale.at(0.0) or 0.0)
    wide = max(display_width(arm.say(lang)) for arm in arms)
    for place in places:
        name = place_name(place, lang)
        yield Line(name if isinstance(place, Text) else f"{figure.across.say(lang)} = {name}", style="bold")
        for arm in (arm for arm in arms if (arm, place) in means):
            line = Line("  " + padded(arm.say(lang), wide + 1))
            at = scale.at(means[arm, place])
            if at is None:
                yield line.append(REFUSED.say(lang), style=_GREY)
                continue
            yield line.append_text(_bar(origin, at, colors[arm])).append(" " + short(means[arm, place]))
    yield from _level_names(figure, lang, "┊")


def _bar(start: float, end: float, color: str) -> Line:
    """A bar between two places from 0 to 1, fine to an eighth of a cell where it ends."""
    low, high = sorted((start, end))
    before, eighths = round(low * _BARS), math.ceil((high - low) * _BARS * 8)
    full, rest = divmod(eighths, 8)
    return Line(" " * before).append("█" * full + (_EIGHTHS[rest] if rest else ""), style=color)


def _cells(figure: Figure, means: Means, lang: Language) -> Table:
    table = Table(box=None, padding=(0, 0))
    table.add_column("")
    places = list(dict.fromkeys(place for _, place in means))
    for place in places:
        table.add_column(Line(f" {place_name(place, lang)} ", style=_GREY), justify="center")
    for arm in dict.fromkeys(arm for arm, _ in means):
        cells = (_cell(means.get((arm, place)), lang) for place in places)
        table.add_row(Line(arm.say(lang) + "  "), *cells)
    if figure.across.say(lang):
        table.caption = figure.across.say(lang)
    return table


def _cell(value: float | None, lang: Language) -> Line:
    if value is None:
        return Line("")
    if math.isnan(value):
        return Line(f" {REFUSED.say(lang)} ", style=_GREY)
    share = min(max(value / 100, 0.0), 1.0)
    ground = [round(cold + (warm - cold) * share) for cold, warm in zip(_COLD, _WARM, strict=True)]
    letters = "white" if share > 0.55 else "black"
    return Line(f"{value:^7.0f}", style=f"{letters} on rgb({','.join(map(str, ground))})")


def _level_names(figure: Figure, lang: Language, sign: str) -> Iterator[Line]:
    for level in figure.levels:
        colon = ": " if lang == "en" else "："
        yield Line(f"  {sign} {level.name.say(lang)}{colon}{short(level.at)}", style=_GREY)


def short(value: float) -> str:
    """Three digits, or all before the point.

    >>> short(0.49966), short(71696.0), short(0.0), short(float("nan"))
    ('0.5', '71,696', '0', '–')
    """
    if math.isnan(value):
        return "–"
    return (f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}").replace("-", "−")
