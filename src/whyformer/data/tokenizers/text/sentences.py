"""Lines of several sentences, cut where a sentence surely ends; where that is in doubt they stay whole."""

import re
from collections import Counter
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
_CLOSES = "\"'”’»)\\]」』》】）"
_POINTS, _UNSPACED_POINTS = ".!?…؟।॥։", "。！？｡"
_OPENING = "[\"'“‘„«¿¡(\\[「『《【（]*"
# Of points in a row only the first is tried: if each were, a thousand of them would cost a million looks.
_END = re.compile(
    rf"(?P<spaced>(?<![{_POINTS}])[{_POINTS}]+[{_CLOSES}]*)(?=\s)|"
    rf"(?P<unspaced>(?<![{_UNSPACED_POINTS}])[{_UNSPACED_POINTS}]+[{_CLOSES}]*)"
    rf"(?![{_UNSPACED_POINTS}{_CLOSES}])(?=\s*\S)"
)
_NEXT = re.compile(rf"\s*{_OPENING}(\S)")
_QUOTES = ("“”", "「」", "『』", "()", "（）")
_QUOTE = re.compile(f"[{re.escape('„' + ''.join(_QUOTES))}]")
_UNSPACED = re.compile(r"[\u3000-\u30ff\u3400-\u9fff\uff00-\uffef]")


def split_line(line: str) -> list[str]:
    r"""The sentences of ``line`` in their order, without white space around them.

    A point ends no sentence behind an abbreviation, an initial or a number of one or two digits (a German
    date), before a small letter, or inside of quotes and parentheses that are still open.

    >>> split_line("Dr. Smith left at 3.15 p.m. yesterday. “Why?” asked Tom. 他走了。我也走了！")
    ['Dr. Smith left at 3.15 p.m. yesterday.', '“Why?” asked Tom.', '他走了。', '我也走了！']
    """
    parts, start, seen, quotes = list[str](), 0, 0, Counter[str]()
    for match in _END.finditer(line):
        if not _certain(line, match):
            continue
        quotes.update(_QUOTE.findall(line, seen, match.end()))
        seen = match.end()
        if _closed(quotes):
            parts.append(line[start:seen])
            start = seen
            quotes.clear()
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
    before = _word_before(line, match.start()).lstrip("\"'“‘„«([").rstrip(".").lower()
    initial = len(before) == 1 and before.isalpha() and before.isascii()
    dotted = "." in before and all(len(part) == 1 for part in before.split("."))
    ordinal = len(before) <= 2 and before.isdigit()
    return not (before in _ABBREVIATIONS or initial or dotted or ordinal)


def _word_before(line: str, end: int) -> str:
    start = end
    while start > 0 and not line[start - 1].isspace():
        start -= 1
    return line[start:end]


def _closed(quotes: Counter[str]) -> bool:
    """Whether as many are closed as are open, by how often each mark is there; “ closes a German quote."""
    pairs = [pair for pair in _QUOTES if not (pair[0] == "“" and quotes["„"])]
    return all(quotes[opening] <= quotes[closing] for opening, closing in pairs)
