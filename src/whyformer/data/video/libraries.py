"""The libraries of the extra for video, imported when the first of them is needed."""

import importlib
from typing import Any

from whyformer.errors import DataError


def video_library(name: str) -> Any:
    """Import a library of the extra ``video``.

    Raises:
        DataError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        package = {"sklearn": "scikit-learn"}.get(name.partition(".")[0], name)
        raise DataError(f"video needs {package}; install it with `pip install 'whyformer[video]'`.") from None
