"""HTML in stretches: markup, which stays as it is, and text between it.

A scanner of ours, as that of the standard library takes seconds for 20,000 characters of broken tags, and may
raise (docs/libraries.md). Ours looks at each character once; the rules are those of the HTML standard,
section 13.2.5, as far as they tell text from markup.
"""

import re
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

# Text that is for machines, or that is quoted as somebody typed it.
_UNTRANSLATED = frozenset(("script", "style", "code", "kbd", "samp", "var", "textarea", "template"))
# No tag but their own end is looked for inside of these.
_RAW = frozenset(("script", "style", "textarea", "xmp", "iframe", "noembed", "noframes"))
_VOID = frozenset(
    (
        "area",
        "base",
        "br",
        "col",
        "embed",
        "hr",
        "img",
        "input",
        "link",
        "meta",
        "param",
        "source",
        "track",
        "wbr",
    )
)

_TAG = re.compile(r"</?([a-zA-Z][^\s/>]*)")
_ATTRIBUTE = re.compile(r"[\s/]*([^\s/>=][^\s/>=]*)\s*(=?)\s*")
_REST = re.compile(r"[\s/=]*")
_UNQUOTED = re.compile(r"[^\s>]*")


class Stretch(NamedTuple):
    """A part of a document, character for character."""

    raw: str
    is_text: bool
    """Whether it is text to be translated, with character references in it."""


def stretches(document: str) -> Iterator[Stretch]:
    """The parts that make up ``document``, in their order.

    Text inside of ``<script>``, ``<code>`` and the like, or of ``translate="no"``, counts as markup.

    >>> [each.raw for each in stretches("<p>1 &lt; 2</p>") if each.is_text]
    ['1 &lt; 2']
    """
    for is_text, together in groupby(_Scanner(document).found(), key=lambda stretch: stretch.is_text):
        yield Stretch("".join(stretch.raw for stretch in together), is_text)


class _Scanner:
    """Goes through a document once, and knows which elements are open."""

    def __init__(self, document: str) -> None:
        self._document = document
        self._open: list[tuple[str, bool]] = []
        self._depths = Counter[str]()

    def found(self) -> Iterator[Stretch]:
        """Texts and pieces of markup, one after the other."""
        document, begin = self._document, 0
        while begin < len(document):
            start = document.find("<", begin)
            start = len(document) if start < 0 else start
            if start > begin:
                yield Stretch(document[begin:start], self._translated)
            begin = start
            if start < len(document):
                begin, is_markup = self._markup(start)
                yield Stretch(document[start:begin], not is_markup and self._translated)

    @property
    def _translated(self) -> bool:
        return self._open[-1][1] if self._open else True

    def _markup(self, start: int) -> tuple[int, bool]:
        """The end of what begins with ``<`` at ``start``, and whether it is markup."""
        document = self._document
        if document.startswith("<!--", start):
            return self._behind("-->", start + 2), True
        if tag := _TAG.match(document, start):
            return self._tag(tag), True
        if document.startswith(("<!", "<?", "</"), start):
            return self._behind(">", start), True
        return start + 1, False

    def _behind(self, sign: str, start: int) -> int:
        """The place behind the next ``sign``, or the end."""
        found = self._document.find(sign, start)
        return len(self._document) if found < 0 else found + len(sign)

    def _tag(self, tag: re.Match[str]) -> int:
        """The end of a ``tag`` whose name was read; what it opens or closes is noted."""
        name = tag[1].lower()
        end, asked = self._attributes(tag.end())
        if tag[0].startswith("</"):
            self._close(name)
        elif name in _RAW:
            closing = re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE | re.ASCII)
            found = closing.search(self._document, end)
            return len(self._document) if found is None else found.start()
        elif name not in _VOID and not self._document.endswith("/>", 0, end):
            translated = {"no": False, "yes": True}.get(asked.lower())
            inherited = self._translated and name not in _UNTRANSLATED
            self._open.append((name, inherited if translated is None else translated))
            self._depths[name] += 1
        return end

    def _attributes(self, place: int) -> tuple[int, str]:
        """The end of the tag whose attributes begin at ``place``, and the value of ``translate``."""
        document, asked = self._document, ""
        while attribute := _ATTRIBUTE.match(document, place):
            place = attribute.end()
            value = ""
            if attribute[2]:
                quote = document[place : place + 1]
                if quote in ("'", '"'):
                    begin, place = place + 1, self._behind(quote, place + 1)
                    value = document[begin : place - 1]
                elif found := _UNQUOTED.match(document, place):
                    value, place = found[0], found.end()
            if attribute[1].lower() == "translate":
                asked = value
        rest = _REST.match(document, place)
        return self._behind(">", place if rest is None else rest.end()), asked

    def _close(self, name: str) -> None:
        while self._depths[name] > 0:
            closed, _ = self._open.pop()
            self._depths[closed] -= 1
            if closed == name:
                return
