"""Words of the profile's page and picture, in each language."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from whyformer.plots.chart import Language


class Sentences(NamedTuple):
    """The sentences above the bars."""

    key: str
    """What the bars are."""
    sum: str
    """That they add up."""
    busy: str
    """That the machine was busy."""


class Templates(NamedTuple):
    """The heading of the page; the title of one piece of work, and its subtitle."""

    heading: str
    """With ``{subject}``."""
    head: str
    """With ``{work}``, ``{traced}`` and ``{undisturbed}`` milliseconds, and their ``{unit}``."""
    counted: str
    """With ``{count}``, ``{unit}`` and ``{conditions}``."""


@dataclass(frozen=True, kw_only=True)
class Names:
    """The profiler's own words, which come in English."""

    units: Mapping[str, tuple[str, str]]
    """One and several."""
    conditions: tuple[tuple[str, str], ...] = ()
    """Replacements, by regular expressions."""
    known: Mapping[str, str] = field(default_factory=dict[str, str])
    """Parts of the model and kinds of operation."""


@dataclass(frozen=True, kw_only=True)
class ProfileWords:
    """The words of one language."""

    sentences: Sentences
    other: str
    passes: tuple[str, str]
    """Forward and backward."""
    works: Mapping[str, str]
    per: Mapping[str, str]
    """Milliseconds of one step or sentence."""
    templates: Templates
    columns: Mapping[str, str]
    names: Names

    def name(self, name: str) -> str:
        """Return the name of a part or a kind of operation; an unknown one as it is."""
        return self.names.known.get(name, name)


_ENGLISH = ProfileWords(
    sentences=Sentences(
        "A bar for each part of the model, in the colours of its operations; then one for each kind of "
        "operation, whose fainter end is the backward pass.",
        "Every moment is counted once, so the bars of either kind add up to the whole. The loss makes its "
        "own gradient on the way forward.",
        "The work took longer undisturbed than while it was traced: the machine was busy with something "
        "else, so trust the shares more than the times, or profile again.",
    ),
    other="all other kinds",
    passes=("forward", "backward"),
    works={"training": "training", "translation": "translation"},
    per={"step": "ms a step", "sentence": "ms a sentence"},
    templates=Templates(
        "Profile of {subject}",
        "{work}: {traced} {unit}, {undisturbed} undisturbed",
        "{count} {unit}, traced; {conditions}",
    ),
    columns={"part": "part", "kind": "operation", "pass": "pass", "share": "share"},
    names=Names(units={"step": ("step", "steps"), "sentence": ("sentence", "sentences")}),
)

_CHINESE_NAMES = {
    "data preparation": "数据准备",
    "output layer and loss": "输出层与损失",
    "output layer": "输出层",
    "cache": "缓存",
    "embedding": "嵌入",
    "norms and residuals": "归一化与残差",
    "rest of the model": "模型的其余部分",
    "rest of the step": "步骤的其余部分",
    "sums of gradients": "梯度求和",
    "dropout": "dropout",
    "feed-forward": "前馈网络",
    "encoder feed-forward": "编码器前馈网络",
    "decoder feed-forward": "解码器前馈网络",
    "recurrent layers": "循环层",
    "encoder recurrent layers": "编码器循环层",
    "decoder recurrent layers": "解码器循环层",
    "attention": "注意力",
    "encoder attention": "编码器注意力",
    "decoder attention": "解码器注意力",
    "cross-attention": "交叉注意力",
    "masks": "掩码",
    "gradient norm and clipping": "梯度范数与裁剪",
    "optimizer": "优化器",
    "search": "搜索",
    "tokenizer": "分词器",
    "Python": "Python",
    "autograd": "自动求导",
    "elementwise": "逐元素运算",
    "matrix products": "矩阵乘法",
    "fused attention": "融合注意力",
    "recurrences, convolutions": "循环与卷积",
    "softmax": "softmax",
    "norms": "归一化",
    "random numbers": "随机数",
    "sums, maxima, sorting": "求和、最大值、排序",
    "copies and casts": "复制与类型转换",
    "lookups": "查表与索引",
    "allocation and filling": "分配与填充",
    "views and dispatch": "视图与调度",
}

_CHINESE = ProfileWords(
    sentences=Sentences(
        "先是模型的每个部分一条，颜色表示其中的运算；再是每种运算一条，较淡的一端是反向传播。",
        "每个时刻只计一次，所以这两组条各自加起来就是全部时间。损失在前向时就算出它自己的梯度。",
        "不加跟踪时反而比跟踪时更慢：机器同时在忙别的事。请更相信比例而不是时间，或重新测量。",
    ),
    other="其他各种运算",
    passes=("前向", "反向"),
    works={"training": "训练", "translation": "翻译"},
    per={"step": "毫秒/步", "sentence": "毫秒/句"},
    templates=Templates(
        "{subject} 的耗时分析",
        "{work}：{traced} {unit}，不加跟踪时 {undisturbed}",
        "跟踪 {count} {unit}；{conditions}",
    ),
    columns={"part": "部分", "kind": "运算", "pass": "方向", "share": "占比"},
    names=Names(
        units={"step": ("步", "步"), "sentence": ("句", "句")},
        conditions=(
            (r"greedy search", "贪心搜索"),
            (r"beam search", "束搜索"),
            (r"sampling search", "采样"),
            (r"(\d+) at a time", r"每批 \1 句"),
            (r"(\d+) threads?", r"\1 个线程"),
            (r", ", "，"),
        ),
        known=_CHINESE_NAMES,
    ),
)

WORDS: Mapping[Language, ProfileWords] = {"en": _ENGLISH, "zh": _CHINESE}
