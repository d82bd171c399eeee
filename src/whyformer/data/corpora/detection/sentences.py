"""Sentences of a text by rule: good enough to cut training text at, and no more than that."""

import re

# Points after these end no sentence; single capitals are initials.
_ABBREVIATIONS = ("Mr", "Mrs", "Ms", "Dr", "St", "Prof", "vs", r"e\.g", r"i\.e", "[A-Z]")
_NOT_ABBREVIATED = "".join(rf"(?<!\b{word})" for word in _ABBREVIATIONS)
_CLOSING = "[\"'”’)\\]»」』》）]*"
# What is said may end with a question mark in the middle of a sentence: then a small letter follows.
_ENGLISH = rf"(?:{_NOT_ABBREVIATED}\.|[!?…])[.!?…]*{_CLOSING}\s++(?![a-z])"
_CHINESE = rf"[。！？…]+{_CLOSING}"
SENTENCE_END = re.compile(f"{_ENGLISH}|{_CHINESE}")
"""End of a sentence, up to where the next one begins."""


def split_sentences(text: str) -> list[str]:
    r"""The sentences of ``text``, without white space around them; a line end always ends one.

    >>> split_sentences("“Why?” asked Mr. Utterson. He left.\n是非成败转头空。青山依旧在！")
    ['“Why?” asked Mr. Utterson.', 'He left.', '是非成败转头空。', '青山依旧在！']
    """
    lines = SENTENCE_END.sub("\\g<0>\n", text).split("\n")
    return [sentence for line in lines if (sentence := line.strip())]
