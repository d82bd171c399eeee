"""The attention page: a page that needs no network, and a picture that shows no empty boxes."""

import json
import re
import struct
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vl_convert
from whyformer.plots.attention_map import AttentionKind, AttentionMap

from whyformer.errors import WhyformerError
from whyformer.plots import attention
from whyformer.plots.attention import PLACES, attention_page
from whyformer.plots.chart import Page

SOURCE, TARGET = ["the", "</script>", "sat", "</s>"], ["<s>", "die", "猫"]


def maps(layers: int = 2, heads: int = 3) -> list[AttentionMap]:
    """Random attention of a small model, in an order that is not that of the page."""
    rng = np.random.default_rng(1)

    def layer_map(place: AttentionKind, layer: int) -> AttentionMap:
        queries = SOURCE if place == "encoder self" else TARGET
        keys = TARGET if place == "decoder self" else SOURCE
        weights = rng.dirichlet(np.ones(len(keys)), size=(heads, len(queries)))
        return AttentionMap(place, layer, weights, queries, keys)

    return [layer_map(place, layer) for layer in reversed(range(layers)) for place in reversed(PLACES)]


def page(**changes: Any) -> Page:
    settings: dict[str, Any] = {"source": "the <b>cat", "translation": "die 猫", "lang": "en", **changes}
    return attention_page(maps(), "A title & more", **settings)


def size(png: bytes) -> tuple[int, int]:
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", png[16:24])


