"""The beginnings of a text in tokens, where only its beginning in characters is known.

The last piece may end where the beginning ends, or reach beyond: what begins with "36分" may be written with
a piece "分钟". So the beginning is not one sequence of tokens but several.
"""

from collections.abc import Iterator

from whyformer import special_tokens
from whyformer.data.corpora.detection.blank import is_blank
from whyformer.data.tokenizers.tokenizer import Tokenizer
from whyformer.errors import DecodingError

# What may follow decides how a few characters are cut: an apostrophe is part of a word if a letter follows.
_FOLLOWING = ("", "a", "1", ".", " a", " .", "的", "\n")
_TAIL = 60
"""Characters at the end that are tried to be cut in all ways."""
Tokens = tuple[int, ...]


def openings(tokenizer: Tokenizer, text: str) -> tuple[Tokens, ...]:
    """The sequences of tokens, one of which opens any text that begins with ``text``, as it would be cut.

    None of them begins with another; each reaches just to the end of ``text`` or, by its last piece,
    beyond. White space at the end counts: a word has to follow. Blank text has none.

    Raises:
        DecodingError: the tokenizer has no piece for a character of ``text``.
    """
    if is_blank(text):
        return ()
    beginning, stripped = _beginning(tokenizer, text)
    head, tail, stripped = _parted(tokenizer, beginning, stripped)
    found = dict.fromkeys(
        opening
        for ids in tokenizer.encode_all([each[stripped:] for each in _candidates(tokenizer, tail)])
        if (opening := _reaching(ids, tokenizer.spelled, len(tail.encode()))) is not None
    )
    found |= dict.fromkeys(_within_characters(tokenizer, tail, stripped))
    exact = [ids for ids in found if _spells(ids, tokenizer.spelled).startswith(tail.encode())]
    if not exact or special_tokens.UNK in head:
        written = tokenizer.decode(tokenizer.encode(text))
        raise DecodingError(
            f"the target tokenizer can write the prefix {text!r} only as {written!r}; leave out what is "
            "unknown."
        )
    return tuple((*head, *ids) for ids in exact)


def _parted(tokenizer: Tokenizer, beginning: str, stripped: int) -> tuple[Tokens, str, int]:
    """The tokens of all but the last words of a long ``beginning``, the rest, and what to strip of that.

    It stays whole where that would cut it otherwise.
    """
    place = beginning.rfind(" ", 1, max(1, len(beginning) - _TAIL))
    if place > 0 and beginning[place - 1] != " ":
        head, tail = tokenizer.encode(beginning[stripped:place]), beginning[place:]
        whole = tokenizer.encode(beginning[stripped:])
        for front in (1, 0):
            if [*head, *tokenizer.encode(tail[front:])] == whole:
                return tuple(head), tail, front
    return (), beginning, stripped


def _beginning(tokenizer: Tokenizer, text: str) -> tuple[str, int]:
    """``text`` in the form that pieces spell, and the number of characters in front that cutting adds."""
    # What follows keeps the space before it.
    spelled, clean = tokenizer.spelling(f"{text}x")[:-1], tokenizer.normalized(f"{text}x")[:-1]
    return spelled, int(len(spelled) > len(clean))


def _candidates(tokenizer: Tokenizer, beginning: str) -> Iterator[str]:
    """Texts that begin with ``beginning`` and end with a piece that reaches beyond it, or soon after it."""
    yield from (beginning + following for following in _FOLLOWING)
    pieces = [piece for piece in tokenizer.readable_spellings if piece]
    longest = max(map(len, pieces), default=0)
    for start in range(max(0, len(beginning) - longest + 1), len(beginning)):
        rest = beginning[start:]
        for piece in pieces:
            if len(piece) > len(rest) and piece.startswith(rest):
                yield beginning[:start] + piece
                if not piece[-1].isalnum():
                    yield f"{beginning[:start]}{piece}a"


def _within_characters(tokenizer: Tokenizer, beginning: str, stripped: int) -> Iterator[Tokens]:
    """The openings whose last piece ends, beyond ``beginning``, within a character (pieces of bytes)."""
    broken = [
        (id, piece)
        for id, piece in enumerate(tokenizer.spelled)
        if piece is not None and len(piece) > 1 and not tokenizer.readable_spellings[id]
    ]
    if not broken:
        return
    whole = beginning.encode()
    heads: dict[int, Tokens] = {}
    for text in (beginning[:place] for place in range(stripped, len(beginning))):
        heads[len(text.encode())] = tuple(tokenizer.encode(text[stripped:]))
    ids = tokenizer.encode(beginning[stripped:])
    for count in range(len(ids)):
        heads.setdefault(len(_spells(tuple(ids[:count]), tokenizer.spelled)), tuple(ids[:count]))
    for start, head in heads.items():
        rest = whole[start:]
        yield from ((*head, id) for id, piece in broken if len(piece) > len(rest) and piece.startswith(rest))


def _reaching(ids: list[int], spelled: list[bytes | None], size: int) -> Tokens | None:
    """As many of ``ids`` as are needed for ``size`` bytes; None if one is unknown or there are too few."""
    covered = 0
    for count, id in enumerate(ids, start=1):
        piece = spelled[id]
        if id == special_tokens.UNK or piece is None:
            return None
        covered += len(piece)
        if covered >= size:
            return tuple(ids[:count])
    return None


def _spells(ids: Tokens, spelled: list[bytes | None]) -> bytes:
    return b"".join(spelled[id] or b"" for id in ids)
