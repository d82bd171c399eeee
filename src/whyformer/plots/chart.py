"""A chart as a page and as a picture: the offline HTML, the PNG, and the look they share."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any, Literal, NamedTuple

from whyformer.errors import WhyformerError
from whyformer.files import check_writable, write_bytes, write_text

Language = Literal["en", "zh"]
HTML_LANG: Mapping[Language, str] = {"en": "en", "zh": "zh-CN"}
"""Tags of the languages, for the browser."""
VegaLite = Mapping[str, object]
"""A chart in the Vega-Lite grammar, as ``altair``'s ``to_dict()`` returns it."""

LATIN_FONTS = "'Liberation Sans', Arial, Helvetica, sans-serif"
CHINESE_FONTS = (
    "'Noto Sans CJK SC', 'Source Han Sans SC', 'Noto Sans SC', 'PingFang SC', 'Microsoft YaHei', "
    "'WenQuanYi Micro Hei', 'WenQuanYi Zen Hei', sans-serif"
)
"""By name: what a renderer takes for a plain sans-serif may be a font with serifs."""
FONT = f"'Helvetica Neue', Arial, 'Liberation Sans', {CHINESE_FONTS}"
"""Of pages: a browser chooses for each character."""

INK = "#222"
"""Colour of lines and shapes that are drawn as text is."""


def _theme(text: str, soft: str, line: str, grid: str, ink: str) -> dict[str, Any]:
    titles = {"labelColor": text, "titleColor": soft, "titleFontWeight": "normal"}
    sizes = {"labelFontSize": 12, "titleFontSize": 12}
    return {
        "padding": 12,
        "view": {"stroke": line},
        "axis": {**titles, **sizes, "gridColor": grid, "domainColor": line, "tickColor": line},
        "header": titles,
        "legend": {**titles, **sizes},
        "title": {"color": text, "subtitleColor": soft, "anchor": "start", "fontSize": 14},
        "style": {"ink": {"color": ink, "fill": ink, "stroke": ink}},
        "text": {"color": text},
    }


THEME: VegaLite = {"background": "white", **_theme("#333", "#55585f", "#d0d0d0", "#ececec", INK)}
DARK_THEME: VegaLite = {
    "background": "transparent",
    **_theme("#e2e5ea", "#b3b8c2", "#4a4e57", "#2a2e35", "#f0f0f0"),
}

SVG_SIZE = re.compile(r'^<svg [^>]*width="(\d+)" height="(\d+)"')
MOST_PIXELS = 60e6  # a quarter of a gigabyte while it is drawn
_OTHER_PICTURES = (".svg", ".pdf", ".jpg", ".jpeg", ".gif", ".webp", ".htm", ".json")
PIXEL_RATIO = 1.5  # of the picture to the page: letters of 7 pixels can still be read

_TABLES: Mapping[Language, str] = {"en": "The numbers as tables", "zh": "以表格显示数值"}
_MENU: Mapping[Language, Mapping[str, str]] = {
    "en": {
        "CLICK_TO_VIEW_ACTIONS": "Save the chart",
        "SVG_ACTION": "Save as SVG",
        "PNG_ACTION": "Save as PNG",
    },
    "zh": {"CLICK_TO_VIEW_ACTIONS": "保存图表", "SVG_ACTION": "保存为 SVG", "PNG_ACTION": "保存为 PNG"},
}


