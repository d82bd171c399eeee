"""Drawings made small, and fit for a page: they take the page's colours and fonts and scale with it."""

import re
from collections.abc import Mapping
from html import escape
from typing import NamedTuple
from xml.etree import ElementTree

from whyformer.why.arms import BLUE, BROWN, GREEN, GREY, OCHRE, PINK, SKY, VERMILION
from whyformer.why.book.numbers import compact

CHART_INK, CHART_SOFT, CHART_LINE, CHART_GRID, CHART_GROUND = (
    "#1f2328",
    "#57606a",
    "#b9bfc8",
    "#e4e7ec",
    "#ffffff",
)
"""Colours of a drawing's text, of its lesser text, frames, grid and paper; no arm has any of them."""
HATCHED = "#fedcba"
"""Stands for hatching, where a number is missing."""
CHART_FONT_SIZE = 13
"""Of all text, so that it is legible where a drawing is made as narrow as a phone."""

VARIABLES: Mapping[str, str] = {
    CHART_INK: "ink", CHART_SOFT: "soft", CHART_LINE: "line", CHART_GRID: "grid", CHART_GROUND: "ground",
    BLUE: "blue", VERMILION: "vermilion", GREEN: "green", PINK: "pink",
    OCHRE: "ochre", SKY: "sky", GREY: "grey", BROWN: "brown",
}  # fmt: skip
"""LineNames in the style sheet, where each colour has a shade for light and one for dark pages."""

_NAMESPACE = "{http://www.w3.org/2000/svg}"
_NUMBER = re.compile(r"-?\d*\.\d+(?:e-?\d+)?|-?\d+(?:\.\d+)?(?:e-?\d+)?")
_UNSEEN = frozenset({"class", "role", "pointer-events", "text-rendering", "font-family", "style"})
_MOVED = re.compile(r"translate\((-?[\d.]+),(-?[\d.]+)\)")
_INHERITED = frozenset({"fill", "stroke", "stroke-width", "text-anchor", "font-weight", "stroke-dasharray"})
_DOT = re.compile(r"M([\d.]+),0A\1,\1,0,1,1,-\1,0A")
_COORDINATES = frozenset({"transform", "x", "y", "x1", "x2", "y1", "y2", "width", "height"})
# What the attributes mean where they are missing.
_DEFAULTS = {
    ("stroke-miterlimit", "10"), ("opacity", "1"), ("fill-opacity", "1"),
    ("font-size", f"{CHART_FONT_SIZE}px"),
    ("stroke-opacity", "1"), ("text-anchor", "start"), ("stroke-width", "1"), ("transform", "translate(0,0)"),
    ("font-weight", "normal"), ("stroke-dasharray", ""), ("stroke-dasharray", "1,0"),
    ("stroke-linecap", "butt"), ("stroke", "none"),
}  # fmt: skip


def hatching(name: str) -> str:
    """The pattern that a drawing with missing numbers needs."""
    return (
        f'<pattern id="{name}" width="6" height="6" patternUnits="userSpaceOnUse" '
        f'patternTransform="rotate(45)"><path d="M0,0V6" stroke="{CHART_LINE}" stroke-width="2"/></pattern>'
    )


def inline(svg: str, name: str, title: str, description: str) -> str:
    """The drawing as a part of a page, where ``name`` makes its ids unique."""
    root = ElementTree.fromstring(svg)
    width, height = (float(root.attrib[side]) for side in ("width", "height"))
    body = _shape(root).inside
    hatched = HATCHED in body
    body = body.replace(f'"{HATCHED}"', f'"url(#{name}-h)"')
    defs = f"<defs>{hatching(f'{name}-h')}</defs>" if hatched else ""
    shown = colored(defs + body)
    return (
        f'<svg class="chart" viewBox="0 0 {width:.0f} {height:.0f}" style="max-width:{width * 1.3:.0f}px" '
        f'font-size="{CHART_FONT_SIZE}" role="img" aria-labelledby="{name}-t {name}-d">'
        f'<title id="{name}-t">{escape(title)}</title>'
        f'<desc id="{name}-d">{escape(description)}</desc>{shown}</svg>'
    )


def colored(markup: str) -> str:
    """The same with colours that change between light and dark pages."""
    for color, name in VARIABLES.items():
        markup = markup.replace(f'"{color}"', f'"var(--{name})"')
    return markup


def bare(svg: str) -> str:
    """A small drawing without words, beside words that say the same."""
    root = ElementTree.fromstring(svg)
    width, height = (float(root.attrib[side]) for side in ("width", "height"))
    body = colored(_shape(root).inside.replace(f'"{HATCHED}"', f'"{CHART_GRID}"'))
    return (
        f'<svg class="thumb" viewBox="0 0 {width:.0f} {height:.0f}" aria-hidden="true" '
        f'focusable="false">{body}</svg>'
    )


def alone(svg: str, fonts: str) -> str:
    """The drawing as a small file of its own, on paper, with its words in one of ``fonts``."""
    root = ElementTree.fromstring(svg)
    width, height = (float(root.attrib[side]) for side in ("width", "height"))
    body = _shape(root).inside.replace(f'"{HATCHED}"', '"url(#h)"')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'font-size="{CHART_FONT_SIZE}" font-family="{fonts}"><defs>{hatching("h")}</defs>{body}</svg>\n'
    )


