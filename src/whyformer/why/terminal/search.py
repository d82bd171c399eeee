"""Search among the questions, which forgives case, hyphens, and another word for the same thing."""

import difflib
import re
import unicodedata
from collections.abc import Iterable, Sequence

from whyformer.language import LANGUAGES
from whyformer.why.book.plain import plain_text
from whyformer.why.book.prose import read_prose, without_marks
from whyformer.why.question import Question

SAME = (
    ("点积", "点乘", "内积", "dotproduct"),
    ("加性", "加法", "additive", "bahdanau"),
    ("掩码", "掩膜", "遮罩", "mask", "masking"),
    ("多头", "multihead"),
    ("位置", "position", "positional"),
    ("旋转", "rope", "rotary"),
    ("归一化", "规范化", "normalization", "normalisation"),
    ("残差", "residual"),
    ("词元", "token", "tokens"),
    ("交叉注意力", "crossattention"),
    ("自注意力", "selfattention"),
    ("注意力", "attention"),
    ("编码器", "encoder"),
    ("解码器", "decoder"),
    ("缩放", "scale", "scaling", "scaled"),
    ("前馈", "ffn", "feedforward"),
    ("批归一化", "batchnorm"),
    ("层归一化", "layernorm"),
)
"""Words for one thing, in both languages; the first stands for all."""
_CHINESE = {other: first for first, *others in SAME for other in others if not other.isascii()}
_NEAR = 0.75
"""Likeness from which on a word is offered where none is found."""


def search_questions(questions: Iterable[Question], query: str) -> list[Question]:
    """Questions in which all words of ``query`` occur, those first that have them in their titles."""
    words = [word for word in map(normalized, query.split()) if word]
    found: list[tuple[int, int, Question]] = []
    for question in questions:
        texts = [normalized(text) for text in texts_of(question)]
        places = [_place(word, texts) for word in words]
        known = [place for place in places if place is not None]
        if known and len(known) == len(words):
            found.append((max(known), question.number, question))
    return [question for _, _, question in sorted(found, key=lambda each: each[:2])]


def nearest(questions: Iterable[Question], query: str) -> list[str]:
    """Words of the questions that ``query`` may have meant: a few, or none."""
    known = {
        word.casefold()
        for question in questions
        for text in texts_of(question)
        for word in re.findall(r"[A-Za-z]{3,}", text)
    }
    return difflib.get_close_matches(query.strip().casefold(), sorted(known), n=3, cutoff=_NEAR)


def texts_of(question: Question) -> tuple[str, str, str]:
    """Everything that is searched, in both languages: title, topic words, prose."""
    prose = (read_prose(question.stem, lang).parts.values() for lang in LANGUAGES)
    told = " ".join(plain_text(text) for parts in prose for text in without_marks(parts))
    return f"{question.title.en} {question.title.zh} {question.stem}", question.topic.words, told


def normalized(text: str) -> str:
    """``text`` with one form for all that is written in several.

    >>> normalized("Multi-Head"), normalized("点乘"), normalized("√d_k = √dₖ"), normalized("ＢＥＲＴ")
    ('multihead', '点积', '√dk = √dk', 'bert')
    """
    text = re.sub(r"[_\-‐–’']+", "", unicodedata.normalize("NFKC", text).casefold())
    for other, first in _CHINESE.items():
        text = text.replace(other, first)
    return text


def _place(word: str, texts: Sequence[str]) -> int | None:
    """The first of ``texts`` in which ``word`` stands, or another word for the same."""
    group = next((same for same in SAME if word in same), (word,))
    # A Latin word begins where no other letter stands before it; Chinese has no such places.
    forms = [rf"(?<![a-z]){re.escape(form)}" if form.isascii() else re.escape(form) for form in group]
    pattern = re.compile("|".join(forms))
    return next((index for index, text in enumerate(texts) if pattern.search(text)), None)
