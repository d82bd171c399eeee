"""The attention page of one sentence: every layer and head, who reads whom."""

from collections.abc import Sequence
from dataclasses import replace
from textwrap import wrap
from typing import get_args

from whyformer.plots.attention_labels import ENGLISH, WORDS, Labels
from whyformer.plots.attention_map import AttentionKind, AttentionMap
from whyformer.plots.chart import Language, Page, VegaLite
from whyformer.plots.glyphs import drawable, missing_glyphs, visible
from whyformer.plots.heat_map import Groups, interactive_chart, still_chart

LINE = 110  # characters of a line of text in the picture
PLACES: tuple[AttentionKind, ...] = get_args(AttentionKind)


def attention_page(
    maps: Sequence[AttentionMap],
    title: str,
    *,
    source: str,
    translation: str | None = None,
    lang: Language = "en",
) -> Page:
    """Return the page and the picture of one sentence, to be saved as ``attention.html`` and ``.png``.

    The page opens one head at a time, large, beside an overview of all heads of its place. The picture
    shows every head of every place. Weights are rounded to three digits.

    Args:
        maps: the layers of each place, over the same tokens; in any order.
        title: the heading.
        source: the sentence as text.
        translation: its translation as text; None for a model that does not translate.
        lang: the language of everything but the tokens.

    Raises:
        ValueError: there is no map, or two maps of one place differ in tokens or have the same layer.
    """
    words = WORDS[lang]
    lines = [words.source + source]
    if translation is not None:
        lines.append(words.translation + translation)
    groups = _by_place([_labelled(map_) for map_ in maps])
    tokens = [token for map_ in maps for token in (*map_.queries, *map_.keys)]
    missing = missing_glyphs([title, *lines, *tokens, words.labels.characters()])
    return Page(
        stem="attention",
        lang=lang,
        heading=title,
        paragraphs=(*lines, words.reading),
        interactive=interactive_chart(groups, words),
        still=_still(groups, words.labels, title, lines, missing),
        note=words.unreadable.format(characters=_some(missing)) if missing else None,
    )


def _labelled(map_: AttentionMap) -> AttentionMap:
    queries, keys = ([visible(token) for token in tokens] for tokens in (map_.queries, map_.keys))
    return replace(map_, queries=queries, keys=keys)


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


def _still(
    groups: Groups, labels: Labels, title: str, lines: Sequence[str], missing: frozenset[str]
) -> VegaLite:
    """Return the picture, in which nothing needs a ``missing`` character."""
    if not missing.isdisjoint(labels.characters()):
        labels = ENGLISH.labels
    legible = [line for line in lines if missing.isdisjoint(line)]
    tokens = [token for maps in groups.values() for token in (*maps[0].queries, *maps[0].keys)]
    if not missing.isdisjoint("".join(tokens)):
        legible.append(labels.numbered)
    wrapped = [part for line in legible for part in wrap(line, LINE)]
    drawn: Groups = {place: [_numbered(map_, missing) for map_ in maps] for place, maps in groups.items()}
    return still_chart(drawn, labels, title if missing.isdisjoint(title) else labels.attention, wrapped)


def _numbered(map_: AttentionMap, missing: frozenset[str]) -> AttentionMap:
    return replace(map_, queries=drawable(map_.queries, missing), keys=drawable(map_.keys, missing))


def _some(characters: frozenset[str]) -> str:
    shown = sorted(characters)
    return " ".join(shown[:8]) + (" …" if len(shown) > 8 else "")
