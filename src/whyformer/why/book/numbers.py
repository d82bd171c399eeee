"""Numbers as they are read: few digits, a true minus, no exponent of programs."""

import math

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def brief(value: float) -> str:
    """Three digits, or all before the point; a dash for what could not be measured.

    >>> brief(0.49966), brief(71696.0), brief(-2.0), brief(3e-7), brief(1e-4), brief(float("nan"))
    ('0.5', '71,696', '−2', '3×10⁻⁷', '1×10⁻⁴', '–')
    """
    if not math.isfinite(value):
        return "–" if math.isnan(value) else ("∞" if value > 0 else "−∞")
    if value == 0 or 1e-3 <= abs(value) < 100:
        return f"{value:.3g}".replace("-", "−")
    if 100 <= abs(value) < 1e9:
        return f"{value:,.0f}".replace("-", "−")
    digits, exponent = f"{value:.1e}".split("e")
    digits = digits.removesuffix(".0")
    power = str(int(exponent)).translate(_SUPERSCRIPTS)
    return f"{digits}×10{power}".replace("-", "−")


def compact(value: float) -> str:
    """A number within a drawing, with one decimal at most.

    >>> compact(12.04), compact(-0.04), compact(3.96)
    ('12', '0', '4')
    """
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text
