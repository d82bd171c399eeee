"""Prose as HTML: Markdown, formulas as MathML, and marks that lead from a sentence to its claims."""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cache
from html import escape

from markdown_it import MarkdownIt
from markupsafe import Markup

from whyformer.errors import WhyformerError
from whyformer.plots.chart import Language
from whyformer.why.book.labels import OUTCOME_MARKS
from whyformer.why.book.prose import BY_DEFINITION, MARK, NOT_MEASURED
from whyformer.why.question import Judgement

_CODE_MATH_MARK = re.compile(rf"(`[^`]*`)|\$\$(.+?)\$\$|\$([^$]+)\$|{MARK.pattern}", re.DOTALL)
_BOX, _LONG = '<span class="formula', 22
_HOLD, _ALONE, _MARKED = "\ue000", "\ue002", "\ue003"
_HELD = re.compile("[\ue000\ue002\ue003](\\d+)\ue001")
# A line ends neither between a formula and what encloses it nor before the sign after a sentence.
_TOGETHER = re.compile(
    "[（(《“]?\ue000\\d+\ue001[，。；：、）》”？！,.;:?!)]*(?:\\s?\ue003\\d+\ue001)?"
    "|[。！？.!?]\\s?\ue003\\d+\ue001"
)
_ENTITY = re.compile(r"&#x(\w+);")
_QUESTION = re.compile(r"<a .*?</a>|<code>.*?</code>|(?<![\w/])Q(\d\d?)(?!\w)")
# Within Chinese a line break is no space.
_BREAK = re.compile(
    r"(?<=[\u2e80-\u9fff\uff00-\uffef])\n(?=[^\s\-*\d>|#])|(?<=\S)\n(?=[\u2e80-\u9fff\uff00-\uffef])"
)


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
                held.append(self._formula(formula or display, block=display is not None))
            # Formulas in boxes of their own need no neighbours.
            kind = _MARKED if mark else _ALONE if held[-1].startswith(_BOX) else _HOLD
            return f"{kind}{len(held) - 1}\ue001"

        kept = _BREAK.sub("", _CODE_MATH_MARK.sub(hold, text.strip()))
        # A number keeps its unit.
        kept = re.sub(r"(?<=\d) (?=%|Hz\b|MB\b|ms\b|s\b)", "\u00a0", kept)
        html = _markdown().renderInline(kept) if inline else _markdown().render(kept)
        linked = _TOGETHER.sub(r'<span class="together">\g<0></span>', _QUESTION.sub(self._link, html))
        return Markup(_HELD.sub(lambda found: held[int(found[1])], linked))

    def _formula(self, latex: str, *, block: bool) -> str:
        """A formula; one that may be wider than a phone scrolls within its box, as browsers break none."""
        shown = mathml(latex, block=block)
        if not block and not _is_long(shown):
            return shown
        kind, name = "formula" if block else "formula within", "formula" if self.lang == "en" else "公式"
        return f'<span class="{kind}" tabindex="0" role="group" aria-label="{name}">{shown}</span>'

    def _link(self, found: re.Match[str]) -> str:
        number = int(found[1] or -1)
        return f'<a href="q{number:02}.html">{found[0]}</a>' if number in self.known else found[0]

    def _mark(self, keys: str) -> str:
        """Signs after a sentence: what became of its claims."""
        return (
            '<span class="marks">' + "".join(self._sign(key.strip()) for key in keys.split(",")) + "</span>"
        )

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
        label, sign = escape(judged.claim.text.say(self.lang)), OUTCOME_MARKS[judged.outcome]
        return (
            f'<a class="mark {judged.outcome}" href="#{self.prefix}claim-{key}" title="{label}">'
            f'<span aria-hidden="true">{sign}</span></a>'
        )


def _is_long(formula: str) -> bool:
    return len(re.sub(r"<[^>]*>", "", formula)) > _LONG


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
