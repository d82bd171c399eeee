"""Words in time: how loud a sound was, what was said in it, what was recognised of it and when, drawn."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import altair as alt

from whyformer.plots.chart import Language, Page, Table, VegaLite
from whyformer.plots.glyphs import drawable, missing_glyphs
from whyformer.plots.streams.lanes import LaneSpan, lanes
from whyformer.plots.streams.words import STREAM_WORDS, TimelineWords

_WIDTH = 900
_ROW_SECONDS = 8.0
_MOST_ROWS = 15  # beyond, the picture would be taller than anybody scrolls
MOST_SECONDS = _MOST_ROWS * (_ROW_SECONDS + 1)
"""Seconds of a signal that can be drawn, at most."""
_SAID, _SOUND, _LANE, _GAP = 22, 44, 34, 8
"""Heights in pixels: of the true words, the loudness, one lane of recognised words; and the space between."""
_MOST_LANES, _MOST_SAID = 8, 6
_NARROWEST = 90
_LETTER, _WIDE = 7.5, 13.0
"""Widths in pixels of a letter, and of a Chinese character."""
_BLUE, _RED, _GREEN = "#0072b2", "#c23b00", "#009e73"
_GREY, _DOTS = "#8f8f8f", "#9a9da3"


class SaidWord(NamedTuple):
    """A word that was truly said; times in seconds."""

    text: str
    start: float
    end: float


class HeardWord(NamedTuple):
    """A word that was recognised; times in seconds of the stream."""

    text: str
    start: float
    """Time at which the recogniser found its beginning."""
    end: float
    """Time at which the recogniser found its end."""
    shown: float
    """Time since when it was shown, at its place and for good."""
    over: float
    """Time from which its delay counts: its true end where that is known, else ``end``."""
    right: bool | None = None
    """Whether it was said; None where nobody knows."""


@dataclass(frozen=True)
class Timeline:
    """A sound, and what a recogniser made of it."""

    loudness: Sequence[float]
    """Root mean square of each of its steps."""
    step: float
    """Seconds of a step."""
    duration: float
    """Seconds of all the sound."""
    heard: Sequence[HeardWord]
    """In the order of the stream."""
    said: Sequence[SaidWord] | None = None
    """None where nobody knows."""
    chunk: float | None = None
    """Seconds of a chunk; None where the sound was recognised as a whole."""

    @property
    def seconds(self) -> float:
        """Duration: of the sound, and of what was shown after it."""
        return max(self.duration, *(word.shown for word in self.heard), 0.0)


def timeline_page(subject: str, timeline: Timeline, lang: Language = "en") -> Page:
    """The page and picture ``words``: rows of some seconds each, one below the other.

    Words that no font of this machine has are numbered in the picture.

    Args:
        subject: the name of the sound, for the heading.
        timeline: what is drawn.
        lang: the language of everything but the words of the sound.
    """
    words = STREAM_WORDS[lang].timeline
    missing = missing_glyphs([word.text for word in (*timeline.heard, *(timeline.said or ()))])
    heading = words.heading.format(subject=subject)
    paragraphs = tuple(_paragraphs(timeline, words))
    heard = [word.text for word in timeline.heard]
    said = [word.text for word in timeline.said or ()]
    chart = still = _chart(timeline, heard, said, words)
    if missing:
        still = _chart(timeline, drawable(heard, missing), drawable(said, missing), words)
    return Page(
        stem="words",
        lang=lang,
        heading=heading,
        paragraphs=paragraphs,
        interactive=chart,
        still={**still, "title": {"text": heading, "subtitle": list(paragraphs), "offset": 12}},
        note=words.fonts if missing else None,
        tables=tuple(_tables(timeline, words)),
    )


def _paragraphs(timeline: Timeline, words: TimelineWords) -> list[str]:
    said = [words.key, words.guess if timeline.said is None else words.truth]
    if timeline.chunk is not None:
        said.append(words.chunks.format(chunk=f"{1000 * timeline.chunk:g} ms"))
    count, span = _rows(timeline.seconds)
    if count > _MOST_ROWS:
        shown, seconds = f"{_MOST_ROWS * span:.0f}", f"{timeline.seconds:,.0f}"
        said.append(words.cut.format(shown=shown, seconds=seconds))
    return said


def _tables(timeline: Timeline, words: TimelineWords) -> list[Table]:
    heard = [
        [
            word.text if word.right is not False else f"{word.text} ({words.wrong})",
            *(f"{time:.2f}" for time in (word.start, word.end, word.shown, word.shown - word.over)),
        ]
        for word in timeline.heard
    ]
    said = [[word.text, f"{word.start:.2f}", f"{word.end:.2f}"] for word in timeline.said or ()]
    found = [Table(words.tables[0], words.columns, heard)]
    return found if timeline.said is None else [*found, Table(words.tables[1], words.said, said)]


@dataclass(frozen=True)
class _Row:
    """Seconds that one row shows, and where things stand in it, in pixels from its top."""

    first: float
    last: float
    pixel: float
    """Seconds that a pixel shows, the same in all rows."""
    lanes: int
    """Of recognised words."""
    said: int
    """Lanes of true words; 0 where nobody knows them."""

    @property
    def sound(self) -> float:
        """The middle of the loudness."""
        return (_SAID * self.said + _GAP if self.said else 0) + _SOUND / 2

    @property
    def heard(self) -> float:
        """The top of the recognised words."""
        return self.sound + _SOUND / 2 + _GAP

    @property
    def height(self) -> float:
        """All of it."""
        return self.heard + _LANE * self.lanes

    def holds(self, time: float) -> bool:
        """Whether this row shows ``time``."""
        return self.first <= time < self.last

    def cut(self, start: float, end: float) -> tuple[float, float] | None:
        """The share of a stretch that this row shows; None if it shows nothing of it."""
        start, end = max(min(start, end), self.first), min(max(start, end), self.last)
        return (start, end) if start < end else None


def _chart(timeline: Timeline, heard: Sequence[str], said: Sequence[str], words: TimelineWords) -> VegaLite:
    """The rows; ``heard`` and ``said`` are the words as they can be drawn."""
    if not timeline.seconds:
        return alt.Chart(alt.Data(values=[{}])).mark_text(text=words.nothing, fontSize=14).to_dict()
    count, span = _rows(timeline.seconds)
    pixel = span / _WIDTH
    heard_at = _labels(timeline.heard, heard, timeline.seconds, span)
    said_at = _labels(timeline.said or (), said, timeline.seconds, span)
    ends = [max(word.end, word.over, word.shown) for word in timeline.heard]
    taken = lanes([LaneSpan.of(*at, end) for at, end in zip(heard_at, ends, strict=True)], _MOST_LANES)
    over = lanes([LaneSpan.of(*at, at[1]) for at in said_at], _MOST_SAID)
    rows: list[alt.LayerChart] = []
    for number in range(min(_MOST_ROWS, count)):
        first, last = _bounds(number, timeline.seconds, span)
        there = [
            lane for at, end, lane in zip(heard_at, ends, taken, strict=True) if at[0] < last and end >= first
        ]
        told = 0 if timeline.said is None else 1 + max(over, default=0)
        row = _Row(first, last, pixel, 1 + max(there, default=0), told)
        placed = [
            _Placed(text, at[0], lane)
            for texts, places, found in ((heard, heard_at, taken), (said, said_at, over))
            for text, at, lane in zip(texts, places, found, strict=True)
        ]
        rows.append(_row(row, timeline, placed[: len(heard)], placed[len(heard) :], words))
    return alt.vconcat(*rows, spacing=14).resolve_scale(x="independent", y="independent").to_dict()


def _rows(seconds: float) -> tuple[int, float]:
    """Number of rows, and the seconds of each: a little more than a row's seconds stay in one row."""
    count = max(1, math.ceil((seconds - 1) / _ROW_SECONDS))
    return count, seconds if count == 1 else max(_ROW_SECONDS, seconds / count)


