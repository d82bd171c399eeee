"""Hugging Face transformers, imported when a test first asks for it: collecting tests needs none of it."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

import pytest


class _Transformers:
    def __getattr__(self, name: str) -> Any:
        # Whoever collects tests asks every object for names of his own.
        if name.startswith(("_", "pytest")):
            raise AttributeError(name)
        return getattr(import_module("transformers"), name)


transformers = _Transformers()
needs_transformers = pytest.mark.skipif(
    find_spec("transformers") is None, reason="needs the extra: pip install 'whyformer[parity]'"
)
