"""The attention page: a page that needs no network, and a picture that shows no empty boxes."""

import json
import re
import struct
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from whyformer.errors import WhyformerError
from whyformer.plots.attention import page as attention
from whyformer.plots.attention.map import Alternative, AttentionKind, AttentionMap, WrittenToken, telling
from whyformer.plots.attention.page import PLACES, AttentionPage, attention_page
from whyformer.plots.chart import draw_svg

SOURCE, TARGET = ["the", "</script>", "sat", "</s>"], ["<s>", "die", "猫"]


def maps(layers: int = 2, heads: int = 3) -> list[AttentionMap]:
    """Random attention of a small model, in an order that is not that of the page."""
    rng = np.random.default_rng(1)

    def layer_map(place: AttentionKind, layer: int) -> AttentionMap:
        queries = SOURCE if place == "encoder self" else TARGET
        keys = TARGET if place == "decoder self" else SOURCE
        weights = rng.dirichlet(np.ones(len(keys)), size=(heads, len(queries)))
        written = None if place == "encoder self" else [*TARGET[1:], "</s>"]
        return AttentionMap(place, layer, weights, queries, keys, written)

    return [layer_map(place, layer) for layer in reversed(range(layers)) for place in reversed(PLACES)]


def page(**changes: Any) -> AttentionPage:
    settings: dict[str, Any] = {"source": "the <b>cat", "translation": "die 猫", "lang": "en", **changes}
    return attention_page(maps(), **settings)


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
    assert "the <b>cat → die 猫" in html.text
    assert re.search(r"url\(|@import", html.text) is None
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == [f.name for f in files]


def test_the_picture_has_room_for_every_head() -> None:
    for layers, heads in ((1, 3), (3, 6), (1, 1)):
        drawn = attention_page(maps(layers, heads), source="s")
        small = layers * heads if layers * heads > 1 else 0
        assert drawn.picture.count("<image ") == len(PLACES) * (1 + small)
        assert min(size(drawn.png())) > 300


def data(page: AttentionPage) -> dict[str, Any]:
    """What the page's script draws."""
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page.html())
    return json.loads(text)


def test_cross_attention_comes_first_and_the_head_that_tells_rows_apart_is_open() -> None:
    flat, always_last = np.full((2, 4, 4), 0.25), np.zeros((2, 4, 4))
    always_last[:, :, 3] = 1
    aligned = np.stack([np.full((4, 4), 0.25), np.eye(4)])
    tokens = list("abcd")
    several = [AttentionMap("encoder self", layer, flat, tokens, tokens) for layer in range(3)]
    several += [AttentionMap("cross", layer, each, tokens, tokens, tokens)
                for layer, each in enumerate((flat, always_last, aligned))]  # fmt: skip
    shown = data(attention_page(several, source="a"))
    assert [place["name"] for place in shown["places"]] == ["Cross-attention", "Encoder self-attention"]
    assert shown["open"] == {"place": 0, "layer": 2, "head": 1}
    assert [layer["number"] for layer in shown["places"][0]["layers"]] == [1, 2, 3]


@pytest.mark.parametrize(
    ("weights", "bits"),
    [([[1.0, 0.0], [0.0, 1.0]], 1.0), ([[0.0, 1.0], [0.0, 1.0]], 0.0), ([[0.5, 0.5], [0.5, 0.5]], 0.0)],
)
def test_what_a_row_tells_of_its_token(weights: list[list[float]], bits: float) -> None:
    assert telling(np.array(weights)) == pytest.approx(bits)


def test_rows_that_write_are_named_by_what_is_fed_and_what_is_written() -> None:
    shown = {place["name"]: place for place in data(page())["places"]}
    assert shown["Cross-attention"]["queries"] == ["<s> → die", "die → 猫", "猫 → </s>"]
    assert shown["Decoder self-attention"]["queries"] == ["<s> → die", "die → 猫", "猫 → </s>"]
    assert shown["Decoder self-attention"]["keys"] == TARGET
    assert shown["Encoder self-attention"]["queries"] == SOURCE
    assert "→" not in shown["Encoder self-attention"]["axes"]
    assert all("→" in shown[name]["axes"] for name in ("Cross-attention", "Decoder self-attention"))
    assert "&lt;s&gt; → die" in page().picture


def test_the_page_carries_every_weight_to_three_digits() -> None:
    shown = {place["name"].split()[0].lower(): place for place in data(page())["places"]}
    compared = 0
    for map_ in maps():
        place = shown[{"cross": "cross-attention"}.get(map_.place, map_.place.split()[0])]
        layer = next(layer for layer in place["layers"] if layer["number"] == map_.layer + 1)
        for drawn, weights in zip(layer["heads"], map_.array(), strict=True):
            compared += 1
            np.testing.assert_allclose(np.reshape(drawn, weights.shape) / 1000, weights, atol=5.1e-4)
    assert compared == 3 * 2 * 3


WRITTEN = [
    WrittenToken("▁die", 0.75, [Alternative("▁das", 0.2)]),
    WrittenToken("猫", 0.0004, [Alternative("犬", 0.9), Alternative(",", 0.09)]),
    WrittenToken("</s>", 1.0),
]


