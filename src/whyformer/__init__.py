"""Whyformer trains, runs and explains the Transformer.

``import whyformer`` is cheap: torch is imported only when ``whyformer.load`` is first asked for.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from whyformer.runs.load import load
else:

    def __getattr__(name: str) -> object:
        """Import what needs torch on first use (PEP 562)."""
        if name == "load":
            from whyformer.runs.load import load

            return load
        raise AttributeError(f"module 'whyformer' has no attribute {name!r}")


__all__ = ["__version__", "load"]
__version__ = "0.1.0"
