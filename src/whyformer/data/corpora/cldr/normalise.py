"""One spelling for text that looks the same: composed characters and plain single spaces."""

import unicodedata


def normalise(text: str) -> str:
    r"""Compose characters (Unicode NFC) and turn every run of white space into one plain space.

    CLDR separates numbers, units and ranges by no-break (U+00A0, U+202F) and thin (U+2009) spaces.
    They matter to a page layout, not to a translation, and would hide that two strings are the same.

    >>> normalise("1\u202f234\u00a0km\u2009–\u20092 km ")
    '1 234 km – 2 km'
    """
    return " ".join(unicodedata.normalize("NFC", text).split())
