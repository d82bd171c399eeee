"""Compiles kernels and the native engine while whyformer is installed, for this machine and for browsers.

Where compiling fails, only that engine is missing, or training is slower. A wheel has the published results.
"""

import importlib
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = "src"
PACKAGE = f"{SOURCE}/whyformer"
PUBLISHED = "docs/why"


class NativeBuildHook(BuildHookInterface[Any]):
    """Adds results and compiled engines before a wheel is made and before an editable install."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Let the wheel hold what was compiled, which makes it one for this kind of machine, and results."""
        if version != "editable":
            # A checkout reads them where they are.
            for folder in sorted(Path(self.root, PUBLISHED).glob("q*")):
                build_data["force_include"][str(folder)] = f"whyformer/why/published/{folder.name}"
        # Of the package that is being made, what compiles needs nothing but Python.
        sys.path.insert(0, str(Path(self.root, SOURCE)))
        native = importlib.import_module("whyformer.engines.native.build")
        kernels = importlib.import_module("whyformer.kernels.build")
        browsers = importlib.import_module("whyformer.engines.webassembly.build")
        for compiling, library, name, cost in (
            (native.build, "engines/native/decode.so", "The native engine was", "all else works"),
            (kernels.build_kernels, "kernels/kernels.so", "Kernels were", "training is slower"),
        ):
            if (fault := compiling()) is not None:
                self.app.display_warning(f"{name} not compiled ({fault}); {cost}.")
                continue
            build_data["artifacts"].append(f"{PACKAGE}/{library}")
            build_data["pure_python"] = False
            build_data["infer_tag"] = True
        # One that was compiled of these sources before is as good: it runs everywhere.
        if browsers.missing_engine() is not None and (fault := browsers.build_engine()) is not None:
            self.app.display_warning(f"The engine for browsers was not compiled ({fault}); all else works.")
        else:
            build_data["artifacts"].append(f"{PACKAGE}/engines/webassembly/engine.wasm")
