"""Models that experiments look into, each trained once on a machine by the toolkit's own trainer."""

import hashlib
import io
import shutil
from contextlib import redirect_stderr
from functools import cache
from pathlib import Path

import torch
from filelock import FileLock

from whyformer.config.recipe_files import recipe_text
from whyformer.data.corpora.download import cache_folder
from whyformer.errors import StoppedError
from whyformer.files import explained
from whyformer.runs.registry import load_any
from whyformer.runs.train import start_run
from whyformer.tasks.recipe import Recipe
from whyformer.why.conditions import equal_conditions

# Rooms that no weight depends on.
_OUTSIDE = {"why", "cli", "plots", "locales"}


def trained_run(recipe: str, *overrides: str) -> Path:
    """The folder of a run of ``recipe``, which is trained if no process of this user has done so before.

    It is trained on the CPU with one thread and in fp32, whatever the machine, so that it is the same again.
    Who asks for it while another process trains it waits; a training that was killed leaves nothing behind.
    It is trained anew once the recipe, the code that trains, or torch has changed.

    Args:
        recipe: name of a recipe whose data are made on the spot, or a recipe file.
        overrides: ``path=value`` each, such as ``training.steps=300``.

    Raises:
        WhyformerError: as in ``runs.train.start_run``; or the cache cannot be written to.
    """
    changes = ("training.precision=fp32", *overrides)
    key = _key(load_any(recipe, changes))
    folder = cache_folder() / "why" / f"{Path(recipe).stem}-{key[:16]}"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            if not folder.exists():
                _train(recipe, changes, folder)
    except OSError as error:
        raise explained(error, folder) from error
    return folder


def _train(recipe: str, overrides: tuple[str, ...], folder: Path) -> None:
    """Train a run quietly beside its ``folder`` and move it there when it is whole."""
    unfinished = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    with equal_conditions(), redirect_stderr(io.StringIO()):
        trainer = start_run(
            recipe, overrides, unfinished, device="cpu", overwrite=True, say=lambda _line: None
        )
        try:
            trainer.train()
        except StoppedError:
            # Not by ``whyformer train``, as the sentence says: it begins anew when it is wanted again.
            raise KeyboardInterrupt from None
    unfinished.replace(folder)


def _key(recipe: Recipe) -> str:
    parts = (recipe_text(recipe), _code_of_training(), torch.__version__)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@cache
def _code_of_training() -> str:
    """SHA-256 of the package's source, but for rooms that only ask, show and tell."""
    package = Path(__file__).parents[2]
    found = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        place = path.relative_to(package)
        if place.parts[0] not in _OUTSIDE:
            found.update(f"{place.as_posix()}\n".encode())
            found.update(path.read_bytes())
    return found.hexdigest()
