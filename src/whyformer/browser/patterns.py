r"""Regular expressions of the tokenizers library, which are Oniguruma's, as JavaScript has them.

Both have mostly the same signs, but not always for the same: ``$`` is also the end of a line in one of them,
``\s`` has U+0085 in the one and U+FEFF in the other. So each sign is translated or refused, none passed on.
"""

import re

_CATEGORIES = "L,Lu,Ll,Lt,Lm,Lo,M,Mn,Mc,Me,N,Nd,Nl,No,P,S,Z,C,Cc,Cf,Co,Cn"
_SCRIPTS = ("Arabic", "Cyrillic", "Greek", "Han", "Hangul", "Hebrew", "Hiragana", "Katakana", "Latin", "Thai")
PROPERTIES = {
    **{name: name for name in _CATEGORIES.split(",")},
    **{name: f"Script={name}" for name in _SCRIPTS},
}
"""Names in ``\\p{…}`` that are known, and JavaScript's for them."""
WHITE_SPACE = r"\p{White_Space}"
"""Any white space of Unicode: ``\\s`` there, but not in JavaScript."""

_KINDS = {"s": WHITE_SPACE, "S": r"\P{White_Space}", "d": r"\p{Nd}", "D": r"\P{Nd}"}
_CONTROLS = "tnvfr"
_ENDS = {"A": "^", "z": "$"}
_LINE_ENDS = {"^": r"(?:^|(?<=\n)(?!$))", "$": r"(?=\n|$)"}
_LOOKING = ("(?=", "(?!", "(?<=", "(?<!")
_QUANTIFIER = re.compile(r"[*+?]\??|\{\d+(?:,\d*)?\}")
_PROPERTY = re.compile(r"\\([pP])\{(\w+)\}")
_CODE_POINT = re.compile(r"\\x\{([0-9A-Fa-f]+)\}")
_SYNTAX = "^$\\.*+?()[]{}|/"
_SYNTAX_IN_SETS = "^$\\.*+?()[]{}|/&-!#%,:;<=>@`~"


def javascript_pattern(pattern: str) -> str:
    """A pattern that finds in JavaScript, with the flag v, what ``pattern`` finds in the library.

    Raises:
        ValueError: it has a sign that is not known here; the message is what stands there, or before its end.
    """
    return _Translation(pattern).whole()


class _Translation:
    """One pattern, read from left to right."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._place = 0

    def whole(self) -> str:
        found = self._alternatives()
        if self._rest:
            raise self._unknown()
        return found

    @property
    def _rest(self) -> str:
        return self._pattern[self._place :]

    def _unknown(self) -> ValueError:
        return ValueError(self._rest[:12] or self._pattern[-12:])

    def _takes(self, sign: str) -> bool:
        """Whether ``sign`` comes next; then it is passed."""
        found = self._pattern.startswith(sign, self._place)
        self._place += len(sign) * found
        return found

    def _matched(self, expression: re.Pattern[str]) -> re.Match[str] | None:
        found = expression.match(self._pattern, self._place)
        self._place += len(found[0]) if found else 0
        return found

    def _next(self) -> str:
        if not self._rest:
            raise self._unknown()
        self._place += 1
        return self._pattern[self._place - 1]

    def _alternatives(self) -> str:
        """Everything up to the end or to the parenthesis that closes a group."""
        found: list[str] = []
        while self._rest and not self._rest.startswith(")"):
            if self._takes("|"):
                found.append("|")
            elif (place := self._where()) is not None:
                found.append(place)
            else:
                found.append(self._one() + self._quantifier())
        return "".join(found)

    def _where(self) -> str | None:
        """A condition on a place, which holds no character."""
        for sign, translated in (*_LINE_ENDS.items(), *((f"\\{end}", _ENDS[end]) for end in _ENDS)):
            if self._takes(sign):
                return translated
        for opening in _LOOKING:
            if self._takes(opening):
                return opening + self._closed()
        return None

    def _closed(self) -> str:
        inner = self._alternatives()
        if not self._takes(")"):
            raise self._unknown()
        return f"{inner})"

    def _one(self) -> str:
        """One character, kind or group, which a quantifier may follow."""
        if self._takes("(?:") or (not self._rest.startswith("(?") and self._takes("(")):
            return f"(?:{self._closed()}"
        if self._takes("["):
            return self._set()
        if self._takes("."):
            return r"[^\n]"
        if (kind := self._kind()) is not None:
            return kind
        if self._rest[0] in "*+?{}()]":
            raise self._unknown()
        return self._character(_SYNTAX)

    def _quantifier(self) -> str:
        found = self._matched(_QUANTIFIER)
        # One more sign would make it possessive, or repeat what is repeated.
        if found and self._rest[:1] in ("*", "+", "?", "{"):
            raise self._unknown()
        return found[0] if found else ""

    def _kind(self) -> str | None:
        """A kind of characters that has a name."""
        if self._rest[:1] == "\\" and (kind := _KINDS.get(self._rest[1:2])):
            self._place += 2
            return kind
        named = _PROPERTY.match(self._pattern, self._place)
        if named and (name := PROPERTIES.get(named[2])):
            self._place += len(named[0])
            return rf"\{named[1]}{{{name}}}"
        return None

    def _character(self, syntax: str) -> str:
        if code := self._matched(_CODE_POINT):
            return rf"\u{{{code[1]}}}"
        if self._rest[:1] == "\\":
            escaped = self._rest[1:2]
            if escaped in ("", *"0123456789") or (escaped.isalnum() and escaped not in _CONTROLS):
                raise self._unknown()
            self._place += 1
            if escaped in _CONTROLS:
                return f"\\{self._next()}"
        found = self._next()
        if found in syntax:
            return f"\\{found}"
        return found if found.isprintable() else rf"\u{{{ord(found):X}}}"

    def _set(self) -> str:
        """A set of characters, behind its opening bracket."""
        opening = "[^" if self._takes("^") else "["
        operands: list[list[str]] = [[]]
        while not self._takes("]"):
            if self._takes("&&"):
                operands.append([])
            else:
                operands[-1].append(self._member())
        if not all(operands):
            raise self._unknown()
        if len(operands) == 1:
            return f"{opening}{''.join(operands[0])}]"
        # JavaScript wants one set on each side, and a range is none.
        sides = (
            "".join(side) if len(side) == 1 and side[0][0] == "[" else f"[{''.join(side)}]"
            for side in operands
        )
        return f"{opening}{'&&'.join(sides)}]"

    def _member(self) -> str:
        if not self._rest.startswith("[:") and self._takes("["):
            return self._set()
        if (kind := self._kind()) is not None:
            return kind
        first = self._in_set()
        return f"{first}-{self._in_set()}" if self._takes("-") else first

    def _in_set(self) -> str:
        if self._rest[:1] in ("", "-", "[", "]"):
            raise self._unknown()
        return self._character(_SYNTAX_IN_SETS)