def _bounds(number: int, seconds: float, span: float) -> tuple[float, float]:
    """Seconds that row ``number`` shows: ``span`` of them, or those that are left."""
    first = number * span
    return first, min(first + span, max(seconds, first + _NARROWEST * span / _WIDTH))


def _labels(
    spoken: Sequence[SaidWord | HeardWord], texts: Sequence[str], seconds: float, span: float
) -> list[tuple[float, float]]:
    """Where the label of each word begins and ends: where the word begins, but all inside of its row."""
    found: list[tuple[float, float]] = []
    for word, text in zip(spoken, texts, strict=True):
        room = _room(text) * span / _WIDTH
        first, last = _bounds(math.floor(word.start / span), seconds, span)
        start = max(first, min(word.start, last - room))
        found.append((start, start + room))
    return found


def _room(text: str) -> float:
    """Pixels that a word takes, about, and some space behind it."""
    return 6 + sum(_WIDE if character >= "\u2e80" else _LETTER for character in text)


class _Placed(NamedTuple):
    """A word's label."""

    text: str
    x: float
    """Second at which it begins."""
    lane: int


def _row(
    row: _Row,
    timeline: Timeline,
    heard: Sequence[_Placed],
    said: Sequence[_Placed],
    words: TimelineWords,
) -> alt.LayerChart:
    x = alt.X(
        "x:Q",
        title=words.x,
        scale=alt.Scale(domain=[row.first, row.last], nice=False),
        axis=alt.Axis(
            grid=False, tickCount=max(1, round((row.last - row.first) / row.pixel / 90)), titlePadding=2
        ),
    )
    names = {row.sound: words.lanes[1], row.heard + _LANE * row.lanes / 2: words.lanes[2]}
    if row.said:
        names = {_SAID * row.said / 2: words.lanes[0], **names}
    said_so = " : ".join(f"abs(datum.value - {at}) < 0.01 ? '{name}'" for at, name in names.items())
    y = alt.Y(
        "y:Q",
        title=None,
        scale=alt.Scale(domain=[row.height, 0], nice=False),
        axis=alt.Axis(values=[*names], labelExpr=f"{said_so} : ''", grid=False, ticks=False, domain=False),
    )
    layers = [*_sound(row, timeline, x, y), *_heard(row, timeline, heard, (x, y), words)]
    if row.said:
        layers += _said(row, timeline.said or (), said, (x, y), words)
    return alt.LayerChart(layer=layers, width=(row.last - row.first) / row.pixel, height=row.height)


