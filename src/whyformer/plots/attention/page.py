"""The attention page of one sentence: how sure each token was, and who attends to whom in every head."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import get_args

import numpy as np

from whyformer.plots.attention.bitmap import COLORS, DARK_COLORS, STOPS
from whyformer.plots.attention.labels import WORDS, PageWords, Words
from whyformer.plots.attention.map import (
    AttentionKind,
    AttentionMap,
    WrittenToken,
    log_probability,
    telling,
)
from whyformer.plots.attention.picture import Groups, Opened, draw_sheet
from whyformer.plots.attention.tokens import column_labels, percent, row_labels, token_label
from whyformer.plots.chart import FONT, HTML_LANG, Language, save_both, script_json, svg_to_png
from whyformer.plots.glyphs import missing_glyphs

_BY_LIGHT = re.compile(r"\[(.+?)\|(.+?)\]")
PLACES: tuple[AttentionKind, ...] = get_args(AttentionKind)[::-1]
"""In the order in which they are shown: cross-attention tells most of a translation."""

_MANY = 12
"""Tokens above which a phone shows only the likeliest other token of each."""


@dataclass(frozen=True, kw_only=True)
class AttentionPage:
    """One sentence, shown twice: a page that needs no network, and a picture to print."""

    page: str
    """The HTML."""
    picture: str
    """The SVG that the PNG is made of."""
    note: str | None = None
    """A sentence on what the picture cannot show on this machine."""

    def html(self) -> str:
        """Return the page; its style, script and data are inside."""
        return self.page

    def png(self) -> bytes:
        """Return the picture."""
        return svg_to_png(self.picture)

    def save(self, folder: Path) -> tuple[Path, Path]:
        """Write ``attention.html`` and ``attention.png`` into ``folder``, made if missing; return both paths.

        Raises:
            WhyformerError: the folder cannot be written to, or the disk is full.
        """
        return save_both(folder, "attention", self.html(), self.png())


def attention_page(
    maps: Sequence[AttentionMap],
    *,
    source: str,
    translation: str | None = None,
    written: Sequence[WrittenToken] = (),
    lang: Language = "en",
) -> AttentionPage:
    """Return the page and the picture of one sentence, to be saved as ``attention.html`` and ``.png``.

    The page opens one head at a time, large, beside an overview of all heads of its place; at first the
    head of the cross-attention whose rows differ most. The picture shows that head of every place with its
    tokens, and all others small. Weights are rounded to three digits.

    Args:
        maps: the layers of each place, over the same tokens; in any order.
        source: the sentence as text.
        translation: its translation as text; None for a model that does not translate.
        written: how likely each token of the translation was.
        lang: the language of everything but the tokens.

    Raises:
        ValueError: there is no map, or two maps of one place differ in tokens or have the same layer.
    """
    words, groups = WORDS[lang], _by_place(maps)
    opened: dict[AttentionKind, Opened] = {place: _opened(group) for place, group in groups.items()}
    text = [source, "" if translation is None else translation]
    tokens = [token for map_ in maps for token in (*map_.queries, *map_.keys, *(map_.written or ()))]
    rivals = [each.token for token in written for each in token.others]
    own = [words.labels.characters(), words.picture.characters()]
    missing = missing_glyphs([*text, *tokens, *rivals, *own])
    note = words.page.unreadable.format(characters=_some(missing)) if missing else None
    heading = source if translation is None else f"{source} → {translation}"
    values = {
        "lang": HTML_LANG[lang],
        "title": escape(heading),
        "style": Template(_asset("page.css")).substitute(font=FONT),
        # The language of the sentence is unknown; it is not that of the page.
        "heading": f'<span lang="">{escape(heading)}</span>',
        "facts": _opening(words.page, groups),
        "strip": _strip(written, words, lang) if written else "",
        "weight": escape(words.picture.weight),
        "overview": escape(words.page.overview),
        "reading": _BY_LIGHT.sub(
            r'<span class="day">\1</span><span class="night">\2</span>', escape(words.page.reading)
        ),
        "table": escape(words.page.table),
        "note": f'<p class="note">{escape(note)}</p>' if note else "",
        "data": script_json(_data(groups, opened, words, lang)),
        "script": _asset("page.js"),
    }
    return AttentionPage(
        page=Template(_asset("page.html")).substitute(values),
        picture=draw_sheet(groups, opened, (source, translation), written, lang, missing),
        note=note,
    )


def _by_place(maps: Sequence[AttentionMap]) -> Groups:
    if not maps:
        raise ValueError("There is no attention to show: give at least one AttentionMap.")
    groups: dict[AttentionKind, list[AttentionMap]] = {}
    for map_ in sorted(maps, key=lambda map_: (PLACES.index(map_.place), map_.layer)):
        groups.setdefault(map_.place, []).append(map_)
    for place, group in groups.items():
        if len({map_.layer for map_ in group}) < len(group):
            raise ValueError(f"{place}: two maps have the same layer.")
        if any((map_.queries, map_.keys) != (group[0].queries, group[0].keys) for map_ in group):
            raise ValueError(f"{place}: all layers must have the same query tokens and the same key tokens.")
    return groups


def _opened(group: Sequence[AttentionMap]) -> Opened:
    """The head whose rows differ most, the first of equals."""
    heads = [(index, head) for index, map_ in enumerate(group) for head in range(len(map_.array()))]
    return Opened(*max(heads, key=lambda at: telling(group[at[0]].array()[at[1]])))


def _opening(words: PageWords, groups: Groups) -> str:
    several = sum(len(map_.array()) for map_ in groups.get("cross", ())) > 1
    return f'<p class="soft">{escape(words.opened)}</p>' if several else ""


def _strip(written: Sequence[WrittenToken], words: Words, lang: Language) -> str:
    items = "".join(_token_item(token, words, lang) for token in written)
    sure = words.picture.sure.replace("#", log_probability(written))
    heading = f"<h2>{escape(words.picture.strip)}</h2>\n<p>{escape(sure)}</p>"
    kind = "strip many" if len(written) > _MANY else "strip"
    return f'{heading}\n<ol class="{kind}">{items}</ol>'


def _token_item(token: WrittenToken, words: Words, lang: Language) -> str:
    bar = f'<span class="bar"><i style="width:{100 * min(1.0, token.probability):.1f}%"></i></span>'
    others: list[str] = []
    for rank, other in enumerate(token.others):
        likelier = rank == 0 and other.probability > token.probability
        said = f"{token_label(other.token, lang)} {percent(other.probability)}"
        others.append(
            f'<small class="rival">{escape(words.picture.rather)}<i lang="">{escape(said)}</i></small>'
            if likelier
            else f'<small lang="">{escape(said)}</small>'
        )
    label = escape(token_label(token.token, lang))
    return f'<li>{bar}<b lang="">{label}</b><span>{percent(token.probability)}</span>{"".join(others)}</li>'


def _data(
    groups: Groups, opened: Mapping[AttentionKind, Opened], words: Words, lang: Language
) -> dict[str, object]:
    """What the script draws: weights in thousandths, row by row."""
    labels, page = words.labels, words.page
    first = opened[next(iter(groups))]
    places = [
        {
            "name": labels.places[place],
            "axes": labels.axes[group[0].written is not None],
            "queries": row_labels(group[0], lang),
            "keys": column_labels(group[0], lang),
            "layers": [
                {
                    "number": map_.layer + 1,
                    "heads": [
                        np.rint(1000 * head.clip(0, 1)).astype(int).ravel().tolist() for head in map_.array()
                    ],
                }
                for map_ in group
            ],
        }
        for place, group in groups.items()
    ]
    return {
        "places": places,
        "open": {"place": 0, "layer": first.layer, "head": first.head},
        "light": COLORS,
        "dark": DARK_COLORS,
        "stops": STOPS,
        "words": {
            "choose": page.choose,
            "mean": page.mean,
            "nth_layer": labels.nth_layer,
            "nth_head": labels.nth_head,
            "every": labels.every,
            "cell": page.cell,
            "silent": page.silent,
            "described": page.described,
        },
    }


def _asset(name: str) -> str:
    return (files("whyformer.plots.attention") / name).read_text(encoding="utf-8")


def _some(characters: frozenset[str]) -> str:
    shown = sorted(characters)
    return " ".join(shown[:8]) + (" …" if len(shown) > 8 else "")
