"""The heat maps of attention: one head large beside an overview, or all heads on one sheet.

A small map is an image, and only the open head has a rectangle for each cell: a sentence of 100 tokens has
millions of cells, more than a browser or the PNG renderer can hold.

Q query length · K key length · H heads
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import altair as alt

from whyformer.plots.attention_labels import Labels, Words
from whyformer.plots.attention_map import AttentionKind, AttentionMap
from whyformer.plots.bitmap import COLORS, weights_image
from whyformer.plots.chart import VegaLite

Groups = Mapping[AttentionKind, Sequence[AttentionMap]]
"""The layers of each place, first layer first, over the same tokens."""

# A row for each head. The rows join the finished chart: altair would look at every single number, which
# takes longer than everything else together.
IMAGES, WEIGHTS = alt.NamedData("images"), alt.NamedData("weights")
FRAME, CHOSEN_FRAME = "#c8c8c8", "#0b6e4f"
# All sizes are in pixels of the page, of which the PNG has more.
OVERVIEW_WIDTH = 500
DETAIL_SIZE, DETAIL_CELLS = 480, (8.0, 34.0)
SHEET_SIZE, SHEET_CELLS = 220, (0.0, 13.0)
LETTERS = (7.0, 12.0)
LABEL_LIMIT = 110


def interactive_chart(groups: Groups, words: Words) -> VegaLite:
    """Return the overview of one place, and beside it the head that the reader chose, with its tokens."""
    place = alt.param(
        name="place",
        value=next(iter(groups)),
        bind=_select(words.labels.attention, list(groups), [words.labels.places[place] for place in groups]),
    )
    maps = [map_ for group in groups.values() for map_ in group]
    heads = range(1, 1 + max(len(map_.array()) for map_ in maps))
    layer = _chosen("layer", words.layer, sorted({map_.layer + 1 for map_ in maps}))
    head = _chosen("head", words.head, heads)
    overview = _overview(len(heads), words, layer, head)
    detail = _detail(groups, words.labels, layer, head)
    chart = alt.hconcat(overview, detail, spacing=40).add_params(place)
    return {**chart.to_dict(), "datasets": {IMAGES.name: _images(maps), WEIGHTS.name: _weights(maps)}}


def still_chart(groups: Groups, labels: Labels, title: str, lines: Sequence[str]) -> VegaLite:
    """Return one sheet with every head: a grid for each place, rows are layers and columns are heads."""
    sheets = [_sheet(maps, labels) for maps in groups.values()]
    heading = alt.Title(title, subtitle=list(lines), fontSize=18, subtitleFontSize=14, offset=20)
    chart = alt.vconcat(*sheets, spacing=36, title=heading)
    maps = [map_ for group in groups.values() for map_ in group]
    return {**chart.to_dict(), "datasets": {IMAGES.name: _images(maps)}}


def _images(maps: Iterable[AttentionMap]) -> list[dict[str, object]]:
    return [
        {"place": map_.place, "layer": map_.layer + 1, "head": head, "image": weights_image(weights)}
        for map_ in maps
        for head, weights in enumerate(map_.array(), start=1)
    ]


def _weights(maps: Iterable[AttentionMap]) -> list[dict[str, object]]:
    # (H, Q, K) -> H rows of Q·K weights, query by query
    return [
        {
            "place": map_.place,
            "layer": map_.layer + 1,
            "head": head,
            "keys": len(map_.keys),
            "weights": [round(weight, 3) for weight in weights.ravel().tolist()],
        }
        for map_ in maps
        for head, weights in enumerate(map_.array(), start=1)
    ]


def _select(name: str, options: Sequence[str | int], labels: Sequence[str]) -> alt.BindRadioSelect:
    return alt.binding_select(options=options, labels=labels, name=name, element="#controls")


def _chosen(field: Literal["layer", "head"], name: str, options: Sequence[int]) -> alt.Parameter:
    """Return the choice of one value of ``field``, made in a list or by a click."""
    return alt.selection_point(
        name=field,
        fields=[field],
        value=[{field: options[0]}],
        bind=_select(name, options, [str(option) for option in options]),
        on="click",
        toggle=False,
        clear=False,
        empty=False,
    )


def _overview(heads: int, words: Words, layer: alt.Parameter, head: alt.Parameter) -> alt.FacetChart:
    whole = {"x": alt.value(0), "y": alt.value(0), "x2": alt.value("width"), "y2": alt.value("height")}
    frame_color = alt.condition(layer & head, alt.value(CHOSEN_FRAME), alt.value(FRAME))
    frame = alt.Chart(name="frame").mark_rect(fill=None, strokeWidth=5).encode(**whole, stroke=frame_color)
    image = (
        alt.Chart(name="image")
        .mark_image(aspect=False, smooth=False, cursor="pointer")
        .encode(
            **whole,
            url="image:N",
            tooltip=[alt.Tooltip("layer:O", title=words.layer), alt.Tooltip("head:O", title=words.head)],
        )
        .add_params(layer, head)
    )
    size = max(20, min(120, OVERVIEW_WIDTH // heads - 14))
    header = alt.Header(labelFontSize=12, labelPadding=4, titlePadding=2)
    return (
        alt.layer(frame, image, data=IMAGES)
        .properties(width=size, height=size)
        .facet(
            row=alt.Row("layer:O", title=words.layer, header=header),
            column=alt.Column("head:O", title=words.head, header=header),
            spacing=8,
        )
        .transform_filter("datum.place == place")
        .properties(title=words.overview)
    )


def _detail(groups: Groups, labels: Labels, layer: alt.Parameter, head: alt.Parameter) -> alt.Chart:
    queries = f"{_literal({place: list(maps[0].queries) for place, maps in groups.items()})}[place]"
    keys = f"{_literal({place: list(maps[0].keys) for place, maps in groups.items()})}[place]"
    cell = _cell_size(DETAIL_SIZE, DETAIL_CELLS, [map_ for maps in groups.values() for map_ in maps])
    names = [
        f"{_literal(labels.places)}[place]",
        _nth(labels.nth_layer, "layer.layer[0]"),
        _nth(labels.nth_head, "head.head[0]"),
    ]
    return (
        alt.Chart(WEIGHTS, name="detail", title=alt.Title(alt.ExprRef(" + ' · ' + ".join(names))))
        .transform_filter("datum.place == place")
        .transform_filter(layer)
        .transform_filter(head)
        # One row for the head -> one row for each cell.
        .transform_calculate(cell="sequence(length(datum.weights))")
        .transform_flatten(["weights", "cell"], as_=["weight", "cell"])
        .transform_calculate(query="floor(datum.cell / datum.keys)", key="datum.cell % datum.keys")
        .transform_calculate(query_token=f"{queries}[datum.query]", key_token=f"{keys}[datum.key]")
        .mark_rect(stroke="#f0f0f0", strokeWidth=0.5)
        .encode(
            x=alt.X("key:O", axis=_token_axis(labels.key, keys, cell, "top")),
            y=alt.Y("query:O", axis=_token_axis(labels.query, queries, cell, "left")),
            color=_color(labels),
            tooltip=[
                alt.Tooltip("query_token:N", title=labels.query),
                alt.Tooltip("key_token:N", title=labels.key),
                alt.Tooltip("weight:Q", title=labels.weight, format=".3f"),
            ],
        )
        .properties(width=alt.Step(cell), height=alt.Step(cell))
    )


def _sheet(maps: Sequence[AttentionMap], labels: Labels) -> alt.FacetChart:
    queries, keys = list(maps[0].queries), list(maps[0].keys)
    cell = _cell_size(SHEET_SIZE, SHEET_CELLS, maps)
    key_axis = _token_axis(labels.key, _literal(keys), cell, "top", len(keys))
    query_axis = _token_axis(labels.query, _literal(queries), cell, "left", len(queries))
    # The ground has the colour of weight 0 and so brings the legend, which images cannot have.
    ground = alt.Chart().transform_calculate(weight="0").mark_rect().encode(color=_color(labels))
    image = (
        alt.Chart()
        .mark_image(aspect=False, smooth=False)
        .encode(
            x=alt.XDatum(0, type="quantitative", scale=alt.Scale(domain=[0, len(keys)]), axis=key_axis),
            x2=alt.X2Datum(len(keys)),
            y=alt.YDatum(
                0,
                type="quantitative",
                scale=alt.Scale(domain=[0, len(queries)], reverse=True),
                axis=query_axis,
            ),
            y2=alt.Y2Datum(len(queries)),
            url="image:N",
        )
    )
    return (
        alt.layer(ground, image, data=IMAGES)
        .properties(
            width=cell * len(keys),
            height=cell * len(queries),
            # The image covers the inner half of the line.
            view=alt.ViewBackground(stroke=FRAME, strokeWidth=2),
        )
        .facet(
            row=alt.Row("layer:O", title=None, header=_numbered(labels.nth_layer)),
            column=alt.Column("head:O", title=None, header=_numbered(labels.nth_head)),
            spacing=10,
        )
        .transform_filter(f"datum.place == {_literal(maps[0].place)}")
        .properties(title=alt.Title(labels.places[maps[0].place], frame="group", offset=8))
    )


def _cell_size(length: int, limits: tuple[float, float], maps: Iterable[AttentionMap]) -> float:
    """Return the side of a cell, such that the longer side of a map has ``length`` pixels where it can."""
    tokens = max(max(len(map_.queries), len(map_.keys)) for map_ in maps)
    smallest, largest = limits
    side = length / tokens
    # Whole pixels, where there are any, keep the edges of the cells sharp.
    return max(smallest, min(largest, side if side < 1 else side // 1))


def _color(labels: Labels) -> alt.Color:
    stops = [stop / (len(COLORS) - 1) for stop in range(len(COLORS))]
    # The default way between two colours goes by hue, of which white has none: 0 would be yellow.
    scale = alt.Scale(domain=stops, range=list(COLORS), interpolate="rgb")
    ticks = [0, 0.25, 0.5, 0.75, 1]
    legend = alt.Legend(title=labels.weight, values=ticks, format=".2~f", gradientLength=160)
    return alt.Color("weight:Q", scale=scale, legend=legend)


def _numbered(name: str) -> alt.Header:
    return alt.Header(labelExpr=_nth(name, "datum.value"), labelFontSize=12, labelFontWeight="bold")


def _token_axis(
    title: str, tokens: str, cell: float, orient: Literal["top", "left"], count: int | None = None
) -> alt.Axis:
    """Return an axis with a token at each cell, ``cell`` pixels wide.

    ``tokens`` is an expression for the list of them. With their ``count``, the axis is one of lengths
    rather than of cells, and where a cell is too small for letters only every second, third, ... token
    stands there.
    """
    smallest, largest = LETTERS
    size = max(smallest, min(largest, 0.85 * cell))
    every = math.ceil(size / cell)
    return alt.Axis(
        title=title,
        values=alt.Undefined if count is None else [index + 0.5 for index in range(0, count, every)],
        labelExpr=f"{tokens}[floor(datum.value)]",
        labelAngle=0 if orient == "left" else -60 if cell > 1.5 * size else -90,
        labelFontSize=size,
        labelLimit=LABEL_LIMIT,
        labelOverlap=False,
        orient=orient,
        ticks=False,
        domain=False,
        grid=False,
    )


def _nth(name: str, number: str) -> str:
    """Return the expression for ``name`` with the expression ``number`` in place of its ``#``."""
    return f"replace({_literal(name)}, '#', {number})"


def _literal(
    value: str | Sequence[str] | Mapping[AttentionKind, str] | Mapping[AttentionKind, Sequence[str]],
) -> str:
    """Return ``value`` in the Vega expression language, of which JSON is a part."""
    return f"({json.dumps(value, ensure_ascii=False)})"
