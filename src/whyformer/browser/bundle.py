"""Our JavaScript modules as one classic script: a page that is opened from disk cannot load modules.

A module may import names, on a line for each other module, and export what it defines. At its top level it
defines names and makes calls, and all texts, one behind the other, say in one function what they said apart.
"""

import posixpath
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

MODULES = Path(__file__).parent
WORKER = "runtime/worker.js"
"""The module whose one entry runs in a worker, with all that it needs."""

_IMPORT = re.compile(r'import \{ ([\w$, ]+) \} from "(\.\.?/[\w./-]+\.js)";')
_DEFINITION = re.compile(r"(?:export )?(?:(?:async )?function\*? |class |const |let )([\w$]+)(?=[ (;=])")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"|`[^`]*`')
_BRACKETS = re.compile(r"[(\[{][^()\[\]{}]*[)\]}]")
_FURTHER = re.compile(r", ([\w$]+) =(?![=>])")
_STATEMENT = re.compile(r"(?:for|if) \(|[\w$]+(?:\.[\w$]+)*(?:\(| = )")
_CONTINUATION = re.compile(r"[ \t})\]]|//|/\*|$")
"""How a line begins that is the inside of a statement, its end, or a comment."""
_FORBIDDEN = re.compile(r"^[ \t]+(?:import|export)\b|\bimport\s*[.(]", re.MULTILINE)


@dataclass(frozen=True)
class _Module:
    """A module as it was read."""

    name: str
    """Path from the folder of all modules."""
    text: str
    """Its text in the script, without imports and the word export."""
    names: tuple[str, ...]
    """All that it defines at its top level."""
    exports: tuple[str, ...]
    imports: Mapping[str, tuple[str, ...]]
    """Names that it takes from other modules, by their paths."""


def script(modules: Sequence[str], *, folder: Path = MODULES, apart: Collection[str] = (WORKER,)) -> str:
    """Join ``modules`` of ``folder`` and all that they import into one script.

    What other scripts are to see, the modules themselves make part of ``globalThis``. One that is ``apart``
    comes as a function with the name that others import, and all that it needs inside: it runs by itself.

    Raises:
        RuntimeError: a module is missing or has something in it that cannot be joined.
    """
    read = _closure(modules, folder)
    shared = [
        _function(read[name], read) if name in apart else read[name]
        for name in _ordered(modules, read, apart)
    ]
    return _wrapped("(() => {", _texts(shared), "})();")


def _function(module: _Module, read: Mapping[str, _Module]) -> _Module:
    """A module as one function, with all that it imports and itself inside."""
    asked = {name for other in read.values() for name in other.imports.get(module.name, ())}
    if len(asked) != 1:
        raise RuntimeError(f"{module.name}: runs apart by one name, but {sorted(asked)} are imported")
    entry = asked.pop()
    inside = _texts([read[name] for name in _ordered([module.name], read, ())])
    text = _wrapped(f"function {entry}() {{", [*inside, f"{entry}();\n"], "}")
    return _Module(module.name, text, (entry,), (entry,), {})


def _texts(modules: Sequence[_Module]) -> list[str]:
    """Their texts, fit to stand in one function: no name may stand for two things there."""
    owners = dict[str, str]()
    for module in modules:
        for name in module.names:
            if name in owners:
                raise RuntimeError(
                    f"{module.name}: defines {name}, as {owners[name]} does; rename one of them"
                )
            owners[name] = module.name
    return [module.text for module in modules]


def _wrapped(opening: str, parts: Sequence[str], closing: str) -> str:
    return "\n".join([opening, '"use strict";\n', *parts, f"{closing}\n"])


def _closure(modules: Sequence[str], folder: Path) -> dict[str, _Module]:
    """All modules that these need, by name."""
    read = dict[str, _Module]()
    waiting = [*modules]
    while waiting:
        name = waiting.pop()
        if name not in read:
            read[name] = _module(name, folder)
            waiting += read[name].imports
    for module in read.values():
        for source, names in module.imports.items():
            if missing := [name for name in names if name not in read[source].exports]:
                raise RuntimeError(f"{module.name}: imports {missing[0]}, which {source} does not export")
    return read


def _ordered(modules: Sequence[str], read: Mapping[str, _Module], apart: Collection[str]) -> list[str]:
    """The modules that these need, each behind those that it imports; what is ``apart`` needs none."""
    done = list[str]()

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            raise RuntimeError(f"{' -> '.join([*path, name])}: modules import each other in a circle")
        if name not in done:
            for source in () if name in apart else read[name].imports:
                visit(source, (*path, name))
            done.append(name)

    for name in modules:
        visit(name, ())
    return done


def _module(name: str, folder: Path) -> _Module:
    try:
        text = (folder / name).read_text(encoding="utf-8")
    except OSError as error:
        raise RuntimeError(f"{name}: cannot be read ({error.strerror})") from error
    if found := _FORBIDDEN.search(text):
        raise RuntimeError(f"{_place(name, text, found.start())}: cannot be joined: {found[0].strip()!r}")
    imports = dict[str, tuple[str, ...]]()
    names, exports, kept = list[str](), list[str](), list[str]()
    for number, line in enumerate(text.splitlines(keepends=True), start=1):
        if taken := _IMPORT.fullmatch(line.strip()):
            source = posixpath.normpath(posixpath.join(posixpath.dirname(name), taken[2]))
            imports[source] = (*imports.get(source, ()), *taken[1].split(", "))
            continue
        if defined := _names(line):
            names += defined
            exports += defined if line.startswith("export ") else []
        elif not (_STATEMENT.match(line) or _CONTINUATION.match(line)):
            raise RuntimeError(f"{name}, line {number}: cannot be joined: {line.strip()!r}")
        kept.append(line.removeprefix("export ") if defined else line)
    return _Module(name, "".join(kept).strip() + "\n", tuple(names), tuple(exports), imports)


def _place(name: str, text: str, offset: int) -> str:
    return f"{name}, line {text.count(chr(10), 0, offset) + 1}"


def _names(line: str) -> list[str]:
    """All that a line defines: of constants, it may be several."""
    defined = _DEFINITION.match(line)
    if defined is None:
        return []
    plain = _STRING.sub("", line)
    while plain != (plain := _BRACKETS.sub("", plain)):
        pass
    return [defined[1], *_FURTHER.findall(plain)]
