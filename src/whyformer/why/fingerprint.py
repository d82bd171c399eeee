"""Fingerprint of an experiment: it changes when code changes that its numbers may depend on."""

import ast
import hashlib
import inspect
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

PACKAGE = "whyformer"
# Whoever uses the first may read any of the second.
_RECIPE_READER = Path(__file__).parents[1] / "config" / "recipe_files.py"
_RECIPES = Path(__file__).parents[1] / "recipes"


@dataclass(frozen=True)
class _Module:
    """The top level of a file of source."""

    definitions: dict[str, list[ast.stmt]]
    """All statements that bind a name; a function that is overloaded has several."""
    imports: dict[str, tuple[str, str]]
    """Module and name behind each name that is imported from this package, inside functions too."""


def code_fingerprint(experiment: type) -> str:
    """SHA-256 of the class ``experiment`` and of all definitions of this package that it is made of.

    From the class it follows every name, through functions, bases, constants and imports. So a change of
    attention or of a toy task changes the fingerprint; a change of a claim, of a page, or of a model that the
    experiment does not use leaves it alone, and so does one of comments, docstrings and layout. An experiment
    that reads recipes depends on them all.

    Raises:
        OSError: the class has no file of source.
    """
    path = inspect.getsourcefile(experiment)
    if path is None:
        raise OSError(f"{experiment.__qualname__} has no file of source")
    found: dict[tuple[str, str], str] = {}
    waiting = [(path, experiment.__qualname__.partition(".")[0])]
    while waiting:
        path, name = waiting.pop()
        if (path, name) in found:
            continue
        found[path, name], behind = _definition(path, name)
        waiting += behind
    texts = sorted(text for text in found.values() if text)
    if any(Path(path) == _RECIPE_READER for path, _ in found):
        texts += [file.read_text(encoding="utf-8") for file in sorted(_RECIPES.glob("*.yaml"))]
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


@cache
def _definition(path: str, name: str) -> tuple[str, list[tuple[str, str]]]:
    """The code that binds ``name`` in a file, and all that stands behind it, as files and names."""
    module = _module(path)
    behind = _behind(*module.imports[name]) if name in module.imports else []
    statements = module.definitions.get(name, [])
    behind += [(path, inner) for statement in statements for inner in sorted(_names(statement, module))]
    return "\n".join(map(ast.unparse, statements)), behind


def forget_files() -> None:
    """Read the source anew the next time, as it may have changed while this process lives."""
    _module.cache_clear()
    _definition.cache_clear()


def _behind(module: str, name: str) -> list[tuple[str, str]]:
    """The definition that an import means, as file and name; all of them if it imports a module."""
    whole = _file(f"{module}.{name}")
    if whole is not None:
        return [(whole, inner) for inner in _module(whole).definitions]
    path = _file(module)
    return [] if path is None else [(path, name)]


def _file(module: str) -> str | None:
    """The file of a module; None where there is no such module."""
    parent, _, _ = module.rpartition(".")
    spec = find_spec(module) if _is_package(parent) else None
    return None if spec is None else spec.origin


def _is_package(module: str) -> bool:
    spec = find_spec(module) if module else None
    return spec is not None and spec.submodule_search_locations is not None


@cache
def _module(path: str) -> _Module:
    tree = ast.parse(Path(path).read_text(encoding="utf-8"))
    definitions: dict[str, list[ast.stmt]] = {}
    for statement in tree.body:
        _strip_docstrings(statement)
        for name in _bound(statement):
            definitions.setdefault(name, []).append(statement)
    imports = {
        alias.asname or alias.name: (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] == PACKAGE
        for alias in node.names
    }
    return _Module(definitions, imports)


def _bound(statement: ast.stmt) -> set[str]:
    """The names that a statement gives a meaning; imports aside."""
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.Assign(targets=targets):
            # Not the variables of a comprehension on the right.
            nodes = [node for target in targets for node in ast.walk(target)]
        case ast.AnnAssign(target=target):
            nodes = [target]
        case _:
            nodes = [*ast.walk(statement)]
    return {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


def _names(statement: ast.stmt, module: _Module) -> set[str]:
    """The names in ``statement`` that mean something at the top level of ``module``."""
    names = {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}
    return {name for name in names if name in module.definitions or name in module.imports}


def _strip_docstrings(tree: ast.AST) -> None:
    """Take out strings that stand alone: docstrings, and what is said below a field."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            said = [each for each in node.body if not _is_text(each)]
            node.body = said or [ast.Pass()]


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
