"""Words that all findings share, in both languages."""

from whyformer.why.question import Outcome, Text, Verdict

VERDICTS: dict[Verdict, Text] = {
    "supported": Text("supported", "支持"),
    "refuted": Text("refuted", "推翻"),
    "undecided": Text("undecided", "未定"),
}
OUTCOMES: dict[Outcome, Text] = {
    "holds": Text("holds", "成立"),
    "fails": Text("fails", "不成立"),
    "open": Text("open", "未定"),
}
SEEDS = Text("{seeds} seeds: each, and their mean", "{seeds} 个随机种子：各个种子及平均")
NO_FONT = Text(
    "No font on this machine has Chinese, so the PNG is in English only; install one, such as Noto Sans CJK.",
    "本机没有中文字体，因此 PNG 图片只用英文；请安装一种，例如 Noto Sans CJK。",
)
CLAIM, MEASURED, EXPECTED, OUTCOME = (
    Text("claim", "论断"),
    Text("measured [95 %]", "测得 [95 %]"),
    Text("expected", "预期"),
    Text("outcome", "结果"),
)
CONTROL = Text("control: ", "对照：")
VERDICT = Text(
    "Verdict: {verdict} ({seeds} seeds, {seconds:.0f} s)",
    "结论：{verdict}（{seeds} 个随机种子，{seconds:.0f} 秒）",
)
ANSWER, CAVEATS = Text("Answer. ", "回答："), Text("Mind. ", "注意：")
