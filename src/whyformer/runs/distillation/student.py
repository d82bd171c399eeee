"""The folder of a distillation: training pairs as text, and a recipe that trains a student on them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from shlex import quote
from typing import Final

from whyformer.config.recipe_files import RecipeLayer, layer_text
from whyformer.data.corpora.pair_files import Referenced
from whyformer.data.corpora.parallel import Corpus, FilesSpec
from whyformer.data.store.pair_data import AnyPairData
from whyformer.errors import CheckpointError
from whyformer.files import check_writable, write_folder
from whyformer.language import translated
from whyformer.runs.distillation.teacher import one_line
from whyformer.runs.distillation.work import is_begun
from whyformer.tasks.translation.task import TranslationRecipe
from whyformer.training.storage.lock import is_lock_file

STUDENT: Final = "student.yaml"
"""The recipe; were it named recipe.yaml, the folder would look like a run."""
RECORD: Final = "distillation.json"
"""File that says how the others came about, and that they may be replaced."""
_TRAIN = {"source": "train.source.txt", "target": "train.target.txt"}
_ORIGINAL = {"source": "original.source.txt", "target": "original.target.txt"}
# Pairs that were sound before are not to be dropped by rules that they were not under.
_NO_RULES: Mapping[str, object] = {"longest": None, "ratio": None}


def check_place(folder: Path, *, overwrite: bool) -> None:
    """Refuse a folder that a distillation may not or cannot be written to.

    Raises:
        CheckpointError: it holds one already (and may not be overwritten), or something else.
        WhyformerError: it cannot be made or written to.
    """
    check_writable(folder)
    if (folder / RECORD).exists():
        if not overwrite:
            raise CheckpointError(
                f"{folder}: a distillation lies here already; replace it with --overwrite, or choose another "
                "--to."
            )
    elif folder.exists() and not is_begun(folder) and not all(map(is_lock_file, folder.iterdir())):
        raise CheckpointError(f"{folder}: this is neither empty nor a distillation; choose another --to.")


def student_files(
    run: Path,
    recipe: TranslationRecipe,
    corpus: Corpus,
    pairs: Sequence[tuple[str, str]],
    *,
    with_originals: bool,
) -> dict[str, str]:
    """The text of each file by its name.

    Args:
        run: the teacher's folder.
        recipe: the teacher's recipe.
        corpus: what the teacher learned from and was judged by.
        pairs: sources with the teacher's translations.
        with_originals: whether the true pairs are trained on, too.
    """
    files = _side_by_side(_TRAIN, pairs)
    if with_originals:
        files |= _side_by_side(_ORIGINAL, corpus.train)
    assert recipe.data is not None, "its corpus was read"
    held_out, written = _held_out(recipe.data, corpus)
    layer: RecipeLayer = {"base": str((run / "recipe.yaml").absolute())}
    if recipe.start is not None:
        layer["start"] = None
    layer["data"] = {
        "kind": "files",
        "train": [_TRAIN, _ORIGINAL] if with_originals else {"kind": "text", **_TRAIN},
        **held_out,
    }
    # Both search the same tokens then: logits compare, and a short list of one suits the other.
    layer["tokenizers"] = {"kind": "run", "run": str(run.absolute())}
    return {**files, **written, STUDENT: f"{_heading(run)}{layer_text(layer)}"}


def write_distillation(folder: Path, files: Mapping[str, str], record: Mapping[str, object]) -> None:
    """Write all ``files`` and the ``record`` of them, or none; files of an earlier distillation go.

    Raises:
        WhyformerError: the folder cannot be written to, or the disk is full.
    """
    before = _recorded(folder)
    whole = {**record, "files": [*files]}
    contents = {**files, RECORD: json.dumps(whole, ensure_ascii=False, indent=2) + "\n"}
    write_folder(folder, {name: text.encode("utf-8") for name, text in contents.items()})
    for name in before - contents.keys():
        with suppress(OSError):
            (folder / name).unlink()


def _recorded(folder: Path) -> set[str]:
    """The files of the distillation that lies in ``folder``."""
    try:
        names = json.loads((folder / RECORD).read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return set()
    return {name for name in names if isinstance(name, str) and Path(name).name == name}


def _side_by_side(names: Mapping[str, str], pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Two texts by their names, a pair on line i of both."""
    sides = zip(*pairs, strict=True)
    return {
        name: "".join(f"{one_line(text)}\n" for text in side)
        for name, side in zip(names.values(), sides, strict=True)
    }


def _held_out(data: AnyPairData, corpus: Corpus) -> tuple[RecipeLayer, dict[str, str]]:
    """Keys of ``data`` for the teacher's own held-out sets, and the files of those that had none."""
    if not isinstance(data, FilesSpec):
        written = {
            "valid.jsonl": corpus.valid,
            **{f"{name}.jsonl": each for name, each in corpus.test.items()},
        }
        layer: RecipeLayer = {
            "valid": _table("valid.jsonl", corpus.valid),
            "test": {name: _table(f"{name}.jsonl", each) for name, each in corpus.test.items()},
            "cleaning": dict(_NO_RULES),
        }
        return layer, {name: _json_lines(each) for name, each in written.items()}
    said = data.model_dump(mode="json")
    layer = {key: said[key] for key in ("valid", "test", "cleaning")}
    if not isinstance(data.valid, int | float):
        return layer, {}
    # A share of other pairs would be other sentences, which the teacher may have learned.
    layer["valid"] = _table("valid.jsonl", corpus.valid)
    return layer, {"valid.jsonl": _json_lines(corpus.valid)}


def _table(name: str, pairs: Iterable[Referenced]) -> dict[str, object]:
    several = any(len(pair.references) > 1 for pair in pairs)
    return {"kind": "jsonl", "path": name, "several_references": several}


def _json_lines(pairs: Iterable[Referenced]) -> str:
    rows = ((pair.source, target) for pair in pairs for target in pair.references)
    return "".join(
        json.dumps({"source": source, "target": target}, ensure_ascii=False) + "\n" for source, target in rows
    )


def _heading(run: Path) -> str:
    lines = (
        translated(
            f"Written by `whyformer distil {quote(str(run))}`: a student of that run; what stands nowhere "
            "here is the teacher's."
        ),
        translated(
            "A smaller model is said behind it: `whyformer train student.yaml model.decoder.layers=2 --run "
            "runs/student`."
        ),
    )
    return "".join(f"# {line}\n" for line in lines)
