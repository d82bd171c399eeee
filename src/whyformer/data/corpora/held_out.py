"""Held-out sets: their names, and how a share of the training data becomes one."""

import difflib
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from whyformer.errors import DataError

VALID = "valid"
"""The name of the held-out set that is for choosing, not for testing."""

Item = TypeVar("Item")
FilesT = TypeVar("FilesT")
TextsT = TypeVar("TextsT")


def refuse_reserved_name(test: Mapping[str, object], things: str) -> None:
    """Refuse test sets of which one has the validation set's name; ``things`` are what they hold.

    Raises:
        ValueError: one has.
    """
    if VALID in test:
        raise ValueError(
            f"test has a set named {VALID}, which is the name of the {things} to choose by; rename it"
        )


def refuse_share(test: object) -> None:
    """Refuse test sets that are a share of the training data, as the validation set may be.

    Raises:
        ValueError: they are.
    """
    if isinstance(test, int | float):
        raise ValueError(
            f"test is {test}, but a test set is a file of its own, which stays the same when the training "
            "data grow: move some lines of these into a file and name it, as in `test: {mine: FILE}`"
        )


def refuse_unknown_sets(names: Iterable[str], present: Sequence[str]) -> None:
    """Refuse names of held-out sets that are not ``present``.

    Raises:
        DataError: there is no such set; it names the nearest, or all.
    """
    for name in names:
        if name not in present:
            near = difflib.get_close_matches(name, present, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(present)}."
            raise DataError(f"there is no test set {name}; {hint}")


def wanted_sets(names: Sequence[str], test: Iterable[str]) -> Sequence[str]:
    """The held-out sets called ``names``; without names all ``test`` sets, else ``valid``."""
    return names or [*test] or [VALID]


def readable_sets(
    test: Mapping[str, FilesT], read: Callable[[FilesT], TextsT], *, needed: bool
) -> dict[str, TextsT]:
    """The texts that ``read`` gives of the test sets, by name, to compare training data with.

    One that cannot be read is left out unless it is ``needed``: training can do without, and evaluation will
    say what is wrong with it.

    Raises:
        DataError: one cannot be read and is needed.
    """
    found: dict[str, TextsT] = {}
    for name, files in test.items():
        try:
            found[name] = read(files)
        except DataError:
            if needed:
                raise
    return found


def held_out_share(items: Iterable[Item], share: float, text_of: Callable[[Item], str]) -> list[Item]:
    """The ``share`` of ``items`` that is held out: by a hash of the text, so that equal ones go together."""
    return [item for item in items if _position(text_of(item)) < share]


def _position(text: str) -> float:
    """A number from 0 to 1 that depends on the text alone."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) / 2**64
