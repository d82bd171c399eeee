"""Prose of the questions: Markdown files, one for each question and language, such as ``prose/q03.en.md``.

Measured numbers do not stand in the files but are filled in from the results: ``{{steps:.1f}}`` is the mean
over the seeds of the claim, or of the question's number, with that name, in Python's format. A sentence of an
answer ends with a mark, which names the claims that it belongs to: ``[^steps]``, ``[^steps,small]``; or
``[^def]`` where it follows from definitions, ``[^-]`` where it was not measured.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from whyformer.errors import WhyformerError
from whyformer.plots.chart import Language
from whyformer.why.question import Question, Verdict

FOLDER = Path(__file__).parents[1] / "prose"
PARTS = ("Headline", "Short", "Answer", "Derivation", "Common", "Points", "Follow-ups", "Caveats")
"""The headings of each file, in any language and in this order."""
LISTS = ("Common", "Points", "Follow-ups")
"""Parts that are lists, a line that begins with ``- `` for each entry."""
MARKED = ("Short", "Answer")
"""Parts whose every sentence ends with a mark."""
_VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
BY_DEFINITION, NOT_MEASURED = "def", "-"
MARK = re.compile(r"\s*\[\^([\w,\- ]+)\]")
_HEADING = re.compile(r"^# *(.*?) *$", re.MULTILINE)
_HEADLINE = re.compile(r"Headline \((\w+)\)")
_PLACEHOLDER = re.compile(r"\{\{(\w+)(?::([^{}]*))?\}\}")
# Chinese characters and punctuation, between which a line break is no space.
_CHINESE = "\u2e80-\u9fff\uff00-\uffef"
_BREAK_IN_CHINESE = re.compile(rf"(?<=[{_CHINESE}])\n(?=[{_CHINESE}])")
# Between Chinese sentences there is none, which a mark has left.
_SPACE_AFTER_STOP = re.compile(r"(?<=[。！？；])[ \t]+")
# Formulas, code, links, names such as GPT-2 or Q03, and years may have digits that nobody measured.
_NO_NUMBERS = re.compile(
    r"\$\$[^$]*\$\$|\$[^$]*\$|`[^`]*`|\[[^\]]*\]\([^)]*\)|\[\^[^\]]*\]|\{\{[^}]*\}\}"
    r"|(?<![A-Za-z0-9])[A-Za-z]+[-.]?\d+(?![\d])|(?<!\d)(?:19|20)\d\d(?!\d)"
)
_SENTENCE_END = re.compile(r"[。！？]|(?<!e\.g)(?<!i\.e)(?<!vs)(?<! al)(?<!cf)[.!?](?=[\s\[\"”)]|$)")


@dataclass(frozen=True)
class Prose:
    """Text around a question's numbers, in one language."""

    verdict: Verdict
    """The verdict that the headline was written for."""
    parts: Mapping[str, str]
    """Markdown by the names of ``PARTS``."""

    def filled(self, values: Mapping[str, float]) -> "Prose":
        """The same with numbers in their places, by ``Findings.values``.

        Raises:
            WhyformerError: a place names no number, or its format is none.
        """
        return replace(self, parts={name: _fill(text, values) for name, text in self.parts.items()})

    def paragraphs(self, part: str) -> tuple[str, ...]:
        """Paragraphs of ``part``, or the entries of a list, each as one line."""
        text = self.parts[part]
        return _entries(text) if part in LISTS else _paragraphs(text)


def read_prose(stem: str, lang: Language) -> Prose:
    """The prose of the question whose files are named ``stem``.

    Raises:
        WhyformerError: there is no such file, or its parts are not all of ``PARTS``, each with some text.
    """
    path = FOLDER / f"{stem}.{lang}.md"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise WhyformerError(f"{path}: missing; write it with the headings {_wanted()}.") from None
    before, *pieces = _HEADING.split(text)
    first, *headings = pieces[::2] or [""]
    headline = _HEADLINE.fullmatch(first)
    if before.strip() or headline is None or headings != [*PARTS[1:]]:
        found = ", ".join(f"# {heading}" for heading in (first, *headings) if heading) or "none"
        raise WhyformerError(
            f"{path}: the headings must be {_wanted()}, in this order, nothing before; found: {found}."
        )
    verdict: Verdict | None = next((each for each in _VERDICTS if each == headline[1]), None)
    if verdict is None:
        known = ", ".join(_VERDICTS)
        raise WhyformerError(f"{path}: {headline[1]} is no verdict; # Headline names one of {known}.")
    parts = {name: body.strip() for name, body in zip(PARTS, pieces[1::2], strict=True)}
    for name, body in parts.items():
        if not body:
            raise WhyformerError(f"{path}: nothing stands under # {name}; write it.")
    return Prose(verdict, parts)


