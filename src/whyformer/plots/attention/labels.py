"""Words of the attention page and its picture, in each language."""

from dataclasses import asdict, dataclass

from whyformer.plots.attention.map import AttentionKind
from whyformer.plots.chart import Language


@dataclass(frozen=True, kw_only=True)
class Labels:
    """The words that the picture needs, whatever the sentence."""

    places: dict[AttentionKind, str]
    nth_layer: str
    """``#`` stands for the number, from 1."""
    nth_head: str
    axes: tuple[str, str]
    """Tells rows and columns, where rows only read, and where they also write."""
    numbered: str
    """Tells what stands for tokens that no font can draw."""
    every: tuple[str, str]
    """Of rows and of columns; ``#`` stands for how many there are to a name."""

    def characters(self) -> str:
        """Return every character of them."""
        return "".join(
            [*self.places.values(), *self.axes, *self.every, self.nth_layer, self.nth_head, self.numbered]
        )


@dataclass(frozen=True, kw_only=True)
class PictureWords:
    """The words that only the picture and its strip of tokens need."""

    source: str
    translation: str
    strip: str
    sure: str
    """``#`` stands for the log-probability of all of them in nats."""
    rather: str
    opened: str
    """``#`` stands for the layer and head."""
    weight: str

    def characters(self) -> str:
        """Return every character of them."""
        return "".join(asdict(self).values())


@dataclass(frozen=True, kw_only=True)
class PageWords:
    """The words that only the page needs; those in ``#`` and ``{...}`` are replaced by its script."""

    choose: tuple[str, str, str]
    """Names of the lists: attention, layer, head."""
    mean: str
    overview: str
    reading: str
    """``[by day|by night]``: only one of both is shown."""
    opened: str
    table: str
    cell: str
    silent: str
    described: str
    unreadable: str
    """``{characters}`` are those that no font has."""


@dataclass(frozen=True, kw_only=True)
class Words:
    """All words of one language."""

    labels: Labels
    picture: PictureWords
    page: PageWords


ENGLISH = Words(
    labels=Labels(
        places={
            "cross": "Cross-attention",
            "decoder self": "Decoder self-attention",
            "encoder self": "Encoder self-attention",
        },
        nth_layer="layer #",
        nth_head="head #",
        axes=(
            "Rows: query Q, the token that attends. Columns: key K, the token attended to.",
            "Rows: query Q, the token fed → the token then written. Columns: key K, the token attended to.",
        ),
        numbered="#3 is the third token: no font on this machine has its characters.",
        every=("Of the rows, one in # is named.", "Of the columns, one in # is named."),
    ),
    picture=PictureWords(
        source="Source: ",
        translation="Translation: ",
        strip="How sure each token was",
        sure="Its probability, given the source and all tokens before it, and what else was likely. "
        "ln P of all together: #.",
        rather="rather ",
        opened="# (the head whose rows differ most)",
        weight="weight",
    ),
    page=PageWords(
        choose=("Attention", "Layer", "Head"),
        mean="mean of all heads",
        overview="All heads (choose one to enlarge it)",
        reading="The [darker|lighter] a cell, the more its row attends to the token of that column; each row "
        "adds up to 1. Point at a cell, tap it, or move with the arrow keys, and its numbers stand below the "
        "map. “·” is a blank before a word.",
        opened="Opened first: the cross-attention head whose rows differ most.",
        table="These weights as a table",
        cell="{query} attends to {key}: {weight}. Most of all to {most}.",
        silent="{query} attends to nothing.",
        described="{place}, {layer}, {head}: {rows} rows, {columns} columns.",
        unreadable="No font on this machine has {characters}, so in the PNG picture a token with them is "
        "shown as # and its position, and a line with them is left out. Install a font that has them (for "
        "Chinese, Noto Sans CJK) and make the picture again.",
    ),
)

CHINESE = Words(
    labels=Labels(
        places={
            "cross": "交叉注意力",
            "decoder self": "解码器自注意力",
            "encoder self": "编码器自注意力",
        },
        nth_layer="第 # 层",
        nth_head="第 # 头",
        axes=(
            "行：查询 Q，当前词元。列：键 K，被关注的词元。",
            "行：查询 Q，输入的词元 → 随后写出的词元。列：键 K，被关注的词元。",
        ),
        numbered="#3 表示第三个词元：本机没有字体含有它的字符。",
        every=("每 # 行标出一个词元。", "每 # 列标出一个词元。"),
    ),
    picture=PictureWords(
        source="原文：",
        translation="译文：",
        strip="每个词元的把握",
        sure="在原文和此前各词元给定时的概率，以及其他可能的词元。整句的 ln P：#。",
        rather="更可能是 ",
        opened="#（各行差别最大的头）",
        weight="权重",
    ),
    page=PageWords(
        choose=("注意力", "层", "头"),
        mean="所有头的平均",
        overview="全部注意力头（选一个放大）",
        reading="每一行是一个查询词元；颜色越[深|亮]，它对该列词元的注意力越大，每行之和为 1。"
        "指向或点按一个格子，或用方向键移动，图下会显示它的数值。“·”表示词前的空格。",
        opened="首先打开的是各行差别最大的交叉注意力头。",
        table="以表格显示这些权重",
        cell="{query} 对 {key} 的注意力：{weight}。最受它关注的是 {most}。",
        silent="{query} 没有关注任何词元。",
        described="{place}，{layer}，{head}：{rows} 行，{columns} 列。",
        unreadable="本机没有字体含有 {characters}，因此 PNG 图片中含有这些字符的词元以 # 加位置表示，"
        "含有它们的文字行则略去。请安装含有这些字符的字体（中文可用 Noto Sans CJK）后重新作图。",
    ),
)

WORDS: dict[Language, Words] = {"en": ENGLISH, "zh": CHINESE}
