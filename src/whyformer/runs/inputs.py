"""Inputs of a training, looked at before anything is read: texts, folders, runs to start from."""

import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from shlex import quote

from whyformer.config.paths import PathKey, PathUse
from whyformer.data.corpora.lines import scan_lines
from whyformer.errors import DataError
from whyformer.training.storage.run import RunFolder


def check_inputs(paths: Sequence[PathKey], recipe: str) -> None:
    """Refuse inputs of a ``recipe`` that are not there or cannot be read.

    Raises:
        DataError: some cannot; one line for each, with its key and its full path.
    """
    faults = _faults(paths)
    strays = [each for each in paths if each.key in faults and not each.path.exists() and _here(each.path)]
    if strays:
        here = _here(strays[0].path)
        raise DataError(
            f"{_listed(faults, f'recipe {recipe}')}\n  A relative path in a recipe counts from the recipe's "
            f"folder, but {here} is in this one: give it as {quote(f'{strays[0].key}={here}')} behind the "
            "recipe, or in full."
        )
    if faults:
        raise DataError(_listed(faults, f"recipe {recipe}"))


def check_inputs_of_run(paths: Sequence[PathKey], run: Path, verb: str) -> None:
    """Refuse inputs of a ``run``, used by a ``verb``, that are not there (any more) or cannot be read.

    What the run has started from is not needed any more.

    Raises:
        DataError: some cannot; one line for each, and how to say where they are now.
    """
    if faults := _faults([each for each in paths if each.holds != "run"]):
        raise DataError(
            f"{_listed(faults, f'run {run}')}\n  If the files were moved, say where they are now, as in "
            f"`whyformer {verb} {quote(str(run))} {next(iter(faults))}=...`"
        )


def _listed(faults: Mapping[str, str], owner: str) -> str:
    lines = (f"{key}: {fault}" for key, fault in faults.items())
    return "\n  ".join(
        [f"{len(faults)} fault{'' if len(faults) == 1 else 's'} in the files of {owner}:", *lines]
    )


def _faults(paths: Sequence[PathKey]) -> dict[str, str]:
    """Sentences on those of ``paths`` with which something is wrong, by the key."""
    known = dict[tuple[Path, str], str | None]()
    faults = dict[str, str]()
    for key, path, holds in paths:
        if (path, holds) not in known:
            known[path, holds] = _FAULTS[holds](path)
        if fault := known[path, holds]:
            faults[key] = fault
    return faults


def _file_fault(path: Path) -> str | None:
    try:
        # Of a pipe what is read is gone.
        if path.exists() and not (path.is_dir() or stat.S_ISREG(path.stat().st_mode)):
            return None
        next(scan_lines(path))
    except OSError as error:
        return f"{path}: cannot be read ({error.strerror})."
    except DataError as error:
        return str(error)
    return None


def _folder_fault(path: Path) -> str | None:
    try:
        next(path.iterdir(), None)
    except OSError as error:
        return f"{path}: cannot be read as a folder ({error.strerror})."
    return None


def run_fault(path: Path) -> str | None:
    """Sentence on why ``path`` is not the folder of a run; None if it is one."""
    try:
        found = RunFolder(path).recipe.is_file()
    except OSError as error:
        return f"{path}: cannot be read ({error.strerror})."
    return None if found else f"{path} is not the folder of a run (it has no recipe.yaml)."


_FAULTS: Mapping[PathUse, Callable[[Path], str | None]] = {
    "file": _file_fault,
    "folder": _folder_fault,
    "run": run_fault,
}


def _here(path: Path) -> Path | None:
    """The longest end of ``path`` that is a file in the shell's folder."""
    ends = (Path(*path.parts[index:]) for index in range(1, len(path.parts)))
    return next((end for end in ends if end.is_file()), None)