class _Shape(NamedTuple):
    """An element to be written."""

    tag: str
    look: dict[str, str]
    inside: str = ""

    def text(self) -> str:
        """The element, if there is anything to see."""
        if not self.inside and (self.tag in ("g", "text") or (self.tag == "path" and not self.look.get("d"))):
            return ""
        if self.tag == "g" and not self.look:
            return self.inside
        written = "".join(f' {name}="{escape(value)}"' for name, value in self.look.items())
        return (
            f"<{self.tag}{written}>{self.inside}</{self.tag}>" if self.inside else f"<{self.tag}{written}/>"
        )


def _shape(node: ElementTree.Element) -> _Shape:
    """An element without whatever cannot be seen."""
    tag = node.tag.removeprefix(_NAMESPACE)
    path = _path(node)
    if path is not None:
        return path
    look = _kept(node)
    if tag == "text" and len(node) == 0:
        look = _moved_text(look)
    if tag in ("text", "tspan"):
        words = escape((node.text or "").strip(), quote=False)
        return _Shape(tag, look, words + "".join(_shape(child).text() for child in node))
    common, inside = _children(node)
    return _Shape(tag, {**look, **common}, inside)


def _children(node: ElementTree.Element) -> tuple[dict[str, str], str]:
    """Look that all children have, which is said once, and the children.

    Neighbours that look alike become one path.
    """
    shapes: list[_Shape] = []
    for shape in map(_shape, node):
        last = shapes[-1] if shapes else None
        if last is not None and last.tag == shape.tag == "path" and _rest(last) == _rest(shape):
            shapes[-1] = _Shape("path", {**last.look, "d": last.look["d"] + shape.look["d"]})
        elif shape.text():
            shapes.append(shape)
    common: dict[str, str] = {}
    if len(shapes) > 2 and all(shape.tag in ("path", "text") for shape in shapes):
        shared = set[tuple[str, str]].intersection(*({*shape.look.items()} for shape in shapes))
        common = {name: value for name, value in sorted(shared) if name in _INHERITED}
        # The style sheet knows words of other colours by theirs.
        if shapes[0].tag == "text" and common.get("fill") not in (CHART_INK, CHART_SOFT):
            common.pop("fill", None)
    kept = [
        shape._replace(look={name: value for name, value in shape.look.items() if name not in common})
        for shape in shapes
    ]
    return common, "".join(shape.text() for shape in kept)


def _rest(shape: _Shape) -> dict[str, str]:
    return {name: value for name, value in shape.look.items() if name != "d"}


def _moved_text(look: dict[str, str]) -> dict[str, str]:
    moved = _MOVED.fullmatch(look.get("transform", ""))
    if moved is None or "x" in look:
        return look
    rest = {name: value for name, value in look.items() if name != "transform"}
    return {"x": moved[1], "y": moved[2], **rest}


def _path(node: ElementTree.Element) -> _Shape | None:
    """A line, curve or dot as a path, an empty one if it is unseen; None for other elements."""
    tag = node.tag.removeprefix(_NAMESPACE)
    look = _kept(node)
    moved = _MOVED.fullmatch(look.pop("transform", "translate(0,0)"))
    if tag not in ("line", "path") or moved is None:
        return None
    x, y = float(moved[1]), float(moved[2])
    if tag == "line":
        x_to, y_to = float(look.pop("x2", 0)), float(look.pop("y2", 0))
        return _Shape("path", {"d": f"M{compact(x)},{compact(y)}l{compact(x_to)},{compact(y_to)}", **look})
    path = look.pop("d", "")
    if look.get("fill", "none") == "none" and "stroke" not in look:
        return _Shape("path", {"d": ""})
    dot = _DOT.match(path)
    if dot is not None and "fill" in look:
        look = {"stroke": look["fill"], "stroke-width": compact(2 * float(dot[1])), "stroke-linecap": "round"}
        return _Shape("path", {"d": f"M{compact(x)},{compact(y)}h0", **look})
    return _Shape("path", {"d": path, **look}) if x == y == 0 else None


def _kept(node: ElementTree.Element) -> dict[str, str]:
    return {
        name: _rounded(name, value)
        for name, value in node.attrib.items()
        if name not in _UNSEEN and not name.startswith("aria-") and (name, value) not in _DEFAULTS
    }


def _rounded(name: str, value: str) -> str:
    if name == "d":
        return _relative(value)
    if name not in _COORDINATES:
        return value
    return _NUMBER.sub(lambda found: compact(float(found[0])), value)


def _relative(path: str) -> str:
    """A path of straight lines, each point told from the one before: that takes half the letters.

    >>> _relative("M0,0L10.04,5.51L20,4"), _relative("M0,0h5v5Z")
    ('M0,0l10,5.5l10-1.5', 'M0,0h5v5Z')
    """
    rounded = _NUMBER.sub(lambda found: compact(float(found[0])), path)
    if not re.fullmatch(r"(?:[ML]-?[\d.]+,-?[\d.]+)+", rounded):
        return rounded
    x = y = 0.0
    parts: list[str] = []
    for command, *pair in re.findall(r"([ML])(-?[\d.]+),(-?[\d.]+)", rounded):
        to_x, to_y = map(float, pair)
        if command == "M":
            parts.append(f"M{pair[0]},{pair[1]}")
        else:
            across, down = compact(to_x - x), compact(to_y - y)
            parts.append(f"l{across}{'' if down.startswith('-') else ','}{down}")
        x, y = to_x, to_y
    return "".join(parts)
