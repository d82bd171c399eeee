"""Words of the quiz, in both languages."""

from collections.abc import Mapping

from whyformer.why.question import Text
from whyformer.why.quiz.schedule import Grasp

# A question.
QUESTION_OF = Text(
    "Question {number} of {total} · {rank} · {group} · {standing}",
    "第 {number} 题，共 {total} 题 · {rank} · {group} · {standing}",
)
NEW = Text("new", "新题")
IN_BOX = Text("box {box} of {boxes}, asked {asked}× before", "第 {box} 格（共 {boxes} 格），问过 {asked} 次")
YOUR_ANSWER = Text(
    "Your answer, in as many lines as you like; an empty line ends it. Ctrl-D ends the session.",
    "请作答，行数不限，以空行结束。按 Ctrl-D 结束本次练习。",
)
LONG_ENOUGH = Text("An answer has {lines} lines at most; yours ends here.", "回答最多 {lines} 行，到此为止。")

# Its answer.
MODEL_ANSWER = Text("Model answer", "参考答案")
EVIDENCE = Text("Evidence", "实测证据")
CLAIM_LINE = Text(
    "{outcome}: {measured}; set beforehand {expected}", "{outcome}：{measured}；事先设定 {expected}"
)
POINTS = Text("Key points", "要点")
GUESSED = Text(
    "[x] is a guess: your answer has words of this point. You decide.",
    "[x] 只是猜测：你的回答里有这条要点的用词。由你自己判断。",
)
NOTHING_GUESSED = Text(
    "By its words, your answer has none of these; that is a guess. You decide.",
    "从用词上看，你的回答里没有这些要点；这只是猜测，由你自己判断。",
)
NOTHING_WRITTEN = Text(
    "You have written nothing; tick the points that you thought of.",
    "你没有写回答；想到了哪些要点，请自己选。",
)

# The user's judgement.
WHICH = Text(
    "Which points did your answer have? Type numbers such as 1 3, all, or none; Enter means {choice}.",
    "你的回答有哪几条要点？输入编号，如 1 3，或 all（全部）、none（没有）；直接回车表示 {choice}。",
)
BAD_CHOICE = Text(
    "“{typed}” is no choice here; type numbers from 1 to {most}, such as 1 3, or all, or none.",
    "这里不能选“{typed}”；请输入 1 到 {most} 之间的编号，如 1 3，或 all、none。",
)
TRIED_TOO_OFTEN = Text(
    "There was no choice in {tries} lines, so the session ends here.",
    "连续 {tries} 行都不是选择，本次练习到此结束。",
)
SCORED = Text(
    "{got} of {points} points ({share:.0%}). Box {box} of {boxes}: asked again {due}.",
    "{points} 条要点答出 {got} 条（{share:.0%}）。第 {box} 格（共 {boxes} 格），{due}再问。",
)
AT_ONCE, TOMORROW, IN_DAYS = (
    Text("in the next session", "下次练习"),
    Text("tomorrow", "明天"),
    Text("in {days} days", "{days} 天后"),
)
NEXT_ASKED = Text("What may be asked next:", "接下来可能会问：")

# The end of a session.
TOTAL = Text(
    "This session: {got} of {points} points ({share:.0%}), questions: {asked}.",
    "本次练习：{points} 条要点答出 {got} 条（{share:.0%}），共 {asked} 题。",
)
NOTHING_SCORED = Text("No question was scored; the record is as it was.", "没有题目计分，记录不变。")
WEAKEST = Text("Weakest:", "最弱的题：")
NOTHING_MISSED = Text("No point was missed.", "没有漏掉要点。")
OF_POINTS = Text("{got} of {points}", "{got}/{points}")
COME_BACK = Text("Asked again: {when}.", "再次提问：{when}。")
COUNTED = Text("{count} {due}", "{due} {count} 题")
SEE_SCORE = Text(
    "`whyformer quiz --score` shows the whole record.", "`whyformer quiz --score` 显示全部记录。"
)

# The record.
NOTHING_ASKED = Text(
    "Nothing was asked yet; `whyformer quiz` begins.", "还没有问过任何题；用 `whyformer quiz` 开始。"
)
ASKED_OF = Text(
    "Asked: {asked} of {total} questions, of which {weak} weak, {learning} on the way, {known} known.",
    "{total} 题中问过 {asked} 题：{weak} 题薄弱，{learning} 题学习中，{known} 题已掌握。",
)
GRASPS: Mapping[Grasp, Text] = {
    "weak": Text("Weak", "薄弱"),
    "learning": Text("On the way", "学习中"),
    "known": Text("Known", "已掌握"),
}
COLUMNS = (
    Text("last on", "上次日期"),
    Text("asked", "次数"),
    Text("mean", "平均"),
    Text("points", "得分"),
    Text("box", "格"),
    Text("again", "再问"),
)
NOW = Text("now", "现在")
LEFT = Text("Not asked yet: {count} ({ranks}).", "还没有问过：{count} 题（{ranks}）。")
SEE_ANSWER = Text(
    "`whyformer why {number}` answers question {number} by its experiment.",
    "`whyformer why {number}` 用实验回答第 {number} 题。",
)
KEPT_IN = Text("The record is kept in {path}", "记录保存在 {path}")
