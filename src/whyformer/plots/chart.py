"""A chart as a page and as a picture: the offline HTML, the PNG, and the look they share."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from string import Template
from typing import Literal

from whyformer.files import write_bytes, write_text

Language = Literal["en", "zh"]
VegaLite = Mapping[str, object]
"""A chart in the Vega-Lite grammar, as ``altair``'s ``to_dict()`` returns it."""

# Of the page; the charts take the system's own sans-serif, with which the PNG renderer finds glyphs too.
FONT = "'Helvetica Neue', Arial, 'Noto Sans CJK SC', 'PingFang SC', 'Microsoft YaHei', sans-serif"

THEME: VegaLite = {
    "font": "sans-serif",
    "background": "white",
    "padding": 12,
    "view": {"stroke": "#d0d0d0"},
    "axis": {"labelColor": "#333", "titleColor": "#555", "titleFontWeight": "normal", "gridColor": "#ececec"},
    "header": {"labelColor": "#333", "titleColor": "#555", "titleFontWeight": "normal"},
    "legend": {"labelColor": "#333", "titleColor": "#555", "titleFontWeight": "normal"},
    "title": {"color": "#111", "subtitleColor": "#444", "anchor": "start", "fontSize": 14},
}

SVG_SIZE = re.compile(r'^<svg [^>]*width="(\d+)" height="(\d+)"')
MOST_PIXELS = 60e6  # a quarter of a gigabyte while it is drawn
PIXEL_RATIO = 1.5  # of the picture to the page: letters of 7 pixels can still be read

PAGE = Template("""\
<!DOCTYPE html>
<html lang="$lang">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$heading</title>
<style>
  body { font: 16px/1.5 $font; color: #222; margin: 2rem auto; padding: 0 1.5rem; max-width: 84rem; }
  h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .75rem; }
  p { max-width: 50rem; margin: .4rem 0; }
  .note { color: #8a4b00; }
  /* Vega appends the control declared first last. */
  #controls { display: flex; flex-flow: row-reverse wrap; justify-content: flex-end; gap: .5rem 1.5rem; }
  #controls:not(:empty) { margin: 1rem 0 .5rem; }
  #controls label { display: flex; gap: .5rem; align-items: center; }
  #controls select { font: inherit; padding: .15rem .4rem; }
  #chart { overflow-x: auto; width: 100%; }
</style>
<script>$library</script>
</head>
<body>
<h1>$heading</h1>
$paragraphs
<div id="controls"></div>
<div id="chart"></div>
<script>
  vegaEmbed("#chart", $chart, $options).catch(console.error);
</script>
</body>
</html>
""")


@dataclass(frozen=True, kw_only=True)
class Page:
    """One subject, shown twice: an interactive page that works offline, and a picture to print."""

    stem: str
    """Name of the files without suffix."""
    lang: Language
    """The language of the text, for the browser."""
    heading: str
    """Title of the page."""
    paragraphs: tuple[str, ...]
    """Plain sentences between heading and chart."""
    interactive: VegaLite
    """The chart of the page. Controls bound to the element ``#controls`` stand above it."""
    still: VegaLite
    """The chart of the picture."""
    note: str | None = None
    """A sentence on what the picture cannot show on this machine, such as missing fonts."""

    def html(self) -> str:
        """Return the page; its JavaScript is inside, about 0.9 MB, and it asks no server for anything."""
        notes = [f'<p class="note">{escape(self.note)}</p>'] if self.note else []
        return PAGE.substitute(
            lang=self.lang,
            heading=escape(self.heading),
            font=FONT,
            library=_library(),
            paragraphs="\n".join([f"<p>{escape(text)}</p>" for text in self.paragraphs] + notes),
            chart=_script_json(_themed(self.interactive)),
            options=_script_json(EMBED_OPTIONS | {"downloadFileName": self.stem}),
        )

    def png(self) -> bytes:
        """Return the picture."""
        return draw_png(self.still)

    def save(self, folder: Path) -> tuple[Path, Path]:
        """Write ``<stem>.html`` and ``<stem>.png`` into ``folder``, made if missing; return both paths.

        Raises:
            WhyformerError: the folder cannot be written to, or the disk is full.
        """
        page, picture = folder / f"{self.stem}.html", folder / f"{self.stem}.png"
        write_text(page, self.html())
        write_bytes(picture, self.png())
        return page, picture


# No link to the online editor: the page must not offer what needs a network.
EMBED_OPTIONS: dict[str, object] = {
    "mode": "vega-lite",
    "renderer": "canvas",
    "actions": {"export": True, "source": False, "compiled": False, "editor": False},
}


def draw_png(chart: VegaLite) -> bytes:
    """Return ``chart`` as a PNG with ``PIXEL_RATIO`` times the pixels of the page, unless that is huge."""
    import vl_convert

    svg = vl_convert.vegalite_to_svg(json.dumps(_themed(chart)), allowed_base_urls=[])
    width, height = (int(side) for side in SVG_SIZE.findall(svg)[0])
    return vl_convert.svg_to_png(svg, scale=min(PIXEL_RATIO, math.sqrt(MOST_PIXELS / (width * height))))


def _themed(chart: VegaLite) -> dict[str, object]:
    return {**chart, "config": THEME}


def _script_json(value: Mapping[str, object]) -> str:
    # Inside <script>, HTML still ends the element at "</script>", whatever string it stands in.
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


@cache
def _library() -> str:
    """Return Vega, Vega-Lite and vegaEmbed in one script (the first call takes about 2 s)."""
    import vl_convert

    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;").replace("</script", "<\\/script")
