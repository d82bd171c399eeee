"""Live cells of the book: a trained translator beside some answers, with something to try on it."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from whyformer.plots.chart import Language
from whyformer.why.question import Text

LIVE_FOLDER = "live"
"""Where the model's page lies in the book."""


class LiveCell(NamedTuple):
    """Something to try on a trained translator."""

    view: Sequence[str]
    """Parts of the model's page that are shown."""
    task: Text
    preset: Mapping[str, object] = {}
    """Settings at first, where they are not the usual."""

    def options(self, lang: Language, weight: int) -> dict[str, Any]:
        """Options of the script that shows it, which loads ``weight`` bytes."""
        told = {"lang": lang, "view": [*self.view], "preset": dict(self.preset)}
        return {**told, "base": f"../{LIVE_FOLDER}", "size": f"{weight / 1e6:.1f}"}


_LOOKING = ("input", "output", "steps", "heads")
_GREEDY = {"search": {"kind": "greedy"}}

CELLS: Mapping[int, LiveCell] = {
    1: LiveCell(
        ("input", "output", "heads", "masks"),
        Text(
            "Point at a token and compare the heads of one layer: do they look at the same words? Then "
            "switch heads off, one by one: which can go without a change in the translation, and at which "
            "does it break?",
            "指向一个词元，比较同一层的各个头：它们看的是同样的词吗？再把头逐个关掉：关掉哪些译文不变，"
            "关到哪一个译文就坏了？",
        ),
    ),
    6: LiveCell(
        ("input", "output", "masks"),
        Text(
            "Let the encoder see only what is before, or only itself; let the decoder forget what it "
            "wrote. The weights stay the same, only the mask is another: see which of them the translation "
            "can bear, and which not.",
            "让编码器只看前文，或只看自己；让解码器忘掉已写的内容。权重不变，变的只有掩码："
            "看看哪种掩码译文受得住，哪种受不住。",
        ),
    ),
    9: LiveCell(
        _LOOKING,
        Text(
            "Each head has its own share of the width, and its own map. Enlarge two heads of one layer and "
            "read their numbers in the same row: what would one head of the whole width have to do in one "
            "row?",
            "每个头分到一份宽度，也有自己的一张图。放大同一层的两个头，比较同一行的数值："
            "若只有一个占满宽度的头，一行要同时做到些什么？",
        ),
    ),
    10: LiveCell(
        ("input", "output", "heads"),
        Text(
            "Exchange two numbers of the source. The encoder is given the same tokens as before; without "
            "positions it could not tell both sentences apart. Compare translation and maps.",
            "交换原文中的两个数。编码器得到的词元与先前相同；没有位置信息，它就分不出这两句话。"
            "比较译文和注意力图。",
        ),
    ),
    14: LiveCell(
        _LOOKING,
        Text(
            "Go step by step: which source tokens does cross-attention read before a word is written? Then "
            "choose a head of another layer, and see whether it reads the same ones.",
            "逐步前进：写出一个词之前，交叉注意力读了哪些源词元？再选另一层的头，看它读的是否相同。",
        ),
        {"place": "cross", **_GREEDY},
    ),
    15: LiveCell(
        ("input", "output", "heads"),
        Text(
            "Enlarge a head of the decoder's self-attention, then one of the encoder's. Above the diagonal "
            "the decoder's map is empty, whatever you type: nothing may be read that was not yet written. "
            "And the encoder's?",
            "先放大解码器自注意力的一个头，再放大编码器的一个头。无论输入什么，"
            "解码器的图在对角线以上都是空的：尚未写出的内容不能读。编码器的图呢？",
        ),
        {"place": "decoder self"},
    ),
    28: LiveCell(
        (*_LOOKING, "search"),
        Text(
            "The whole way at once: text, tokens, layers, probabilities, search. Change a letter of the "
            "source and find the first place at which something else comes out.",
            "整条流水线一览：文本、词元、各层、概率、搜索。改动原文的一个字母，找出最先发生变化的地方。",
        ),
    ),
    30: LiveCell(
        ("input", "output", "steps", "heads", "search"),
        Text(
            "Go forward: each step feeds one token and adds one row to the decoder's maps. The rows above "
            "do not change, so their keys and values need not be computed again: that is all a cache does.",
            "逐步前进：每一步输入一个词元，给解码器的图添上一行。上面各行不变，它们的键和值不必重算："
            "缓存做的就是这件事。",
        ),
        {"place": "decoder self", **_GREEDY},
    ),
}
