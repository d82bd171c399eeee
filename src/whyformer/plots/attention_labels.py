"""Words of the attention page and its picture, in each language."""

from dataclasses import dataclass

from whyformer.plots.attention_map import AttentionKind
from whyformer.plots.chart import Language


@dataclass(frozen=True, kw_only=True)
class Labels:
    """The words of the charts: all that the picture needs, whatever the sentence."""

    places: dict[AttentionKind, str]
    attention: str
    nth_layer: str
    """``#`` stands for the number, from 1."""
    nth_head: str
    query: str
    key: str
    weight: str
    numbered: str
    """Tells in the picture what stands for tokens that no font can draw."""

    def characters(self) -> str:
        """Return every character of them."""
        words = [
            self.attention,
            self.nth_layer,
            self.nth_head,
            self.query,
            self.key,
            self.weight,
            self.numbered,
        ]
        return "".join([*self.places.values(), *words])


@dataclass(frozen=True, kw_only=True)
class Words:
    """The words of the page."""

    labels: Labels
    layer: str
    head: str
    overview: str
    source: str
    translation: str
    reading: str
    unreadable: str
    """``{characters}`` are those that no font has."""


ENGLISH = Words(
    labels=Labels(
        places={
            "encoder self": "encoder self-attention",
            "decoder self": "decoder self-attention",
            "cross": "cross-attention",
        },
        attention="attention",
        nth_layer="layer #",
        nth_head="head #",
        query="query (reads)",
        key="key (is read)",
        weight="weight",
        numbered="#3 is the third token: no font on this machine has its characters.",
    ),
    layer="layer",
    head="head",
    overview="All heads (click to open)",
    source="Source: ",
    translation="Translation: ",
    reading="Each row is a token that reads. The darker a cell, the more the row takes from the token of "
    "that column; a row adds up to 1. Click a small map or use the lists to open a head, and point at a "
    "cell for its numbers.",
    unreadable="No font on this machine has {characters}, so in the PNG picture a token with them appears "
    "as # and its position, and a line with them is left out. Install a font that has them (for Chinese, "
    "Noto Sans CJK) and make the picture again.",
)

CHINESE = Words(
    labels=Labels(
        places={
            "encoder self": "编码器自注意力",
            "decoder self": "解码器自注意力",
            "cross": "交叉注意力",
        },
        attention="注意力",
        nth_layer="第 # 层",
        nth_head="第 # 头",
        query="查询（在读）",
        key="键（被读）",
        weight="权重",
        numbered="#3 表示第三个词元：本机没有字体含有它的字符。",
    ),
    layer="层",
    head="头",
    overview="所有的头（点击打开）",
    source="原文：",
    translation="译文：",
    reading="每一行是一个在读的词元。格子越深，这一行从该列词元取得的信息越多；每行之和为 1。"
    "点击小图或用下拉列表打开一个头，把鼠标移到格子上可看数值。",
    unreadable="本机没有字体含有 {characters}，因此 PNG 图片中含有这些字符的词元以 # 加位置表示，"
    "含有它们的文字行则略去。请安装含有这些字符的字体（中文可用 Noto Sans CJK）后重新作图。",
)

WORDS: dict[Language, Words] = {"en": ENGLISH, "zh": CHINESE}
