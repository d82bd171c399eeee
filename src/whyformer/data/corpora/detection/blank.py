"""Blank text: nothing but white space and characters that nobody can see."""

INVISIBLE = "\ufeff\u200b\u200c\u200d\u2060\u00ad"
"""Characters without any width, which editors and web pages leave behind."""
_WITHOUT = dict.fromkeys(map(ord, INVISIBLE))


def is_blank(text: str) -> bool:
    r"""Whether there is nothing to see in ``text``.

    >>> is_blank(" \u3000\u200b"), is_blank("\u200ba")
    (True, False)
    """
    return not text.translate(_WITHOUT).strip()