class Table(NamedTuple):
    """Numbers of a chart as text, for whoever cannot see or point at it."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    """The first of each names the row."""

    def html(self) -> str:
        """Return the table."""
        head = "".join(f'<th scope="col">{escape(name)}</th>' for name in self.header)
        body = "".join(
            f'<tr><th scope="row">{escape(first)}</th>'
            + "".join(f"<td>{escape(cell)}</td>" for cell in cells)
            + "</tr>"
            for first, *cells in self.rows
        )
        return (
            f'<div class="scroll"><table><caption>{escape(self.caption)}</caption>'
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
        )


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
    """The chart of the page."""
    still: VegaLite
    """The chart of the picture."""
    note: str | None = None
    """A sentence on what the picture cannot show on this machine, such as missing fonts."""
    tables: tuple[Table, ...] = ()
    """The numbers of the chart."""

    def html(self) -> str:
        """Return the page; its JavaScript is inside, about 0.9 MB, and it asks no server for anything."""
        notes = [f'<p class="note">{escape(self.note)}</p>'] if self.note else []
        tables = "\n".join(table.html() for table in self.tables)
        options: dict[str, object] = {
            **EMBED_OPTIONS,
            "downloadFileName": self.stem,
            "i18n": _MENU[self.lang],
        }
        # What a screen reader says of the whole drawing.
        described = {"description": " ".join([self.heading, *self.paragraphs]), **self.interactive}
        return Template(_asset("chart.html")).substitute(
            lang=HTML_LANG[self.lang],
            heading=escape(self.heading),
            font=FONT,
            library=_library(),
            paragraphs="\n".join([f"<p>{escape(text)}</p>" for text in self.paragraphs] + notes),
            tables=f"<details><summary>{_TABLES[self.lang]}</summary>{tables}</details>" if tables else "",
            data=script_json(
                {
                    "chart": described,
                    "options": options,
                    "ink": INK,
                    "themes": {
                        "light": {**THEME, "font": FONT, "background": "transparent"},
                        "dark": {**DARK_THEME, "font": FONT},
                    },
                }
            ),
            script=_asset("chart.js"),
        )

    def png(self) -> bytes:
        """Return the picture."""
        return draw_png(self.still)

    def save_as(self, path: Path) -> tuple[Path, ...]:
        """Write the picture if ``path`` ends in .png, the page if in .html; else both into that folder.

        Raises:
            WhyformerError: ``path`` cannot be written to, or the disk is full.
        """
        if path.suffix.lower() == ".png":
            write_bytes(path, self.png())
        elif path.suffix.lower() == ".html":
            write_text(path, self.html())
        else:
            return self.save(path)
        return (path,)

    def save(self, folder: Path) -> tuple[Path, Path]:
        """Write ``<stem>.html`` and ``<stem>.png`` into ``folder``, made if missing; return both paths.

        Raises:
            WhyformerError: the folder cannot be written to, or the disk is full.
        """
        return save_both(folder, self.stem, self.html(), self.png())


def check_plot_path(path: Path) -> None:
    """Find out whether a picture or page can be saved as ``path``, before work that takes long.

    Raises:
        WhyformerError: it names another kind of file, or its folder cannot be written to.
    """
    suffix = path.suffix.lower()
    if suffix in (".png", ".html"):
        check_writable(path.parent)
        return
    if path.is_file() or suffix in _OTHER_PICTURES:
        raise WhyformerError(f"{path}: name a .png or an .html file, or a folder for both.")
    check_writable(path)


# No link to the online editor: the page must not offer what needs a network. Drawn as SVG, it prints sharply
# and its words are text.
EMBED_OPTIONS: dict[str, object] = {
    "mode": "vega-lite",
    "renderer": "svg",
    "actions": {"export": True, "source": False, "compiled": False, "editor": False},
}


def save_both(folder: Path, stem: str, html: str, png: bytes) -> tuple[Path, Path]:
    """Write a page and its picture into ``folder``, made if missing; return both paths.

    Raises:
        WhyformerError: the folder cannot be written to, or the disk is full.
    """
    page, picture = folder / f"{stem}.html", folder / f"{stem}.png"
    write_text(page, html)
    write_bytes(picture, png)
    return page, picture


def draw_png(chart: VegaLite) -> bytes:
    """Return ``chart`` as a PNG with ``PIXEL_RATIO`` times the pixels of the page, unless that is huge."""
    return svg_to_png(draw_svg(chart))


def draw_svg(chart: VegaLite) -> str:
    """Return ``chart`` as the SVG that its picture is made of."""
    import vl_convert

    text = json.dumps(chart, ensure_ascii=False)
    fonts = CHINESE_FONTS if any(character >= "\u2e80" for character in text) else LATIN_FONTS
    themed = {**chart, "config": {**THEME, "font": fonts}}
    return vl_convert.vegalite_to_svg(json.dumps(themed), allowed_base_urls=[])


def svg_to_png(svg: str) -> bytes:
    """Return ``svg`` as a PNG with ``PIXEL_RATIO`` times its pixels, unless that is huge."""
    import vl_convert

    width, height = (int(side) for side in SVG_SIZE.findall(svg)[0])
    return vl_convert.svg_to_png(svg, scale=min(PIXEL_RATIO, math.sqrt(MOST_PIXELS / (width * height))))


def script_json(value: Mapping[str, object]) -> str:
    """Return ``value`` as JSON that may stand inside of ``<script>``."""
    # HTML ends the element at "</script>", whatever string it stands in.
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def _asset(name: str) -> str:
    return (files("whyformer.plots") / name).read_text(encoding="utf-8")


@cache
def _library() -> str:
    """Return Vega, Vega-Lite and vegaEmbed in one script (the first call takes about 2 s)."""
    import vl_convert

    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;").replace("</script", "<\\/script")
