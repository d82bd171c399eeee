"""Words that all findings share, in both languages."""

from whyformer.why.question import Outcome, Rank, Text, Verdict

VERDICTS: dict[Verdict, Text] = {
    "supported": Text("supported by the experiment", "实验支持"),
    "refuted": Text("refuted by the experiment", "实验推翻"),
    "undecided": Text("undecided", "尚无定论"),
}
MARKS: dict[Verdict, str] = {"supported": "✓", "refuted": "✗", "undecided": "?"}
NO_VERDICT = "·"
"""Mark of a question that nobody has measured."""
OUTCOMES: dict[Outcome, Text] = {
    "holds": Text("holds", "成立"),
    "fails": Text("fails", "不成立"),
    "open": Text("open", "未定"),
}
OUTCOME_MARKS: dict[Outcome, str] = {"holds": "✓", "fails": "✗", "open": "?"}
RANKS: dict[Rank, Text] = {
    "junior": Text("Junior", "初级"),
    "middle": Text("Middle", "中级"),
    "senior": Text("Senior", "高级"),
}
SEEDS = Text("{seeds} seeds; thin: each, thick: their mean", "{seeds} 个种子；细线为单次，粗线为平均")
NO_FONT = Text(
    "No font on this machine has Chinese, so the PNG is in English only; install one, such as Noto Sans CJK.",
    "本机没有中文字体，因此 PNG 图片只用英文；请安装一种中文字体，例如 Noto Sans CJK。",
)
CLAIM, EXPECTED, OUTCOME = (
    Text("claim tested", "待检验的命题"),
    Text("set beforehand", "事先设定的范围"),
    Text("outcome", "结果"),
)
MEASURED = Text("measured: mean [95 % interval]", "实测：平均 [95% 置信区间]")
MEASURED_RANGE = Text("measured: mean [min, max]", "实测：平均 [最小, 最大]")
CONTROL = Text("control: ", "对照：")
REFUSED = Text("refused", "拒绝")
VERDICT = Text(
    "Verdict: {verdict} {mark} ({seeds} seeds; {held} of {claims} claims hold)",
    "结论：{verdict} {mark}（{seeds} 个种子；{claims} 条命题中 {held} 条成立）",
)
OTHER_VERDICT = Text(
    "The headline was written for another verdict ({written}); these numbers do not bear it out.",
    "标题所写的结论（{written}）与这次的数据不符，请以数据为准。",
)
ORIGIN = Text(
    "Measured on {date} with the code of commit {commit} on {machine}; {seconds:.0f} s a seed.",
    "测量日期 {date}，代码版本 {commit}，处理器 {machine}；每个种子 {seconds:.0f} 秒。",
)