class Reader(HTMLParser):
    """The text outside scripts, the number of scripts, and every address that a browser would load."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text, self.scripts, self.addresses = "", 0, list[str]()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "data")]

    def handle_data(self, data: str) -> None:
        if self.cdata_elem is None:
            self.text += data


def test_both_files_are_written_and_the_page_needs_no_network(tmp_path: Path) -> None:
    files = page().save(tmp_path / "new" / "folder")
    assert [file.name for file in files] == ["attention.html", "attention.png"]
    html = Reader(files[0].read_text(encoding="utf-8"))
    assert html.addresses == []
    assert html.scripts == 2  # the token "</script>" has not ended one
    assert "Source: the <b>cat" in html.text
    assert "Translation: die 猫" in html.text
    assert "A title & more" in html.text
    assert re.search(r"url\(|@import", html.text) is None
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == [f.name for f in files]


def test_the_picture_has_room_for_every_head() -> None:
    small, large = (size(attention_page(maps(*shape), "t", source="s").png()) for shape in ((1, 3), (3, 6)))
    assert large[0] > 1.3 * small[0] > 300
    assert large[1] > 1.3 * small[1] > 300


def test_place_layer_and_head_are_chosen_in_lists_and_the_latter_two_by_a_click() -> None:
    chart: Any = page().interactive
    controls = {param["name"]: param for param in chart["params"]}
    place = controls["place"]["bind"]
    assert place["options"] == ["encoder self", "decoder self", "cross"]
    assert place["labels"][2] == "cross-attention"
    assert controls["layer"]["bind"]["options"] == [1, 2]
    assert controls["head"]["bind"]["options"] == [1, 2, 3]
    assert controls["layer"]["select"]["on"] == controls["head"]["select"]["on"] == "click"
    assert all(control["bind"]["element"] == "#controls" for control in controls.values())
    signals = {signal["name"] for signal in vl_convert.vegalite_to_vega(chart)["signals"]}
    assert {"place", "layer", "head"} <= signals


def test_the_page_carries_every_weight_to_three_digits() -> None:
    chart: Any = page().interactive
    rows = {(row["place"], row["layer"], row["head"]): row for row in chart["datasets"]["weights"]}
    assert len(rows) == 3 * 2 * 3
    for map_ in maps():
        for head, weights in enumerate(map_.array(), start=1):
            row = rows[map_.place, map_.layer + 1, head]
            assert row["keys"] == len(map_.keys)
            np.testing.assert_allclose(np.reshape(row["weights"], weights.shape), weights, atol=5.1e-4)


def test_a_cell_tells_its_tokens_and_its_weight() -> None:
    detail: Any = page().interactive["hconcat"]
    titles = [channel["title"] for channel in detail[1]["encoding"]["tooltip"]]
    assert titles == ["query (reads)", "key (is read)", "weight"]
    assert detail[1]["encoding"]["color"]["scale"]["domain"][::6] == [0, 1]


def test_a_long_sentence_does_not_need_a_larger_picture() -> None:
    tokens, weights = ["word"] * 300, np.full((2, 300, 300), 1 / 300)
    width, height = size(
        attention_page([AttentionMap("encoder self", 0, weights, tokens, tokens)], "t", source="s").png()
    )
    assert 600 < width < 1200
    assert 300 < height < 1000


def test_missing_fonts_are_told_and_nothing_of_theirs_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_chinese(texts: list[str]) -> frozenset[str]:
        return frozenset(character for text in texts for character in text if character >= "\u2e80")

    monkeypatch.setattr(attention, "missing_glyphs", no_chinese)
    chinese = page(lang="zh")
    assert chinese.note is not None
    assert "Noto Sans CJK" in chinese.note
    assert "请安装" in Reader(chinese.html()).text
    shown = json.dumps(chinese.still, ensure_ascii=False)
    assert "encoder self-attention" in shown
    assert '\\"#3\\"' in shown
    assert "#3 is the third token" in shown
    assert not no_chinese([shown])


def test_no_note_without_need(monkeypatch: pytest.MonkeyPatch) -> None:
    def everything(texts: list[str]) -> frozenset[str]:
        return frozenset()

    monkeypatch.setattr(attention, "missing_glyphs", everything)
    complete = page(lang="zh")
    assert complete.note is None
    shown = json.dumps(complete.still, ensure_ascii=False)
    assert "编码器自注意力" in shown
    assert "译文：die 猫" in shown
    assert 'lang="zh"' in complete.html()


def test_plain_lists_and_one_place_are_enough() -> None:
    one = AttentionMap("decoder self", 0, [[[1.0, 0.0], [0.5, 0.5]]], ["a", "\n"], ["a", "\n"])
    alone = attention_page([one], "t", source="a")
    assert "Translation" not in Reader(alone.html()).text
    assert size(alone.png())[0] > 100
    assert "␊" in json.dumps(alone.interactive, ensure_ascii=False)


def test_a_map_that_does_not_fit_its_tokens_is_refused() -> None:
    with pytest.raises(ValueError, match=r"cross, layer 1: weights of shape \(1, 2\) do not fit 1 queries"):
        AttentionMap("cross", 1, [[0.5, 0.5]], ["a"], ["b", "c"])
    with pytest.raises(ValueError, match="do not fit 0 queries"):
        AttentionMap("cross", 1, np.zeros((1, 0, 2)), [], ["b", "c"])
    for wrong in (-0.1, 1.1, np.nan):
        with pytest.raises(ValueError, match=r"must lie in 0\.\.1"):
            AttentionMap("cross", 1, [[[wrong]]], ["a"], ["b"])


def test_maps_that_do_not_belong_together_are_refused() -> None:
    one = AttentionMap("cross", 0, [[[1.0]]], ["a"], ["b"])
    other = AttentionMap("cross", 1, [[[1.0]]], ["a"], ["c"])
    with pytest.raises(ValueError, match="at least one AttentionMap"):
        attention_page([], "t", source="s")
    with pytest.raises(ValueError, match="cross: two maps have the same layer"):
        attention_page([one, one], "t", source="s")
    with pytest.raises(ValueError, match="cross: all layers must have the same query tokens"):
        attention_page([one, other], "t", source="s")


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(WhyformerError, match="file"):
        page().save(tmp_path / "file" / "folder")
