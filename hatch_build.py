"""Compiles the native engine while whyformer is installed; where that fails, only this engine is missing."""

import runpy
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NATIVE = "src/whyformer/engines/native"


class NativeBuildHook(BuildHookInterface[Any]):
    """Runs ``native/build.py`` before a wheel is made, and before an editable install."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Let the wheel hold what was compiled, and say that it is for this kind of machine only."""
        build = runpy.run_path(str(Path(self.root, NATIVE, "build.py")))["build"]
        if (fault := build()) is not None:
            self.app.display_warning(f"The native engine was not compiled ({fault}); all else works.")
            return
        build_data["artifacts"].append(f"{NATIVE}/decode.so")
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
