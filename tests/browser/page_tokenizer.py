"""The page's tokenizer, run by Node."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from browser.javascript import run_script, runtime


def page(*jobs: dict[str, Any], codes: Sequence[int] = ()) -> list[Any]:
    """What the page's tokenizer makes of some jobs of ``tokenizer.mjs``, in one process."""
    told = {"runtime": runtime().as_uri(), "codes": codes, "jobs": jobs}
    return run_script(Path(__file__).with_name("tokenizer.mjs"), told, patience=300)
