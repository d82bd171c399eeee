"""Models of other toolkits: a folder of Hugging Face becomes a run, and a run becomes such a folder."""

import json
from pathlib import Path

from whyformer.config.recipe_files import recipe_text
from whyformer.errors import CheckpointError
from whyformer.files import write_bytes, write_text
from whyformer.huggingface.exporting import exported_files
from whyformer.huggingface.importing import imported_run
from whyformer.huggingface.weights import WEIGHTS_FILE
from whyformer.runs.load import open_run
from whyformer.training.storage.checkpoint import save_tensors
from whyformer.training.storage.lock import LOCK, RunLock
from whyformer.training.storage.run import RunFolder, check_free, new_run


def import_model(folder: Path, run: Path | None = None, *, overwrite: bool = False) -> str:
    """Make a run of the model in ``folder``; it lies in ``runs/`` under the folder's name if not in ``run``.

    Returns:
        One sentence on what was imported, and a line for everything that is not as the files say.

    Raises:
        CheckpointError: the folder holds no model that can be imported, or weights that do not fit it.
        TokenizerError: its tokenizer is missing or cannot be used.
        RecipeError: its way of writing texts cannot be a recipe's.
    """
    path = Path("runs") / folder.resolve().name if run is None else run
    notes: list[str] = []
    made = imported_run(folder, notes.append)
    if not (path / LOCK).exists():
        check_free(path, overwrite=overwrite)
    with RunLock(path):
        new_run(path, overwrite=overwrite)
        write_text(RunFolder(path).recipe, recipe_text(made.recipe))
        made.assets.save(path)
        facts = {"assets": made.assets.fingerprints, "step": 0, "scores": {}}
        save_tensors(RunFolder(path).weights, made.tensors, facts)
    weights = sum(tensor.numel() for tensor in made.tensors.values())
    first = f"{path}: a {made.kind} of {weights:,} weights and {made.tokens:,} tokens"
    return "\n".join([first, *(f"  note: {note}" for note in dict.fromkeys(notes))])


def export_model(run: Path, folder: Path, *, weights: Path | None = None) -> str:
    """Write the model of ``run`` to ``folder`` as Hugging Face transformers reads it.

    Returns:
        One sentence on what was written.

    Raises:
        CheckpointError: the run cannot be read, its model has no such format, or the folder is not empty.
    """
    opened = open_run(run)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CheckpointError(f"{folder}: this is not an empty folder; choose another.")
    made = exported_files(opened, opened.folder.find_weights(weights))
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in made.files.items():
        write_text(folder / name, json.dumps(content, ensure_ascii=False, indent=2) + "\n")
    write_bytes(folder / WEIGHTS_FILE, made.weights)
    return f"{folder}: {made.architecture} of {made.tokens:,} tokens"
