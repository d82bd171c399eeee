"""Charts in words, computed from their numbers: for whoever cannot see them."""

import math

from whyformer.why.book.figures.plot import Plot
from whyformer.why.book.labels import REFUSED
from whyformer.why.book.numbers import brief
from whyformer.why.question import Place, Text


def described(plot: Plot) -> str:
    """Words for what a chart shows: kind, axes and, for each arm, its means."""
    kind = {"line": Text("Lines", "折线图"), "bar": Text("Bars", "条形图"), "heat": Text("Cells", "热图")}
    figure, lang = plot.figure, plot.lang
    of = kind[figure.mark or "heat"].say(lang)
    unit, across = figure.unit.say(lang), figure.across.say(lang)
    seeds = len(plot.findings.measured)
    if lang == "en":
        head = f"{of} of {unit or figure.title.en} over {across}, means of {seeds} seeds."
    else:
        head = f"{of}：纵为{unit or figure.title.zh}，横为{across}，{seeds} 个随机种子的平均。"
    levels = [f"{level.name.say(lang)} {brief(level.at)}" for level in figure.levels]
    rows = [_arm(plot, arm) for arm in plot.arms]
    stop, comma = ("; ", ", ") if lang == "en" else ("；", "，")
    dotted = ("Dotted: " if lang == "en" else "虚线：") + comma.join(levels)
    end = "." if lang == "en" else "。"
    return " ".join([head, stop.join(row for row in rows if row) + end, *([dotted + end] if levels else [])])


def _arm(plot: Plot, arm: Text) -> str:
    """The means of one arm; of a curve, its beginning and its end."""
    index = str(plot.arms.index(arm))
    means = {place: value for (who, place), value in plot.means().items() if who == arm}
    known: list[tuple[Place, float]] = [*means.items()]
    if plot.figure.mark == "line":
        known = [(row["at"], row["value"]) for row in plot.mean_curves() if row["arm"] == index]
        known = known if len(known) <= 6 else [known[0], known[-1]]
    colon, comma = (": ", ", ") if plot.lang == "en" else ("：", "，")
    return plot.say(arm) + colon + comma.join(_point(plot, place, value) for place, value in known)


def _point(plot: Plot, place: Place, value: float) -> str:
    told = REFUSED.say(plot.lang) if math.isnan(value) else brief(value)
    return f"{told} at {plot.name(place)}" if plot.lang == "en" else f"{plot.name(place)} 处 {told}"