def test_probabilities_and_what_else_was_likely_stand_as_text() -> None:
    text = Reader(page(written=WRITTEN).html()).text
    for said in ("·die75 %·das 20 %", "猫< 0.1 %rather 犬 90 %“,” 9.0 %", "</s>100 %", "together: −8.112."):
        assert said in text
    assert "更可能是 犬 90 %「,」 9.0 %" in Reader(page(written=WRITTEN, lang="zh").html()).text
    assert "75 %" in page(written=WRITTEN).picture
    assert "75 %" not in page().html()


def test_heading_and_title_are_the_sentence_and_its_translation() -> None:
    for lang in ("en", "zh"):
        html = page(lang=lang).html()
        assert re.findall("<title>(.*)</title>", html) == ["the &lt;b&gt;cat → die 猫"]
        assert "the <b>cat → die 猫" in Reader(html).text


def test_chinese_is_drawn_by_a_sans_serif_font_that_is_named() -> None:
    """What the renderer takes for a plain sans-serif may have serifs."""
    svg = page(lang="zh").picture
    for text in re.findall(r"<text[^>]*>(.*?)</text>", svg):
        outside = re.sub(r"<tspan font-family=\"'Noto Sans CJK SC'[^>]*>.*?</tspan>", "", text)
        assert all(character < "\u2e80" for character in outside)
    assert "'Noto Sans CJK SC'" in page(lang="zh").html()
    chart: Any = {"mark": {"type": "text", "text": "中"}, "data": {"values": [{}]}}
    assert 'font-family="&apos;Noto Sans CJK SC' in draw_svg(chart).replace("'", "&apos;")


def test_a_long_sentence_does_not_need_a_larger_picture() -> None:
    tokens, weights = ["word"] * 300, np.full((2, 300, 300), 1 / 300)
    width, height = size(
        attention_page([AttentionMap("encoder self", 0, weights, tokens, tokens)], source="s").png()
    )
    assert 600 < width < 2400
    assert 300 < height < 2000


def test_missing_fonts_are_told_and_nothing_of_theirs_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_chinese(texts: list[str]) -> frozenset[str]:
        return frozenset(character for text in texts for character in text if character >= "\u2e80")

    monkeypatch.setattr(attention, "missing_glyphs", no_chinese)
    chinese = page(lang="zh")
    assert chinese.note is not None
    assert "Noto Sans CJK" in chinese.note
    assert "请安装" in Reader(chinese.html()).text
    shown = chinese.picture
    assert "Encoder self-attention" in shown
    assert "die → #" not in shown  # a row is numbered as a whole
    assert ">#3</text>" in shown
    assert "#3 is the third token" in shown
    assert not no_chinese([shown])


def test_no_note_without_need(monkeypatch: pytest.MonkeyPatch) -> None:
    def everything(texts: list[str]) -> frozenset[str]:
        return frozenset()

    monkeypatch.setattr(attention, "missing_glyphs", everything)
    complete = page(lang="zh")
    assert complete.note is None
    assert "编码器自注意力" in complete.picture
    assert "the &lt;b&gt;cat → die 猫" in complete.picture
    assert '<html lang="zh-CN">' in complete.html()


def test_plain_lists_and_one_place_are_enough() -> None:
    one = AttentionMap("decoder self", 0, [[[1.0, 0.0], [0.5, 0.5]]], ["a", "\n"], ["a", "\n"])
    alone = attention_page([one], source="a")
    assert "→" not in Reader(alone.html()).text
    assert size(alone.png())[0] > 100
    assert "␊" in alone.html()


def test_a_map_that_does_not_fit_its_tokens_is_refused() -> None:
    with pytest.raises(ValueError, match=r"cross, layer 1: weights of shape \(1, 2\) do not fit 1 queries"):
        AttentionMap("cross", 1, [[0.5, 0.5]], ["a"], ["b", "c"])
    with pytest.raises(ValueError, match="do not fit 0 queries"):
        AttentionMap("cross", 1, np.zeros((1, 0, 2)), [], ["b", "c"])
    for wrong in (-0.1, 1.1, np.nan):
        with pytest.raises(ValueError, match=r"must lie in 0\.\.1"):
            AttentionMap("cross", 1, [[[wrong]]], ["a"], ["b"])

    with pytest.raises(ValueError, match="cross, layer 0: 2 tokens are written by 1 queries"):
        AttentionMap("cross", 0, [[[1.0]]], ["a"], ["b"], ["c", "d"])


def test_maps_that_do_not_belong_together_are_refused() -> None:
    one = AttentionMap("cross", 0, [[[1.0]]], ["a"], ["b"])
    other = AttentionMap("cross", 1, [[[1.0]]], ["a"], ["c"])
    with pytest.raises(ValueError, match="at least one AttentionMap"):
        attention_page([], source="s")
    with pytest.raises(ValueError, match="cross: two maps have the same layer"):
        attention_page([one, one], source="s")
    with pytest.raises(ValueError, match="cross: all layers must have the same query tokens"):
        attention_page([one, other], source="s")


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(WhyformerError, match="file"):
        page().save(tmp_path / "file" / "folder")
