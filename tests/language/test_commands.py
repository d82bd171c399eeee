"""Commands that the program prints can be copied: what it puts into them is quoted for the shell."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from language.extract import SOURCE

_NO_PATHS = {
    "verb",
    "task.verb",
    "names",
    "language_model_command(path)",
    "next(iter(faults))",
    "self.verb",
    "' '.join(self.further())",
}
"""What is a word, or is quoted where it is made."""


def commands(tree: ast.AST) -> Iterator[ast.FormattedValue]:
    """The values that f-strings put into commands, which stand between backticks."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.JoinedStr):
            continue
        inside = ""
        for part in node.values:
            if isinstance(part, ast.Constant):
                inside = (inside + str(part.value)).rpartition("`")[2] if _is_open(part, inside) else ""
            elif inside.startswith("whyformer "):
                assert isinstance(part, ast.FormattedValue)
                yield part


def _is_open(part: ast.Constant, inside: str) -> bool:
    """Whether a command, of which ``inside`` was read, goes on behind a ``part`` of the string."""
    return (str(part.value).count("`") + bool(inside)) % 2 == 1


def is_safe(value: ast.FormattedValue) -> bool:
    """Whether the shell takes a value for one word, or it is a number."""
    text = ast.unparse(value.value)
    return text.startswith("quote(") or text in _NO_PATHS or value.format_spec is not None


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: path.stem)
def test_paths_in_commands_are_quoted(path: Path) -> None:
    found = commands(ast.parse(path.read_text(encoding="utf-8")))
    assert [ast.unparse(each.value) for each in found if not is_safe(each)] == []


@pytest.mark.parametrize(
    ("source", "safe"),
    [
        ("f'use `whyformer train {path}`.'", [False]),
        ("f'use `whyformer train {quote(path)} steps={n:d} {path}`.'", [True, True, False]),
        ("f'{path} is no run; `whyformer recipes` lists them, not {path}'", []),
        ("f'`x` and `whyformer train {quote(a)}` and {b} and `whyformer {c}`'", [True, False]),
    ],
)
def test_the_check_sees_what_it_is_for(source: str, safe: list[bool]) -> None:
    assert [is_safe(each) for each in commands(ast.parse(source))] == safe
