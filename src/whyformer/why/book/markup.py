"""Prose as HTML: Markdown, formulas as MathML, and marks that lead from a sentence to its claims."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cache
from html import escape

from markdown_it import MarkdownIt
from markupsafe import Markup

from whyformer.errors import WhyformerError
from whyformer.plots.chart import Language
from whyformer.why.book.prose import BY_DEFINITION, MARK, NOT_MEASURED
from whyformer.why.question import Judgement, Outcome

SIGNS: Mapping[Outcome, str] = {"holds": "✓", "fails": "✗", "open": "?"}
"""Signs beside claims, told apart without colour."""

_CODE_MATH_MARK = re.compile(rf"(`[^`]*`)|\$\$(.+?)\$\$|\$([^$]+)\$|{MARK.pattern}", re.DOTALL)
_HELD = re.compile("\ue000(\\d+)\ue001")
_ENTITY = re.compile(r"&#x(\w+);")
_QUESTION = re.compile(r"<a .*?</a>|(?<![\w/])Q(\d\d?)(?!\w)")
# Within Chinese a line break is no space.
_BREAK = re.compile(r"(?<=[\u2e80-\u9fff\uff00-\uffef])\n(?=[^\s\-*\d>|#])|(?<=\S)\n(?=[\u2e80-\u9fff\uff00-\uffef])")
_PLAIN = {
    r"\cdot": "·", r"\times": "×", r"\approx": "≈", r"\leq": "≤", r"\geq": "≥", r"\le": "≤", r"\ge": "≥",
    r"\sqrt": "√", r"\sum": "Σ", r"\propto": "∝", r"\infty": "∞", r"\to": "→", r"\ll": "≪", r"\gg": "≫",
    r"\left": "", r"\right": "", r"\,": " ", r"\log": "log", r"\exp": "exp", r"\max": "max", r"\min": "min",
}  # fmt: skip
_GREEK = {"alpha": "α", "beta": "β", "gamma": "γ", "lambda": "λ", "sigma": "σ", "theta": "θ", "epsilon": "ε"}
_SUBSCRIPTS = str.maketrans("0123456789aeiklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉ₐₑᵢₖₗₘₙₒₚᵣₛₜᵤᵥₓ")
_SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


@dataclass(frozen=True)
class Renderer:
    """Renderer of one question's prose in one language."""

    lang: Language
    judgements: Collection[Judgement] = ()
    prefix: str = ""
    """Beginning of all ids on its page."""
    known: Collection[int] = field(default_factory=frozenset)
    """Numbers of the questions that a page can be linked to."""

    def block(self, text: str) -> Markup:
        """Paragraphs, lists and formulas."""
        return self._rendered(text, inline=False)

    def inline(self, text: str) -> Markup:
        """One line."""
        return self._rendered(text, inline=True)

    def _rendered(self, text: str, *, inline: bool) -> Markup:
        held: list[str] = []

        def hold(found: re.Match[str]) -> str:
            code, display, formula, mark = found.groups()
            if code:
                return code
            if mark:
                held.append(self._mark(mark))
            else:
                held.append(mathml(formula or display, block=display is not None))
            return f"\ue000{len(held) - 1}\ue001"

        kept = _BREAK.sub("", _CODE_MATH_MARK.sub(hold, text.strip()))
        html = _markdown().renderInline(kept) if inline else _markdown().render(kept)
        linked = _QUESTION.sub(self._link, html)
        return Markup(_HELD.sub(lambda found: held[int(found[1])], linked))

    def _link(self, found: re.Match[str]) -> str:
        number = int(found[1] or -1)
        return f'<a href="q{number:02}.html">{found[0]}</a>' if number in self.known else found[0]

    def _mark(self, keys: str) -> str:
        """Signs after a sentence: what became of its claims."""
        return '<span class="marks">' + "".join(self._sign(key.strip()) for key in keys.split(",")) + "</span>"

    def _sign(self, key: str) -> str:
        if key == BY_DEFINITION:
            word, why = ("def.", "follows from definitions") if self.lang == "en" else ("定义", "由定义得出")
            return f'<span class="mark" title="{why}">{word}</span>'
        if key == NOT_MEASURED:
            word = "not measured" if self.lang == "en" else "未测"
            return f'<span class="mark">{word}</span>'
        judged = next((each for each in self.judgements if each.claim.key == key), None)
        if judged is None:
            raise WhyformerError(f"[^{key}] in the prose names no claim.")
        label = escape(judged.claim.text.say(self.lang))
        return (
            f'<a class="mark {judged.outcome}" href="#{self.prefix}claim-{key}" title="{label}">'
            f'<span class="sign">{SIGNS[judged.outcome]}</span><span class="unseen">{label}</span></a>'
        )


@cache
def _markdown() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False}).enable("table")


@cache
def mathml(formula: str, *, block: bool = False) -> str:
    """A formula of LaTeX for browsers, which need no script to show it.

    Raises:
        WhyformerError: it is no formula, or has a command that the converter does not know.
    """
    from latex2mathml.converter import convert

    try:
        markup = convert(formula.strip(), display="block" if block else "inline")
    except Exception as error:
        raise WhyformerError(f"${formula}$ is no formula: {type(error).__name__}.") from error
    unknown = re.search(r">(\\\w+)<", markup)
    if unknown is not None:
        raise WhyformerError(f"${formula}$: {unknown[1]} is unknown; write it in simple commands.")
    short = _ENTITY.sub(_letter, markup).replace(' xmlns="http://www.w3.org/1998/Math/MathML"', "")
    return short.replace(' display="inline"', "")


def _letter(found: re.Match[str]) -> str:
    letter = chr(int(found[1], 16))
    return found[0] if letter in "<>&" else letter


def plain(text: str) -> str:
    """Prose of one line as plain text, formulas in Unicode.

    >>> plain(r"Dividing by **$\\sqrt{d_k}$**: $x^2$. [^steps]")
    'Dividing by √dₖ: x².'
    """
    bare = MARK.sub("", text)
    bare = re.sub(r"\$\$?([^$]+)\$?\$", lambda found: _unicode(found[1]), bare)
    return re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", bare).replace("**", "").replace("`", "").strip()


def _unicode(formula: str) -> str:
    for command, sign in _PLAIN.items():
        formula = re.sub(re.escape(command) + r"(?![a-zA-Z])", sign, formula)
    for name, letter in _GREEK.items():
        formula = formula.replace(f"\\{name}", letter)
    formula = re.sub(r"\\(?:text|operatorname|mathrm|mathbf)\{([^}]*)\}", r"\1", formula)
    formula = re.sub(r"\\d?frac\{([^{}]*)\}\{([^{}]*)\}", r"\1/\2", formula)
    formula = re.sub(r"_\{?(\w+)\}?", lambda found: _script(found[1], _SUBSCRIPTS, "_"), formula)
    formula = re.sub(r"\^\{?([\d-]+)\}?", lambda found: _script(found[1], _SUPERSCRIPTS, "^"), formula)
    return re.sub(r"[{}\\]", "", formula)


def _script(text: str, letters: Mapping[int, int], sign: str) -> str:
    return text.translate(letters) if all(ord(letter) in letters for letter in text) else sign + text
