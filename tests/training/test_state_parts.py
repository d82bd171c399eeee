"""A state in several files: read at any number of ranks, and never half of one and half of another."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
import torch
from torch import Tensor, nn

from whyformer.errors import CheckpointError
from whyformer.training.ranks.group import RankGroup
from whyformer.training.storage.checkpoint import save_tensors
from whyformer.training.storage.manifest import Slice, SlicedTensor, StateManifest, file_record
from whyformer.training.storage.run import RunFolder
from whyformer.training.storage.saved import open_state
from whyformer.training.storage.sharded import ShardedStore
from whyformer.training.storage.state import Progress, SingleFileStore, StateStore, tensors_of


def chunks(rows: int, ranks: int) -> list[tuple[int, int]]:
    """Rows of each rank, as torch cuts them."""
    ends = [0, *torch.tensor([len(part) for part in torch.arange(rows).chunk(ranks)]).cumsum(0).tolist()]
    return [*pairwise(ends)]


def write_parts(folder: Path, tensors: dict[str, Tensor], ranks: int) -> Path:
    files = [f"step-00000001.rank-{rank}-of-{ranks}.safetensors" for rank in range(ranks)]
    held: list[dict[str, Tensor]] = [{} for _ in files]
    sliced = dict[str, SlicedTensor]()
    for name, tensor in tensors.items():
        cuts = chunks(len(tensor), ranks) if tensor.dim() else [(0, 1)]
        for rank, (first, last) in enumerate(cuts):
            held[rank][name] = tensor[first:last] if tensor.dim() else tensor
        parts = tuple(Slice(files[rank], *cut) for rank, cut in enumerate(cuts))
        sliced[name] = SlicedTensor(tuple(tensor.shape), parts)
    for file, part in zip(files, held, strict=True):
        save_tensors(folder / file, part, {})
    records = {file: file_record(folder / file) for file in files}
    path = folder / "last.json"
    StateManifest(ranks, {}, records, sliced).save(path)
    return path


@pytest.mark.parametrize("seed", range(4))
def test_rows_are_the_same_however_many_files_they_lie_in(seed: int, tmp_path: Path):
    random = Random(seed)
    shapes = [(random.randint(1, 9), *random.sample([1, 2, 5], random.randint(0, 2))) for _ in range(5)]
    tensors = {f"t{index}": torch.rand(shape) for index, shape in enumerate(shapes)}
    tensors["count"] = torch.tensor(7.0)
    state = open_state(write_parts(tmp_path, tensors, ranks=random.randint(1, 5)))
    assert dict(state.shapes) == {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    assert torch.equal(state.rows("count", 0, 1), tensors["count"])
    for name in list(tensors)[:-1]:
        for _ in range(10):
            first = random.randint(0, len(tensors[name]))
            last = random.randint(first, len(tensors[name]))
            assert torch.equal(state.rows(name, first, last), tensors[name][first:last])


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def change(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (cut, r"has [\d,]+ of [\d,]+ bytes"),
        (change, "has other contents than were written"),
        (Path.unlink, "is missing"),
    ],
)
def test_a_damaged_part_is_named(spoil: Callable[[Path], None], fault: str, tmp_path: Path):
    path = write_parts(tmp_path, {"weight": torch.rand(6, 2)}, ranks=3)
    spoil(tmp_path / "step-00000001.rank-1-of-3.safetensors")
    state = open_state(path)
    # Who does not need it does not read it.
    assert state.rows("weight", 0, 2).shape == (2, 2)
    with pytest.raises(CheckpointError, match=rf"rank-1-of-3\.safetensors: this part .*{fault}; restore it"):
        state.rows("weight", 0, 6)


@pytest.mark.parametrize("spoil", [cut, lambda path: path.write_text('{"format": "x"}')])
def test_a_damaged_manifest_is_named(spoil: Callable[[Path], None], tmp_path: Path):
    path = write_parts(tmp_path, {"weight": torch.rand(6, 2)}, ranks=3)
    spoil(path)
    with pytest.raises(CheckpointError, match=r"last\.json: "):
        open_state(path)


def test_a_manifest_that_lacks_rows_is_refused(tmp_path: Path):
    path = write_parts(tmp_path, {"weight": torch.rand(6, 2)}, ranks=3)
    manifest = StateManifest.load(path)
    tensor = manifest.tensors["weight"]
    replace(manifest, tensors={"weight": replace(tensor, slices=tensor.slices[1:])}).save(path)
    with pytest.raises(CheckpointError, match=r"last\.json: .*rows of weight"):
        open_state(path)


class Kept:
    """A model with its optimizer, whose state goes through stores."""

    def __init__(self, folder: Path) -> None:
        self.run = RunFolder(folder)
        self.model = nn.Linear(3, 4)
        self.optimizer = torch.optim.Adam(self.model.parameters())
        self.stores: dict[str, StateStore] = {
            "whole": SingleFileStore(self.run),
            "parts": ShardedStore(self.run, RankGroup()),
        }

    def learn(self) -> None:
        self.model(torch.rand(2, 3)).sum().backward()
        self.optimizer.step()
        self.optimizer.zero_grad()

    def files(self) -> list[str]:
        return sorted(path.name for path in self.run.whole_state.parent.iterdir())


def test_one_form_of_state_takes_the_place_of_the_other(tmp_path: Path):
    kept = Kept(tmp_path)
    part = "step-0000000{}.rank-0-of-1.safetensors"
    expected = {"whole": ["last.safetensors"], "parts": ["last.json", part]}
    for step, (saved, read) in enumerate([("whole", "parts"), ("parts", "whole"), ("whole", "whole")], 1):
        kept.learn()
        kept.stores[saved].save(kept.model, kept.optimizer, Progress(step=step))
        assert kept.files() == [name.format(step) for name in expected[saved]]
        other = Kept(tmp_path)
        assert other.stores[read].load(other.model, other.optimizer).step == step
        ours, theirs = (tensors_of(one.model, one.optimizer) for one in (kept, other))
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_state_saved_twice_at_a_step_has_files_of_its_own(tmp_path: Path):
    kept = Kept(tmp_path)
    found = set[str]()
    for seconds in (1.0, 2.0, 3.0):
        kept.stores["parts"].save(kept.model, kept.optimizer, Progress(step=5, seconds=seconds))
        found |= {*kept.files()}
        assert len(kept.files()) == 2
    assert found == {"last.json", *(f"step-00000005{x}.rank-0-of-1.safetensors" for x in ("", "-b"))}


@pytest.mark.parametrize("first", ["whole", "parts"])
def test_whoever_is_killed_before_the_manifest_leaves_the_state_before(
    first: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    kept = Kept(tmp_path)
    kept.stores[first].save(kept.model, kept.optimizer, Progress(step=1))
    with monkeypatch.context() as patch:
        patch.setattr(StateManifest, "save", _killed)
        with pytest.raises(KeyboardInterrupt):
            kept.stores["parts"].save(kept.model, kept.optimizer, Progress(step=2))
    assert Kept(tmp_path).stores["parts"].load(kept.model, kept.optimizer).step == 1
    kept.stores["parts"].save(kept.model, kept.optimizer, Progress(step=3))
    assert len(kept.files()) == 2


@pytest.mark.parametrize(("first", "second"), [("whole", "parts"), ("parts", "whole")])
def test_whoever_is_killed_behind_the_new_state_has_the_new_one(
    first: str, second: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    kept = Kept(tmp_path)
    kept.stores[first].save(kept.model, kept.optimizer, Progress(step=1))
    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "forget_states", _killed)
        with pytest.raises(KeyboardInterrupt):
            kept.stores[second].save(kept.model, kept.optimizer, Progress(step=2))
    assert Kept(tmp_path).stores[first].load(kept.model, kept.optimizer).step == 2


def test_a_state_of_another_model_is_refused(tmp_path: Path):
    kept = Kept(tmp_path)
    kept.stores["parts"].save(kept.model, kept.optimizer, Progress(step=1))
    kept.model = nn.Linear(3, 5)
    for store in kept.stores.values():
        with pytest.raises(
            CheckpointError, match=r"last\.json: the weights do not fit the recipe: weight is \(4, 3\)"
        ):
            store.load(kept.model, kept.optimizer)


def _killed(*_: object, **__: object) -> None:
    raise KeyboardInterrupt
