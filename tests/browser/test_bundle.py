"""Modules joined into one script say what they said apart, or are refused."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from browser.javascript import needs_node, run_script
from whyformer.browser.bundle import MODULES, script


def written(folder: Path, modules: Mapping[str, str]) -> Path:
    for name, text in modules.items():
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def told(folder: Path, text: str) -> object:
    """What its function ``tell`` returns."""
    file = folder / "joined.cjs"
    file.write_text(f"{text}\nprocess.stdout.write(JSON.stringify(Joined.tell()));\n", encoding="utf-8")
    return run_script(file)


PARTS = {
    "parts/number.js": (
        "/** A number. */\nexport const NUMBER = 20, ONE = [1, 2].length - 1;\n"
        "const squares = [];\nfor (const number of [1, 2]) {\n  squares.push(number * number);\n}\n"
    ),
    "parts/sum.js": (
        'import { NUMBER, ONE } from "./number.js";\n\n'
        "export function sum() {\n  return NUMBER + ONE;\n}\n\nexport class Box {\n  value = sum();\n}\n"
    ),
    "main.js": (
        'import { Box, sum } from "./parts/sum.js";\nimport { NUMBER } from "./parts/number.js";\n\n'
        "const text = `export ${NUMBER}`;\n\n"
        "export async function hidden() {}\n\n"
        "function tell() {\n  return [sum(), new Box().value, text, typeof globalThis.sum];\n}\n\n"
        "globalThis.Joined = { tell };\nObject.freeze(Joined);\n"
    ),
}


@needs_node
def test_a_script_does_what_its_modules_do(tmp_path: Path):
    text = script(["main.js"], folder=written(tmp_path, PARTS))
    assert told(tmp_path, text) == [21, 21, "export 20", "undefined"]
    assert text.count("function sum()") == 1
    assert "import {" not in text


@needs_node
def test_what_runs_apart_is_a_function_whose_text_runs_by_itself(tmp_path: Path):
    modules = {
        **PARTS,
        "apart.js": (
            'import { sum } from "./parts/sum.js";\n\nconst mine = sum() * 2;\n\n'
            "export function work() {\n  globalThis.worked = [mine, typeof tell];\n}\n"
        ),
        "page.js": (
            'import { work } from "./apart.js";\nimport { NUMBER } from "./parts/number.js";\n\n'
            "const mine = NUMBER;\n\n"
            "function tell() {\n  new Function(`(${work})();`)();\n"
            "  return [mine, globalThis.worked];\n}\n\nglobalThis.Joined = { tell };\n"
        ),
    }
    text = script(["page.js"], folder=written(tmp_path, modules), apart=["apart.js"])
    assert told(tmp_path, text) == [20, [42, "undefined"]]
    # What only the worker needs is there once; each side has what both need.
    assert (text.count("function sum()"), text.count("const NUMBER")) == (1, 2)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("export default function f() {}\n", "main.js, line 1: cannot be joined: 'export default function"),
        ("const a = 1;\nexport { a };\n", "line 2: cannot be joined: 'export { a };'"),
        ('import "./parts/sum.js";\n', "line 1: cannot be joined"),
        ('import * as all from "./parts/sum.js";\n', "line 1: cannot be joined"),
        ('import sum from "./parts/sum.js";\n', "line 1: cannot be joined"),
        ('import {\n  sum,\n} from "./parts/sum.js";\n', "line 1: cannot be joined: 'import {'"),
        ('import { sum } from "elsewhere";\n', "line 1: cannot be joined"),
        ('function f() {\n  return import("./parts/sum.js");\n}\n', "line 2: cannot be joined: 'import('"),
        ("const here = 1;\n\nconst at = import.meta.url;\n", "line 3: cannot be joined: 'import.'"),
        ("await f();\n", "line 1: cannot be joined: 'await f();'"),
        ("({ a, b } = c);\n", "line 1: cannot be joined"),
        ("const { a, b } = c;\n", "line 1: cannot be joined"),
        ("var a = 1;\n", "line 1: cannot be joined"),
        ("let a, b;\n", "line 1: cannot be joined"),
        ('import { gone } from "./parts/sum.js";\n', "main.js: imports gone, which parts/sum.js does not"),
        (
            'import { sum as more } from "./parts/sum.js";\n',
            "imports sum as more, which parts/sum.js does not",
        ),
        ('import { sum } from "./sum.js";\n', "sum.js: cannot be read"),
        (
            'import { sum } from "./parts/sum.js";\nconst NUMBER = 1;\n',
            "main.js: defines NUMBER, as parts/number",
        ),
        ('import { sum } from "./parts/sum.js";\nconst a = 1, ONE = f(2, 3);\n', "main.js: defines ONE, as"),
        (
            'import { a } from "./main.js";\nexport const a = 1;\n',
            "main.js -> main.js: modules import each",
        ),
    ],
)
def test_what_cannot_be_joined_is_refused(text: str, complaint: str, tmp_path: Path):
    folder = written(tmp_path, {**PARTS, "main.js": text})
    with pytest.raises(RuntimeError) as caught:
        script(["main.js"], folder=folder)
    assert complaint in str(caught.value)


def test_a_module_apart_has_one_entry(tmp_path: Path):
    modules = {
        "apart.js": "export function work() {}\nexport function rest() {}\n",
        "main.js": 'import { work, rest } from "./apart.js";\nexport const all = [work, rest];\n',
        "twice.js": 'import { work } from "./apart.js";\nfunction rest() {}\nexport const all = work;\n',
        "same.js": 'import { work } from "./apart.js";\nimport { all } from "./twice.js";\nconst work = 1;\n',
    }
    folder = written(tmp_path, modules)
    with pytest.raises(RuntimeError, match=r"one name, but \['rest', 'work'\] are imported"):
        script(["main.js"], folder=folder, apart=["apart.js"])
    with pytest.raises(RuntimeError, match=r"one name, but \[\] are imported"):
        script(["apart.js"], folder=folder, apart=["apart.js"])
    assert "function rest() {}" in script(["twice.js"], folder=folder, apart=["apart.js"])
    with pytest.raises(RuntimeError, match=r"same\.js: defines work, as apart\.js does"):
        script(["same.js"], folder=folder, apart=["apart.js"])


@pytest.mark.parametrize(
    "path", sorted(MODULES.rglob("*.js")), ids=lambda path: str(path.relative_to(MODULES))
)
def test_our_modules_keep_the_budget(path: Path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 500
    assert [number for number, line in enumerate(lines, start=1) if len(line) > 120 or "\t" in line] == []
