"""Compiles the native engine while whyformer is installed, and lets a wheel hold the published results.

Where compiling fails, only this engine is missing.
"""

import runpy
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NATIVE = "src/whyformer/engines/native"
PUBLISHED = "docs/why"


class NativeBuildHook(BuildHookInterface[Any]):
    """Adds results, and runs ``native/build.py``, before a wheel is made and before an editable install."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Let the wheel hold what was compiled, which makes it one for this kind of machine, and results."""
        if version != "editable":
            # A checkout reads them where they are.
            for folder in sorted(Path(self.root, PUBLISHED).glob("q*")):
                build_data["force_include"][str(folder)] = f"whyformer/why/published/{folder.name}"
        build = runpy.run_path(str(Path(self.root, NATIVE, "build.py")))["build"]
        if (fault := build()) is not None:
            self.app.display_warning(f"The native engine was not compiled ({fault}); all else works.")
            return
        build_data["artifacts"].append(f"{NATIVE}/decode.so")
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
