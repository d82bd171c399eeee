"""The page's scripts, run by Node."""

import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import whyformer.browser

RUNTIME = Path(whyformer.browser.__file__).parent / "runtime"


def _lacking() -> str | None:
    """Why there is no Node that can read the page's scripts."""
    node = shutil.which("node")
    if node is None:
        return "no Node on this machine"
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    major, minor = map(int, re.findall(r"\d+", version)[:2])
    if (major, minor) >= (20, 19):
        return None
    return f"Node {version.strip()} does not know modules by their looks, as 20.19 does"


needs_node = pytest.mark.skipif(_lacking() is not None, reason=_lacking() or "")


def page(*jobs: dict[str, Any], codes: Sequence[int] = ()) -> list[Any]:
    """What the page's tokenizer makes of some jobs of ``tokenizer.mjs``, in one process."""
    request = json.dumps({"runtime": RUNTIME.as_uri(), "codes": codes, "jobs": jobs})
    run = subprocess.run(
        ["node", str(Path(__file__).with_name("tokenizer.mjs"))],
        input=request,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)
