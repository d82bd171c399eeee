"""Our JavaScript modules in Node, as tests run them: one process for many cases."""

import atexit
import json
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from whyformer.browser.bundle import MODULES

NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="needs Node, which runs JavaScript")
_MODULES = '{"type": "module"}'


def run_modules(folder: Path, program: str, cases: object) -> Any:
    """What ``program``, a module that has ``cases`` and our rooms beside it, hands to ``tell``."""
    for room in ("runtime", "components"):
        if (MODULES / room).is_dir():
            shutil.copytree(MODULES / room, folder / room, dirs_exist_ok=True)
    (folder / "package.json").write_text(_MODULES, encoding="utf-8")
    (folder / "cases.json").write_text(json.dumps(cases), encoding="utf-8")
    (folder / "program.js").write_text(f"{_FRAME}\n{program}", encoding="utf-8")
    return run_script(folder / "program.js")


def run_script(file: Path, told: object = None, patience: int = 120) -> Any:
    """What the JavaScript in ``file`` makes of what it is ``told``, both as JSON, within some seconds."""
    assert NODE is not None
    done = subprocess.run(
        [NODE, file], input=json.dumps(told), capture_output=True, text=True, timeout=patience, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@cache
def runtime() -> Path:
    """The folder of the page's runtime, in a copy that every Node takes for modules."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    shutil.copytree(MODULES / "runtime", folder / "runtime")
    (folder / "package.json").write_text(_MODULES, encoding="utf-8")
    return folder / "runtime"


_FRAME = """
import { readFileSync } from "node:fs";
const cases = JSON.parse(readFileSync(new URL("./cases.json", import.meta.url), "utf8"));
const listed = (_, value) => (ArrayBuffer.isView(value) ? [...value] : value);
const tell = (result) => process.stdout.write(JSON.stringify(result, listed));
"""
