"""The state of ranks that spread their weights: a file of each, and a manifest that makes them one state.

torch's distributed checkpoints (DCP) keep their table of contents as a pickle, which is never read here.
"""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from whyformer.errors import CheckpointError
from whyformer.training.ranks.group import RankGroup
from whyformer.training.ranks.sharding import RowRange, is_spread, own_part, spread_like
from whyformer.training.storage.checkpoint import load_optimizer, load_weights, save_tensors
from whyformer.training.storage.manifest import (
    FileRecord,
    Slice,
    SlicedTensor,
    StateManifest,
    file_record,
)
from whyformer.training.storage.run import RunFolder
from whyformer.training.storage.saved import SavedState, open_state
from whyformer.training.storage.state import (
    Progress,
    progress_of,
    recorded_facts,
    tensors_of,
    under,
)


class ShardedStore:
    """The state as ranks have it: each writes its rows, and rank 0 the manifest once all files are there.

    The state before stays until then. What every rank has whole is rank 0's to write.
    """

    def __init__(self, run: RunFolder, group: RankGroup) -> None:
        self._run = run
        self._group = group

    def save(self, model: nn.Module, optimizer: torch.optim.Optimizer, progress: Progress) -> None:
        """Write all that resuming needs, whole or not at all; see ``StateStore``. All ranks call it."""
        ranks, tensors = self._group.ranks, tensors_of(model, optimizer)
        label = self._group.told(lambda: _free_label(self._run, progress.step))
        file = self._run.state_manifest.with_name(_file_name(label, ranks.rank, ranks.count))
        parts = {
            name: own_part(tensor)
            for name, tensor in tensors.items()
            if (own_part(tensor).numel() if is_spread(tensor) else ranks.writes)
        }
        save_tensors(file, parts, {"rank": ranks.rank, "ranks": ranks.count, "step": progress.step})
        record = file_record(file)
        told = torch.tensor([record.bytes, *bytes.fromhex(record.sha256)])
        records = [_told_record(one) for one in self._group.gathered(told)]
        self._group.first(lambda: self._seal(label, records, tensors, progress))

    def load(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> Progress:
        """Put the model and the optimizer where they were; see ``StateStore``."""
        state = open_state(self._run.state)
        progress = progress_of(state.facts, state.path)
        self._run.check_assets(state.facts, state.path)
        expected = model.state_dict()
        weights = {
            name: self._part(state, f"model.{name}", expected.get(name)) for name in under("model.", state)
        }
        load_weights(model, weights, state.path)
        parameters = [weight for group in optimizer.param_groups for weight in group["params"]]
        moments = {
            name: self._part(state, f"optimizer.{name}", _parameter(parameters, name))
            for name in under("optimizer.", state)
        }
        load_optimizer(optimizer, moments, state.path)
        return progress

    def _part(self, state: SavedState, name: str, like: Tensor | None) -> Tensor:
        """This rank's part of a tensor that is spread as ``like``; without numbers where it does not fit."""
        shape = state.shapes[name]
        rows = shape[0] if shape else 1
        if not shape:
            return state.rows(name, 0, 1)
        if like is None or tuple(like.shape) != shape:
            # Who puts it into the model says what does not fit.
            return torch.empty(shape, device="meta")
        if not is_spread(like):
            return state.rows(name, 0, rows)
        ranks = self._group.ranks
        return spread_like(like, state.rows(name, *RowRange.of_rank(ranks.rank, ranks.count, rows)))

    def _seal(
        self, label: str, records: list[FileRecord], tensors: Mapping[str, Tensor], progress: Progress
    ) -> None:
        """Write the manifest, and drop the state before."""
        path, count = self._run.state_manifest, self._group.ranks.count
        files = {_file_name(label, rank, count): record for rank, record in enumerate(records)}
        for name, record in files.items():
            if not path.with_name(name).exists():
                raise CheckpointError(
                    f"{path.with_name(name)}: another rank has written it ({record.bytes:,} bytes), and it "
                    "is not here; give all ranks a folder that they share."
                )
        slices = {
            name: SlicedTensor(tuple(tensor.shape), tuple(_slices(tensor, [*files])))
            for name, tensor in tensors.items()
        }
        StateManifest(count, recorded_facts(self._run, progress), files, slices).save(path)
        self._run.forget_states(path, keep=files)


def _free_label(run: RunFolder, step: int) -> str:
    """A name for a state of ``step`` that no file of the present state has: a step may be saved twice."""
    taken = {path.name.partition(".")[0] for path in run.state_parts}
    names = (f"step-{step:08d}{mark}" for mark in ("", "-b", "-c", "-d"))
    return next(name for name in names if name not in taken)


def _file_name(label: str, rank: int, ranks: int) -> str:
    return f"{label}.rank-{rank}-of-{ranks}.safetensors"


def _told_record(told: Tensor) -> FileRecord:
    size, *digest = told.tolist()
    return FileRecord(size, bytes(digest).hex())


def _slices(tensor: Tensor, files: list[str]) -> Iterator[Slice]:
    """Where the rows of ``tensor`` lie in the ``files`` of all ranks."""
    rows = tensor.shape[0] if tensor.dim() else 1
    if not is_spread(tensor):
        yield Slice(files[0], 0, rows)
        return
    for rank, file in enumerate(files):
        part = RowRange.of_rank(rank, len(files), rows)
        if part.first < part.last:
            yield Slice(file, *part)


def _parameter(parameters: list[Tensor], name: str) -> Tensor | None:
    """The weight to which a tensor of the optimizer's state, such as ``3.exp_avg``, belongs."""
    index = name.partition(".")[0]
    return parameters[int(index)] if index.isdecimal() and int(index) < len(parameters) else None
