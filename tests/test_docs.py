"""What docs/architecture.md names exists in the code, and its drawing is the contract of the imports."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
SOURCE = PROJECT / "src" / "whyformer"
PAGE = (PROJECT / "docs" / "architecture.md").read_text(encoding="utf-8")

NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
# Members of every spec, the contract's own notation, and the tool that reads it.
WORDS = {"kind", "build", "|", "lint-imports"}


def _names(body: list[ast.stmt]) -> Iterator[tuple[str, list[ast.stmt]]]:
    """The names that statements define, each with the body below it."""
    for statement in body:
        match statement:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                yield statement.name, statement.body if isinstance(statement, ast.ClassDef) else []
            case ast.Assign(targets=targets):
                yield from ((each.id, []) for each in targets if isinstance(each, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name, []
            case _:
                pass


MODULES = {
    ".".join(path.relative_to(SOURCE).with_suffix("").parts): ast.parse(path.read_text(encoding="utf-8")).body
    for path in SOURCE.rglob("*.py")
}
CONFORMANCE = PROJECT / "tests" / "conformance"
TESTS = [ast.parse(path.read_text(encoding="utf-8")).body for path in CONFORMANCE.glob("*.py")]


def _defines(body: list[ast.stmt], steps: list[str]) -> bool:
    if not steps:
        return True
    return any(_defines(below, steps[1:]) for name, below in _names(body) if name == steps[0])


def _is_name(dotted: str) -> bool:
    """Whether a module, or a top-level name of any module, or a member of it, is called so."""
    steps = dotted.split(".")
    bodies = [*MODULES.values(), *TESTS]
    if any(_defines(body, steps) for body in bodies):
        return True
    splits = [(steps[:cut], steps[cut:]) for cut in range(1, len(steps) + 1)]
    return any(
        f".{module}".endswith(f".{'.'.join(head)}") and _defines(body, rest)
        for head, rest in splits
        for module, body in MODULES.items()
    )


def _is_path(text: str) -> bool:
    """Whether a file or folder of the project, the package or one of its rooms is called so."""
    pattern = re.sub(r"<\w+>", "*", text).rstrip("/")
    return any(next(folder.glob(pattern), None) for folder in (PROJECT, SOURCE, *SOURCE.rglob("tasks/*")))


def unknown(page: str) -> list[str]:
    """What stands in backticks on ``page``, outside of drawings, and does not exist."""
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", page, flags=re.DOTALL))
    return [span for span in spans if not _exists(span)]


def _exists(span: str) -> bool:
    if verb := re.fullmatch(r"whyformer (\w+)", span):
        return (SOURCE / "cli" / f"{verb[1]}.py").is_file()
    return span in WORDS or _is_path(span) or (NAME.fullmatch(span) is not None and _is_name(span))


def drawn(page: str) -> tuple[list[list[str]], set[str]]:
    """The rooms of the drawing, a list a line, and the rooms in rooms, as paths."""
    drawing = re.search(r"```\n(.*?)```", page, re.DOTALL)
    assert drawing
    lines = [re.split(r"\s{2,}", line.rstrip())[:-1] for line in drawing[1].splitlines()]
    rooms = [re.split(r" [|:] ", names[0]) for names in lines if names[0]]
    inner: set[str] = set()
    above = ""
    for line in lines:
        if line[0]:
            above = line[0]
        else:
            inner.add(line[1] if "/" in line[1] else f"{above}/{line[1]}")
    return rooms, inner


def test_every_name_exists():
    assert len(re.findall(r"`[^`\n]+`", PAGE)) > 50
    assert unknown(PAGE) == []


def test_the_drawing_is_the_contract():
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    (contract,) = [each for each in contracts if each["type"] == "layers"]
    # Rooms in parentheses are still to be built.
    layers = [re.split(r" [|:] ", re.sub(r" \| \(\w+\)", "", layer)) for layer in contract["layers"]]
    rooms, inner = drawn(PAGE)
    assert rooms == layers
    folders = {path.parent.relative_to(SOURCE).as_posix() for path in SOURCE.glob("*/*/**/__init__.py")}
    assert inner == folders


@pytest.mark.parametrize(
    "span", ["attention/nothing.py", "Nothing", "Translator.nothing", "whyformer sing", "kernel.nothing"]
)
def test_the_check_catches_what_is_not_there(span: str):
    assert unknown(f"A `{span}`.") == [span]


@pytest.mark.parametrize(
    "span", ["tasks/<family>/", "kernel.choose", "Task.verb", "whyformer parts", "runs.load", "SCORES"]
)
def test_the_check_knows_what_is_there(span: str):
    assert unknown(f"A `{span}`.\n```\n`Nothing`\n```\n") == []
