"""Compiles the native engine while whyformer is installed, for this machine and for browsers.

Where compiling fails, only that engine is missing. A wheel holds the published results, too.
"""

import runpy
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ENGINES = "src/whyformer/engines"
PUBLISHED = "docs/why"


class NativeBuildHook(BuildHookInterface[Any]):
    """Adds results and compiled engines before a wheel is made and before an editable install."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Let the wheel hold what was compiled, which makes it one for this kind of machine, and results."""
        if version != "editable":
            # A checkout reads them where they are.
            for folder in sorted(Path(self.root, PUBLISHED).glob("q*")):
                build_data["force_include"][str(folder)] = f"whyformer/why/published/{folder.name}"
        native = self._builder("native")
        if (fault := native["build"]()) is not None:
            self.app.display_warning(f"The native engine was not compiled ({fault}); all else works.")
        else:
            build_data["artifacts"].append(f"{ENGINES}/native/decode.so")
            build_data["pure_python"] = False
            build_data["infer_tag"] = True
        browsers = self._builder("webassembly")
        # One that was compiled of these sources before is as good: it runs everywhere.
        if browsers["missing_engine"]() is not None and (fault := browsers["build_engine"]()) is not None:
            self.app.display_warning(f"The engine for browsers was not compiled ({fault}); all else works.")
        else:
            build_data["artifacts"].append(f"{ENGINES}/webassembly/engine.wasm")

    def _builder(self, engine: str) -> dict[str, Any]:
        """What the file that compiles ``engine`` defines."""
        return runpy.run_path(str(Path(self.root, ENGINES, engine, "build.py")))
