"""Our JavaScript modules in Node, as tests run them: one process for many cases."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from whyformer.browser.bundle import MODULES

NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="needs Node, which runs JavaScript")


def run_modules(folder: Path, program: str, cases: object) -> Any:
    """What ``program``, a module that has ``cases`` and our rooms beside it, hands to ``tell``."""
    for room in ("runtime", "components"):
        if (MODULES / room).is_dir():
            shutil.copytree(MODULES / room, folder / room, dirs_exist_ok=True)
    (folder / "package.json").write_text('{"type": "module"}', encoding="utf-8")
    (folder / "cases.json").write_text(json.dumps(cases), encoding="utf-8")
    (folder / "program.js").write_text(f"{_FRAME}\n{program}", encoding="utf-8")
    return run_script(folder / "program.js")


def run_script(file: Path) -> Any:
    """What the JavaScript in ``file`` writes, which is JSON."""
    assert NODE is not None
    done = subprocess.run([NODE, file], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


_FRAME = """
import { readFileSync } from "node:fs";
const cases = JSON.parse(readFileSync(new URL("./cases.json", import.meta.url), "utf8"));
const listed = (_, value) => (ArrayBuffer.isView(value) ? [...value] : value);
const tell = (result) => process.stdout.write(JSON.stringify(result, listed));
"""
