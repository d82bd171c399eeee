"""Words of the pictures of streams, in each language."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from whyformer.plots.chart import Language


class LatencyWords(NamedTuple):
    """The words of the picture of error against latency."""

    heading: str
    """With ``{subject}``."""
    key: str
    full: str
    """Explanation of the right edge, where the whole signal was recognised at once."""
    x: str
    y: str
    left: str
    """Title of the legend."""
    whole: str
    """Label of the right edge."""
    all: str
    """Entry of the legend for all chunks to the left."""
    nothing: str
    columns: tuple[str, ...]
    """Chunks; rate, low, high; latency at most, mean; look-ahead; three percentiles of the emission delay."""


class TimelineWords(NamedTuple):
    """The words of the picture of words in time."""

    heading: str
    """With ``{subject}``."""
    key: str
    truth: str
    """Explanation of the delay where the true words are known."""
    guess: str
    """Explanation of the delay where they are not."""
    chunks: str
    """With ``{chunk}``: the dotted lines."""
    cut: str
    """With ``{shown}`` and ``{seconds}``: what of a long signal is drawn."""
    fonts: str
    """Note on words that no font of this machine can write."""
    lanes: tuple[str, str, str]
    """Words that were said, loudness, words that were recognised."""
    x: str
    nothing: str
    columns: tuple[str, ...]
    """Of the table: word; from, to; shown at; delay."""
    said: tuple[str, ...]
    """Of the table of true words: word; from, to."""
    tables: tuple[str, str]
    """Captions of the tables: recognised and true words."""
    wrong: str
    """Mark behind a word that was not said."""


@dataclass(frozen=True, kw_only=True)
class StreamWords:
    """The words of one language."""

    latency: LatencyWords
    timeline: TimelineWords


_ENGLISH = StreamWords(
    latency=LatencyWords(
        heading="Error against latency of {subject}",
        key="Point: word error rate of one size of chunks. Bar: its 95 % interval, by bootstrap over "
        "signals. Latency: the longest that a sound waits for its chunk to be whole, look-ahead included.",
        full="At the right edge, and as the dashed line: the whole signal at once; its latency has no bound.",
        x="algorithmic latency (ms)",
        y="word error rate (%)",
        left="chunks to the left",
        whole="full",
        all="all",
        nothing="nothing measured",
        columns=(
            "chunks",
            "word error rate (%)",
            "low",
            "high",
            "latency at most (ms)",
            "mean (ms)",
            "look-ahead (ms)",
            "delay p50 (ms)",
            "p90 (ms)",
            "p99 (ms)",
        ),
    ),
    timeline=TimelineWords(
        heading="Words of {subject} in time",
        key="The bar under a recognised word is its delay; the mark is when it was shown for good.",
        truth="The delay begins where the word was truly over. A cross marks a word that was not said.",
        guess="The delay begins where the recogniser found the word's end; its true end is not known here.",
        chunks="Dotted lines: borders of the chunks of {chunk}.",
        cut="Drawn are the first {shown} of {seconds} seconds.",
        fonts="No font on this machine has some of the words; they are numbered, and the page has them.",
        lanes=("said", "loudness", "recognised"),
        x="seconds",
        nothing="no sound",
        columns=("word", "from (s)", "to (s)", "shown (s)", "delay (s)"),
        said=("word", "from (s)", "to (s)"),
        tables=("Recognised words", "What was said"),
        wrong="not said",
    ),
)
_CHINESE = StreamWords(
    latency=LatencyWords(
        heading="{subject} 的错误率与延迟",
        key="点：一种分块大小的词错误率。竖条：其 95 % 区间（对信号做 bootstrap）。"
        "延迟：声音最多要等多久，所在的块才完整，包括前瞻。",
        full="右端与虚线：整个信号一次处理，延迟没有上限。",
        x="算法延迟（毫秒）",
        y="词错误率（%）",
        left="左侧块数",
        whole="整段",
        all="全部",
        nothing="没有测得任何数值",
        columns=(
            "分块",
            "词错误率（%）",
            "下限",
            "上限",
            "最大延迟（毫秒）",
            "平均（毫秒）",
            "前瞻（毫秒）",
            "出词延迟 p50（毫秒）",
            "p90（毫秒）",
            "p99（毫秒）",
        ),
    ),
    timeline=TimelineWords(
        heading="{subject} 的词与时间",
        key="每个识别出的词下面有一条：它的延迟，止于标记处，即该词最终显示的时刻。",
        truth="延迟从该词真正说完时算起。叉号：没有说过的词。",
        guess="延迟从识别器找到的词尾算起；真正的词尾在这里未知。",
        chunks="虚线：每块 {chunk} 的边界。",
        cut="只画了 {seconds} 秒中的前 {shown} 秒。",
        fonts="本机没有字体能显示其中一些词；图中以编号代替，网页里有原词。",
        lanes=("所说", "响度", "识别"),
        x="秒",
        nothing="没有声音",
        columns=("词", "起（秒）", "止（秒）", "显示（秒）", "延迟（秒）"),
        said=("词", "起（秒）", "止（秒）"),
        tables=("识别出的词", "所说的词"),
        wrong="没有说过",
    ),
)
STREAM_WORDS: Mapping[Language, StreamWords] = {"en": _ENGLISH, "zh": _CHINESE}
