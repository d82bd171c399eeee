"""JSON files of other toolkits."""

import json
from pathlib import Path
from typing import Any

from whyformer.errors import TokenizerError


def read_json(path: Path) -> Any:
    """The value that a file holds.

    Raises:
        TokenizerError: it is missing, or no JSON.
    """
    try:
        # Editors on Windows put a mark of byte order in front.
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise TokenizerError(f"{path}: there is no such file; restore it.") from None
    except (OSError, ValueError) as error:
        raise TokenizerError(f"{path}: cannot be read as JSON ({error}); restore it.") from None


def read_object(path: Path) -> dict[str, Any]:
    """The mapping that a file holds.

    Raises:
        TokenizerError: it is missing, no JSON, or holds something else.
    """
    value = read_json(path)
    if not isinstance(value, dict):
        found = {list: "a list", str: "a text", bool: "true or false", type(None): "null"}
        raise TokenizerError(
            f"{path}: holds {found.get(type(value), 'a number')}, but it should be an object, with a name "
            "for each value; restore it."
        )
    return value
