"""Claims in pictures: every seed as a dot on a small axis, with the allowed band shaded."""

import math
from html import escape

from whyformer.plots.chart import Language
from whyformer.why.book.numbers import brief, compact
from whyformer.why.question import Bounds, Judgement

_WIDTH, _HEIGHT, _EDGE = 150, 30, 8


def bounds_text(bounds: Bounds, lang: Language) -> str:
    """Bounds as a table shows them."""
    if math.isinf(bounds.low):
        return f"≤ {brief(bounds.high)}"
    if math.isinf(bounds.high):
        return f"≥ {brief(bounds.low)}"
    between = " to " if lang == "en" else " 到 "
    return f"{brief(bounds.low)}{between}{brief(bounds.high)}"


def within_text(bounds: Bounds, lang: Language) -> str:
    """Numbers that these bounds allow, in words."""
    text = bounds_text(bounds, lang)
    if math.isinf(bounds.low) or math.isinf(bounds.high):
        return text if lang == "en" else f" {text}"
    return f"within {text}" if lang == "en" else f"在 {text} 之内"


def beyond_text(bounds: Bounds, lang: Language) -> str:
    """Numbers that these bounds exclude, in words."""
    if math.isinf(bounds.low):
        return f"{'above' if lang == 'en' else '高于'} {brief(bounds.high)}"
    if math.isinf(bounds.high):
        return f"{'below' if lang == 'en' else '低于'} {brief(bounds.low)}"
    if lang == "en":
        return f"outside of {bounds_text(bounds, lang)}"
    return f"落在 {bounds_text(bounds, lang)} 之外"


def dot_axis(judged: Judgement, lang: Language) -> str:
    """The small axis of a claim."""
    known = [value for value in judged.values if math.isfinite(value)]
    values = ", ".join(map(brief, judged.values))
    allowed = bounds_text(judged.claim.expected, lang)
    label = f"seeds: {values}; allowed: {allowed}" if lang == "en" else f"各种子：{values}；允许：{allowed}"
    if not known:
        return ""
    expected, interval = judged.claim.expected, judged.interval
    shown = [*known, *filter(math.isfinite, expected), *filter(math.isfinite, (interval.low, interval.high))]
    log = min(shown) > 0 and max(shown) / min(shown) > 50
    scale = math.log if log else float
    low, high = min(map(scale, shown)), max(map(scale, shown))
    room = 0.15 * (high - low) or abs(high) or 1.0
    low, high = low - room, high + room

    def x(value: float) -> float:
        if math.isinf(value):
            return 0 if value < 0 else _WIDTH
        at = scale(value) if value > 0 or not log else low
        return _EDGE + (at - low) / (high - low) * (_WIDTH - 2 * _EDGE)

    left, right = x(expected.low), x(expected.high)
    middle = _HEIGHT / 2
    parts = [f'<path class="band" d="M{compact(left)},4H{compact(right)}V{_HEIGHT - 4}H{compact(left)}Z"/>']
    edges = [(edge, "edge") for edge in expected]
    edges += [(edge, "edge tolerated") for edge in judged.claim.tolerated or () if edge not in expected]
    parts += [
        f'<path class="{name}" d="M{compact(x(edge))},2V{_HEIGHT - 2}"/>'
        for edge, name in edges
        if math.isfinite(edge) and 0 <= x(edge) <= _WIDTH
    ]
    parts.append(f'<path class="axis" d="M0,{middle:g}H{_WIDTH}"/>')
    if math.isfinite(interval.low):
        ends = f"M{compact(x(interval.low))},{middle:g}H{compact(x(interval.high))}"
        parts.append(f'<path class="interval" d="{ends}"/>')
    dots = "".join(f"M{compact(x(value))},{middle:g}h0" for value in known)
    parts.append(f'<path class="seeds" d="{dots}"/>')
    return (
        f'<svg class="dots {judged.outcome}" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(label)}">{"".join(parts)}</svg>'
    )
