"""Lines of several sentences, cut where a sentence surely ends; where that is in doubt they stay whole."""

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise

_ABBREVIATIONS = frozenset(
    re.findall(
        r"\S+",
        """
        mr mrs ms dr st prof jr sr co inc ltd corp no nos fig vs vol pp cf etc al approx dept est
        gen col capt lt sgt rev hon gov sen rep messrs mme mlle sra jan feb mar apr jun jul aug
        sep sept oct nov dec mon tue wed thu fri sat sun e.g i.e a.m p.m ph.d nr str hr fr frl bzw
        ca usw vgl evtl ggf inkl abs art bd z.b d.h u.a hrsg ing dipl av ave blvd mt
        """,
    )
)
_CLOSING = "[\"'”’»)\\]」』》】）]*"
_OPENING = "[\"'“‘„«¿¡(\\[「『《【（]*"
_END = re.compile(rf"(?P<spaced>[.!?…؟।॥։]+{_CLOSING})(?=\s)|(?P<unspaced>[。！？｡]+{_CLOSING})(?=\s*\S)")
_NEXT = re.compile(rf"\s*{_OPENING}(\S)")
_WORD = re.compile(r"\S+\Z")
_QUOTES = ("“”", "「」", "『』", "()", "（）")
_UNSPACED = re.compile(r"[\u3000-\u30ff\u3400-\u9fff\uff00-\uffef]")


def split_line(line: str) -> list[str]:
    r"""The sentences of ``line`` in their order, without white space around them.

    A point ends no sentence behind an abbreviation, an initial or a number of one or two digits (a German
    date), before a small letter, or inside of quotes and parentheses that are still open.

    >>> split_line("Dr. Smith left at 3.15 p.m. yesterday. “Why?” asked Tom. 他走了。我也走了！")
    ['Dr. Smith left at 3.15 p.m. yesterday.', '“Why?” asked Tom.', '他走了。', '我也走了！']
    """
    ends = [match.end() for match in _END.finditer(line) if _certain(line, match)]
    parts: list[str] = []
    start = 0
    for end in ends:
        if _closed(line[start:end]):
            parts.append(line[start:end])
            start = end
    return [part.strip() for part in (*parts, line[start:]) if part.strip()]


def join_sentences(sentences: Iterable[str]) -> str:
    """One line of several sentences: with spaces in between, but not in scripts without them."""
    kept = [sentence for sentence in sentences if sentence.strip()]
    return "".join(_joined(kept))


def _joined(sentences: list[str]) -> Iterator[str]:
    yield from sentences[:1]
    for before, after in pairwise(sentences):
        unspaced = _UNSPACED.match(before[-1]) or (_UNSPACED.match(after[0]) and not before[-1].isascii())
        yield after if unspaced else f" {after}"


def _certain(line: str, match: re.Match[str]) -> bool:
    following = _NEXT.match(line, match.end())
    if following is None:
        return False
    if (mark := match["unspaced"]) is not None:
        # What was said is often followed by who said it: “好。”他说。
        return mark[-1] in "。！？｡" or line[match.end()] in "“「『《（"
    if following[1].islower():
        return False
    if match["spaced"][0] != ".":
        return True
    word = _WORD.search(line, 0, match.start())
    before = word[0].lstrip("\"'“‘„«([").rstrip(".").lower() if word else ""
    initial = len(before) == 1 and before.isalpha() and before.isascii()
    dotted = "." in before and all(len(part) == 1 for part in before.split("."))
    ordinal = len(before) <= 2 and before.isdigit()
    return not (before in _ABBREVIATIONS or initial or dotted or ordinal)


def _closed(part: str) -> bool:
    pairs = [pair for pair in _QUOTES if not (pair[0] == "“" and "„" in part)]
    return all(part.count(opening) <= part.count(closing) for opening, closing in pairs)