def prose_faults(question: Question, prose: Prose) -> list[str]:
    """Whatever breaks the rules of this module, a sentence each; a test finds none in what is shipped."""
    keys = {claim.key for claim in question.claims} | {*question.numbers}
    faults: list[str] = []
    for name, text in prose.parts.items():
        faults += [
            f"{name}: {{{{{key}}}}} names no number"
            for key, _ in _PLACEHOLDER.findall(text)
            if key not in keys
        ]
        faults += [f"{name}: a number by hand: {found}" for found in numbers_by_hand(text)]
        if name in MARKED:
            faults += [
                f"{name}: {fault}" for each in _paragraphs(text) for fault in _mark_faults(each, question)
            ]
    entries = {name: len(_entries(prose.parts[name])) for name in LISTS}
    if entries["Follow-ups"] != 3:
        faults.append(f"Follow-ups: {entries['Follow-ups']} entries instead of three")
    return faults + [f"{name}: no entry that begins with -" for name, count in entries.items() if not count]


def without_marks(paragraphs: Iterable[str]) -> list[str]:
    """Paragraphs as they are read where marks cannot be shown.

    >>> without_marks(["So it is. [^it] Yes. [^-]", "就是这样。[^it] 对。 [^-]"])
    ['So it is. Yes.', '就是这样。对。']
    """
    return [_SPACE_AFTER_STOP.sub("", MARK.sub("", each)) for each in paragraphs]


def numbers_by_hand(text: str) -> list[str]:
    """Pieces of ``text`` around digits that are filled in from nowhere.

    >>> numbers_by_hand("Q03: GPT-2 of 2019 has $d_k = 64$ and {{steps:.1f}}")
    []
    >>> numbers_by_hand("$$p_1 = 1$$")
    []
    >>> numbers_by_hand("It takes 3.8 times as long")
    ['takes 3.8 times']
    """
    bare = _NO_NUMBERS.sub("", re.sub(r"^\d+\. ", "", text, flags=re.MULTILINE))
    return [found.strip() for found in re.findall(r"\S*\s?\S*\d\S*\s?\S*", bare)]


def _mark_faults(paragraph: str, question: Question) -> list[str]:
    known = {claim.key for claim in question.claims} | {BY_DEFINITION, NOT_MEASURED}
    marks = MARK.findall(paragraph)
    faults = [
        f"[^{key}] is no claim"
        for mark in marks
        for key in map(str.strip, mark.split(","))
        if key not in known
    ]
    said = re.sub(r"\$[^$]*\$|`[^`]*`|\{\{[^}]*\}\}", "x", paragraph)
    if not re.search(r"\[\^[^\]]*\]\s*$", said):
        faults.append(f"the paragraph ends without a mark: …{paragraph[-30:]}")
    elif len(_SENTENCE_END.findall(MARK.sub(" ", said))) > len(marks):
        faults.append(f"a sentence without a mark: {paragraph[:60]}…")
    return faults


def _fill(text: str, values: Mapping[str, float]) -> str:
    def number(found: re.Match[str]) -> str:
        key, form = found[1], found[2] or ".3g"
        try:
            return format(values[key], form).replace("-", "−")
        except KeyError:
            raise WhyformerError(f"{{{{{key}}}}} in the prose names no number of the question.") from None
        except ValueError:
            raise WhyformerError(
                f"{{{{{key}:{form}}}}} in the prose has no format that Python knows."
            ) from None

    return _PLACEHOLDER.sub(number, text)


def _wanted() -> str:
    return "# Headline (VERDICT), " + ", ".join(f"# {part}" for part in PARTS[1:])


def _paragraphs(text: str) -> tuple[str, ...]:
    r"""Paragraphs, which a blank line ends, each as one line.

    >>> _paragraphs("One\nline.\n\nAnother.\n")
    ('One line.', 'Another.')
    >>> _paragraphs("一行，\n还是一行。用\nBERT。")
    ('一行，还是一行。用 BERT。',)
    """
    blocks = (block.strip() for block in re.split(r"\n\s*\n", text))
    return tuple(_one_line(block) for block in blocks if block)


def _entries(text: str) -> tuple[str, ...]:
    """Entries of a list, each as one line."""
    return tuple(_one_line(each.strip()) for each in re.split(r"^- ", text, flags=re.MULTILINE)[1:])


def _one_line(block: str) -> str:
    return " ".join(line.strip() for line in _BREAK_IN_CHINESE.sub("", block).split("\n"))
