"""Code that ran, coloured sparingly, and the parts of the library that it used."""

import ast
import sys
from html import escape
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup
from pygments.lexers.python import PythonLexer
from pygments.token import Comment, Keyword, String

from whyformer.why.question import Question

_PACKAGE = "whyformer"
# What is coloured; all else would only make the pages heavy.
_TAGS = ((Comment, "u"), (String, "i"), (Keyword, "b"))


class UsedPart(NamedTuple):
    """A file of the library and what an experiment takes from it."""

    path: str
    names: tuple[str, ...]


def source_of(question: Question) -> str:
    """The file that asks ``question``."""
    file = sys.modules[type(question.experiment).__module__].__file__
    return "" if file is None else Path(file).read_text(encoding="utf-8")


def highlighted(question: Question) -> Markup:
    """The file that asks ``question``, as HTML."""
    parts: list[str] = []
    for token, text in PythonLexer().get_tokens(source_of(question)):
        tag = next((tag for kind, tag in _TAGS if token in kind), None)
        shown = escape(text, quote=False)
        parts.append(shown if tag is None or not text.strip() else f"<{tag}>{shown}</{tag}>")
    return Markup("".join(parts).replace("</i><i>", "").rstrip())


def used_parts(question: Question) -> list[UsedPart]:
    """Files of the library, the toys of the questions aside, by their order in the imports."""
    imports = [node for node in ast.walk(ast.parse(source_of(question))) if isinstance(node, ast.ImportFrom)]
    return [
        UsedPart(f"src/{node.module.replace('.', '/')}.py", tuple(alias.name for alias in node.names))
        for node in imports
        if node.module is not None
        and node.module.startswith(f"{_PACKAGE}.")
        and not node.module.startswith(f"{_PACKAGE}.why")
    ]
