"""Words of the curves of a training, in each language."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from whyformer.plots.chart import Language


class Titles(NamedTuple):
    """Titles of the panels; ``{per}`` stands for the unit that losses are a mean over."""

    loss: str
    rate: str
    gradient: str
    speed: str


@dataclass(frozen=True, kw_only=True)
class CurveWords:
    """The words of one language."""

    titles: Titles
    events: tuple[str, str]
    """Training and validation."""
    smoothed: tuple[str, str]
    """The same, where the loss is one of smoothed labels."""
    plain: tuple[str, str]
    """The same loss without label smoothing."""
    step: str
    broken: str
    nothing: str
    known: Mapping[str, str] = field(default_factory=dict[str, str])
    """How the tasks' own words are said, which are English."""

    def name(self, name: str) -> str:
        """Return how a task's word is said; an unknown one as it is."""
        return self.known.get(name, name)

    def characters(self) -> str:
        """Return every character of them."""
        words = [*self.titles, *self.events, *self.smoothed, *self.plain, *self.known.values()]
        return "".join([*words, self.step, self.broken, self.nothing])


_ENGLISH = CurveWords(
    titles=Titles("loss (nats per {per})", "learning rate", "gradient norm", "{per}s per second"),
    events=("training", "validation"),
    smoothed=("training, with label smoothing", "validation, with label smoothing"),
    plain=("training, without label smoothing", "validation, without label smoothing"),
    step="step",
    broken="× infinite or not a number",
    nothing="nothing logged yet",
)
_CHINESE = CurveWords(
    titles=Titles("损失（nat / {per}）", "学习率", "梯度范数", "每秒{per}数"),
    events=("训练", "验证"),
    smoothed=("训练（含标签平滑）", "验证（含标签平滑）"),
    plain=("训练（不含标签平滑）", "验证（不含标签平滑）"),
    step="步数",
    broken="× 无穷大或不是数",
    nothing="还没有记录",
    known={
        "token": "词元",
        "word": "词",
        "example": "样本",
        "hidden token": "被遮词元",
        "score (%)": "得分（%）",
        "exact match": "完全匹配",
        "accuracy": "准确率",
        "macro F1": "宏平均 F1",
        "always the most frequent": "总猜最常见的类",
        "hidden tokens right": "被遮词元猜对",
        "by the most frequent": "总猜最常见的词元",
        "next sentences right": "下一句判断正确",
        "bits per character": "每字符比特数",
        "perplexity per word": "每词困惑度",
        "symbol": "符号",
        "word error rate": "词错误率",
        "error rate of events": "事件错误率",
        "labels right": "标签正确率",
    },
)
CURVE_WORDS: Mapping[Language, CurveWords] = {"en": _ENGLISH, "zh": _CHINESE}
