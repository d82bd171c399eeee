"""A run's shortlist: its file, checked when it is read; and how much of what the model writes it lists.

B batch · V target vocabulary
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np
import torch
from torch import Tensor

from whyformer.data.batches.batch import Batch
from whyformer.engines.shortlist.table import ShortlistTable
from whyformer.errors import CheckpointError
from whyformer.special_tokens import EOS, NAMES
from whyformer.training.storage.checkpoint import load_tensors, save_tensors
from whyformer.training.storage.run import RunFolder

_ROWS = 256
"""Sentences whose lists are looked at side by side."""
_TENSORS = ("first", "target", "frequent", "counts")


def shortlist_path(run: Path) -> Path:
    """The file of the shortlist of ``run``: in a folder of its own, as it is no weights."""
    return run / "shortlist" / "table.safetensors"


def save_shortlist(folder: RunFolder, table: ShortlistTable) -> Path:
    """Write ``table`` as the shortlist of a run; the file comes back."""
    path = shortlist_path(folder.path)
    facts = {
        "assets": folder.assets,
        "rare": table.rare,
        "vocabulary": table.vocabulary,
        "joint": table.joint,
    }
    save_tensors(path, {name: torch.from_numpy(getattr(table, name)) for name in _TENSORS}, facts)
    return path


def load_shortlist(folder: RunFolder) -> ShortlistTable:
    """Read the shortlist of a run.

    Raises:
        CheckpointError: there is none, it is damaged, or it has the ids of another tokenizer.
    """
    path = shortlist_path(folder.path)
    again = f"make it by `whyformer shortlist {quote(str(folder.path))}`."
    if not path.is_file():
        raise CheckpointError(f"{folder.path}: has no shortlist, which --shortlist reads; {again}")
    try:
        tensors, facts = load_tensors(path)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: the file is damaged or no shortlist; {again}") from error
    if facts.get("assets") != folder.assets:
        raise CheckpointError(
            f"{path}: has the ids of another tokenizer than the one in {folder.path}; {again}"
        )
    table = _table(tensors, facts)
    if table is None:
        raise CheckpointError(f"{path}: the file is damaged or no shortlist; {again}")
    return table


def _table(tensors: dict[str, Tensor], facts: dict[str, Any]) -> ShortlistTable | None:
    """The table of these, or None where they do not fit together."""
    match facts:
        case {"rare": int(rare), "vocabulary": int(vocabulary), "joint": bool(joint)}:
            pass
        case _:
            return None
    if {*tensors} != {*_TENSORS} or any(t.dtype != torch.int64 or t.dim() != 1 for t in tensors.values()):
        return None
    first, target, frequent, counts = (tensors[name].numpy() for name in _TENSORS)
    ids = np.concatenate([target, frequent])
    fits = (
        len(first) == len(counts) + 1 > len(NAMES)
        and (first[0], first[-1]) == (0, len(target))
        and bool((np.diff(first) >= 0).all())
        and bool(((ids >= 0) & (ids < vocabulary)).all())
        and vocabulary > len(NAMES)
        and (not joint or len(counts) == vocabulary)
    )
    return ShortlistTable(first, target, frequent, counts, rare, vocabulary, joint) if fits else None


@dataclass(frozen=True)
class Coverage:
    """Share of what was written with the whole vocabulary that lies in each sentence's list.

    All of what a sentence without a list is translated into counts as listed, as that is what happens.
    """

    pieces: float
    """Share of the pieces written."""
    sentences: float
    """Share of the sentences of which every piece is listed: greedy search translates them alike."""
    whole: float
    """Share of the sentences that have no list and take the whole vocabulary."""
    length: float
    """Mean number of pieces in a list."""


def coverage(
    table: ShortlistTable, sources: Sequence[Sequence[int]], written: Sequence[Sequence[int]]
) -> Coverage:
    """How much of what was ``written`` for ``sources``, ids without EOS, the lists of ``table`` have."""
    inside: list[float] = []
    without: list[bool] = []
    lengths: list[int] = []
    for first in range(0, len(sources), _ROWS):
        rows = Batch.of([[*source, EOS] for source in sources[first : first + _ROWS]])
        listed = table.listed(rows.tokens, rows.valid)
        lengths += listed.sum(axis=1).tolist()
        without += table.takes_all(rows.tokens, rows.valid).tolist()
        for row, ids in enumerate(written[first : first + _ROWS]):
            kept = listed[row, list(ids)].sum() if not without[first + row] else len(ids)
            inside.append(float(kept))
    counts = np.array([len(ids) for ids in written])
    return Coverage(
        sum(inside) / max(1, int(counts.sum())),
        float(np.mean(counts == np.array(inside))),
        float(np.mean(without)),
        float(np.mean([length for length, none in zip(lengths, without, strict=True) if not none] or [0])),
    )
