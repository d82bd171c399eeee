"""Prose of the questions: Markdown files, one for each question and language, such as ``prose/q03.en.md``."""

import re
from dataclasses import dataclass
from pathlib import Path

from whyformer.errors import WhyformerError
from whyformer.plots.chart import Language

FOLDER = Path(__file__).parents[1] / "prose"
PARTS = ("Answer", "Caveats")
"""The headings of each file, in any language."""
_HEADING = re.compile(r"^# *(.*?) *$", re.MULTILINE)
# Chinese characters and punctuation, between which a line break is no space.
_CHINESE = "\u2e80-\u9fff\uff00-\uffef"
_BREAK_IN_CHINESE = re.compile(rf"(?<=[{_CHINESE}])\n(?=[{_CHINESE}])")


@dataclass(frozen=True)
class Prose:
    """Text around a question's numbers, in one language; a string for each paragraph."""

    answer: tuple[str, ...]
    """The answer that is put to the test."""
    caveats: tuple[str, ...]
    """Conditions that the arms have in common, and limits of the answer."""


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
    headings, bodies = pieces[::2], pieces[1::2]
    if before.strip() or sorted(headings) != sorted(PARTS):
        found = ", ".join(f"# {heading}" for heading in headings) or "none"
        raise WhyformerError(
            f"{path}: the headings must be {_wanted()}, each once and with nothing before; found: {found}."
        )
    parts = {heading: _paragraphs(body) for heading, body in zip(headings, bodies, strict=True)}
    for heading, paragraphs in parts.items():
        if not paragraphs:
            raise WhyformerError(f"{path}: nothing stands under # {heading}; write it.")
    return Prose(answer=parts["Answer"], caveats=parts["Caveats"])


def _wanted() -> str:
    return ", ".join(f"# {part}" for part in PARTS)


def _paragraphs(text: str) -> tuple[str, ...]:
    r"""Paragraphs, which a blank line ends, each as one line.

    >>> _paragraphs("One\nline.\n\nAnother.\n")
    ('One line.', 'Another.')
    >>> _paragraphs("一行，\n还是一行。用\nBERT。")
    ('一行，还是一行。用 BERT。',)
    """
    blocks = (block.strip() for block in re.split(r"\n\s*\n", text))
    return tuple(" ".join(_BREAK_IN_CHINESE.sub("", block).split("\n")) for block in blocks if block)
