"""The tokens that stand for no text: padding, unknown, BOS, EOS, and those a task adds."""

import re
from typing import Annotated

from pydantic import AfterValidator

from whyformer.special_tokens import NAMES, UNK

UNKNOWN_NAME = NAMES[UNK]

BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
"""One piece per byte value: what a character without a piece of its own is spelled with."""


def _checked_name(name: str) -> str:
    if len(name) < 2 or re.search(r"\s", name):
        raise ValueError(f"a special token has two or more characters and no white space, unlike {name!r}")
    if name in NAMES or name in BYTES:
        raise ValueError(f"every tokenizer has {name!r} already")
    if name.startswith("##"):
        raise ValueError(f"{name!r} cannot be told from a WordPiece continuation; use another name")
    return name


def _checked_names(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) != len(names):
        raise ValueError("a special token is listed twice")
    return names


Specials = Annotated[
    tuple[Annotated[str, AfterValidator(_checked_name)], ...],
    AfterValidator(_checked_names),
]
"""Names of extra special tokens such as ``[MASK]``; they take the ids after the four base ones."""
