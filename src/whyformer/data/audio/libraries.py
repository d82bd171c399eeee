"""The libraries of the extra for sound, imported when the first sound is read."""

import importlib
from typing import Any

from whyformer.errors import DataError


def audio_library(name: str) -> Any:
    """Import a library of the extra ``audio``.

    Raises:
        DataError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        raise DataError(f"sound needs {name}; install it with `pip install 'whyformer[audio]'`.") from None