_Axes = tuple[alt.X, alt.Y]


def _sound(row: _Row, timeline: Timeline, x: alt.X, y: alt.Y) -> list[alt.Chart]:
    """The loudness, as high above its middle as below; and the borders of chunks."""
    first, last = (round(time / timeline.step) for time in (row.first, min(row.last, timeline.seconds)))
    most = max(timeline.loudness, default=0.0) or 1.0
    points = [
        {"x": number * timeline.step, "y": row.sound - high, "low": row.sound + high}
        for number, value in enumerate(timeline.loudness[first : last + 1], start=first)
        for high in [_SOUND / 2 * value / most]
    ]
    layers = [
        alt.Chart(alt.Data(values=points)).mark_area(color=_GREY, clip=True).encode(x=x, y=y, y2="low:Q"),
    ]
    if timeline.chunk is not None:
        # More of them than pixels would be a grey sheet.
        every = timeline.chunk * max(1, round(4 * (row.last - row.first) / _WIDTH / timeline.chunk))
        borders = range(
            math.ceil(row.first / every - 1e-9),
            math.floor(min(row.last, timeline.seconds) / every + 1e-9) + 1,
        )
        data = alt.Data(values=[{"x": number * every} for number in borders])
        dots = alt.Chart(data).mark_rule(strokeDash=[1, 3], color=_DOTS, strokeWidth=1)
        layers.insert(0, dots.encode(x=x))
    return layers


def _said(
    row: _Row, said: Sequence[SaidWord], placed: Sequence[_Placed], axes: _Axes, words: TimelineWords
) -> list[alt.Chart]:
    """True words, over their own time."""
    x, y = axes
    bars, labels = list[dict[str, Any]](), list[dict[str, Any]]()
    for word, label in zip(said, placed, strict=True):
        if (span := row.cut(word.start, word.end)) is not None:
            place = {"y": _SAID * (label.lane + 1) - 4, "word": word.text}
            bars.append({"x": span[0], "x2": span[1], **place})
            # A word that goes on in the next row is named in the first.
            if row.holds(word.start):
                labels.append({"x": label.x, "text": label.text, **place})
    bar, text = (alt.Chart(alt.Data(values=values)) for values in (bars, labels))
    told = [alt.Tooltip("word:N", title=words.lanes[0])]
    return [
        bar.mark_rule(color=_GREEN, strokeWidth=4).encode(x=x, x2="x2:Q", y=y, tooltip=told),
        text.mark_text(align="left", baseline="bottom", dy=-3, fontSize=12).encode(x=x, y=y, text="text:N"),
    ]


def _heard(
    row: _Row,
    timeline: Timeline,
    placed: Sequence[_Placed],
    axes: _Axes,
    words: TimelineWords,
) -> list[alt.Chart]:
    """Recognised words where they were found, and under each its delay."""
    x, y = axes
    labels, bars, marks = list[dict[str, Any]](), list[dict[str, Any]](), list[dict[str, Any]]()
    for word, label in zip(timeline.heard, placed, strict=True):
        top = row.heard + _LANE * label.lane
        told = {"word": word.text, "delay": word.shown - word.over, "shown": word.shown}
        wrong = word.right is False
        if row.holds(word.start):
            labels.append({"x": label.x, "y": top + 16, "text": label.text})
        if (span := row.cut(word.over, word.shown)) is not None:
            bars.append({"x": span[0], "x2": span[1], "y": top + 23, "wrong": wrong, **told})
        if row.holds(word.shown) or word.shown == row.last == timeline.seconds:
            marks.append({"x": word.shown, "y": top + 23, "wrong": wrong, **told})
    tooltip = [
        alt.Tooltip("word:N", title=words.columns[0]),
        alt.Tooltip("shown:Q", title=words.columns[3], format=".2f"),
        alt.Tooltip("delay:Q", title=words.columns[4], format=".2f"),
    ]
    color = alt.Color("wrong:N", scale=alt.Scale(domain=[False, True], range=[_BLUE, _RED]), legend=None)
    shape = alt.Shape(
        "wrong:N", scale=alt.Scale(domain=[False, True], range=["diamond", "cross"]), legend=None
    )
    text = alt.Chart(alt.Data(values=labels)).mark_text(align="left", baseline="bottom", fontSize=12)
    bar = alt.Chart(alt.Data(values=bars)).mark_rule(strokeWidth=3, opacity=0.7)
    mark = alt.Chart(alt.Data(values=marks)).mark_point(filled=True, size=60, opacity=1)
    return [
        text.encode(x=x, y=y, text="text:N"),
        bar.encode(x=x, x2="x2:Q", y=y, color=color, tooltip=tooltip),
        mark.encode(x=x, y=y, color=color, shape=shape, tooltip=tooltip),
    ]
