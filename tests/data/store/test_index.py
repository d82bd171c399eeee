"""Large stores: a training reads their index, and sees what it would see of the same text in memory."""

from itertools import islice
from pathlib import Path
from random import Random

import numpy as np
import pytest

from whyformer.data.batches import by_length
from whyformer.data.batches import steps as training_batches
from whyformer.data.batches.planning import BatchingSpec
from whyformer.data.batches.steps import TrainingBatches
from whyformer.data.store import index, reader
from whyformer.data.store.build import StoreSettings, build_store
from whyformer.data.store.manifest import StoreManifest
from whyformer.data.store.reader import TokenStore
from whyformer.data.store.text.inputs import TextInputs
from whyformer.data.tokenizers.kinds import Word
from whyformer.data.tokenizers.pair import JointTokenizer
from whyformer.errors import DataError
from whyformer.tasks.translation.pairs import examples
from whyformer.tasks.translation.pairs.examples import EncodedPairs, ManyStoredPairs, stored_pairs

SETTINGS = StoreSettings(JointTokenizer(both=Word(vocabulary=100)), held_out=3, rows=40)
SPEC = BatchingSpec(tokens=60, accumulate=2)


@pytest.fixture(autouse=True)
def everything_is_large(monkeypatch: pytest.MonkeyPatch):
    for module in (index, reader, examples, training_batches):
        monkeypatch.setattr(module, "LARGE", 20)
    monkeypatch.setattr(by_length, "_AT_ONCE", 64)
    monkeypatch.setattr(reader, "_RELEASE", 7)


def built(folder: Path) -> tuple[TextInputs, Path]:
    random = Random(0)
    sides = [
        [" ".join(random.choices("abcdefgh", k=random.randrange(1, 12))) for _ in range(330)]
        for _ in range(2)
    ]
    for name, lines in zip(("source", "target"), sides, strict=True):
        (folder / name).write_text("".join(f"{line}\n" for line in lines))
    inputs = TextInputs("pairs", ((folder / "source",), (folder / "target",)))
    build_store(inputs, folder / "store", SETTINGS)
    return inputs, folder / "store"


@pytest.mark.parametrize("longest", [64, 9, 4])
def test_a_training_sees_the_texts_that_it_would_see_in_memory(tmp_path: Path, longest: int):
    _, path = built(tmp_path)
    store = TokenStore(path)
    assert isinstance(store.lengths, np.memmap)
    texts = [store.tokenizers.source.decode_all(store.ids(number)) for number in range(len(store))]
    sources, targets = zip(*texts, strict=True)
    whole = EncodedPairs.of(store.tokenizers, sources, targets, longest)
    pairs = stored_pairs(store, longest)
    assert isinstance(pairs, ManyStoredPairs) == (len(whole.lengths) > 20)
    assert pairs.overlong == whole.overlong
    ours = TrainingBatches(pairs.lengths, SPEC, seed=2)
    theirs = TrainingBatches(whole.lengths, SPEC, seed=2)
    assert (ours.examples, ours.tokens) == (theirs.examples, theirs.tokens)
    assert ours.padding_waste == theirs.padding_waste
    steps = ours.steps_per_epoch
    assert steps == theirs.steps_per_epoch
    for one, other in zip(*(islice(each.after(1, 0), steps + 3) for each in (ours, theirs)), strict=True):
        assert one[:2] == other[:2]
        for mine, yours in zip(one[2], other[2], strict=True):
            assert [pairs.ids(each) for each in mine] == [whole.ids(each) for each in yours]
            assert pairs.predicted(mine) == whole.predicted(yours)
    spread = pairs.spread(10)
    assert len(spread) == min(10, ours.examples)
    assert all(max(map(len, pairs.ids(each))) <= longest for each in spread.tolist())
    if not pairs.overlong:
        assert (pairs.target_counts()[: len(whole.target_counts())] == whole.target_counts()).all()


def test_building_again_adds_an_index_and_changes_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as patch:
        patch.setattr(index, "LARGE", 1 << 22)
        inputs, path = built(tmp_path)
    before = {each.name: each.stat().st_mtime_ns for each in path.glob("*.tokens.npy")}
    digest = StoreManifest.load(path).digest
    with pytest.raises(DataError, match=r"index\.json: is missing.*data build"):
        TokenStore(path)
    build_store(inputs, path, SETTINGS)
    assert TokenStore(path).manifest.digest == digest
    assert {each.name: each.stat().st_mtime_ns for each in path.glob("*.tokens.npy")} == before


@pytest.mark.parametrize("name", ["lengths.npy", "order.npy", "kinds.npy", "index.json"])
@pytest.mark.parametrize("change", ["flip", "cut", "remove"])
def test_damage_is_named_and_repaired(tmp_path: Path, name: str, change: str):
    inputs, path = built(tmp_path)
    whole = (path / name).read_bytes()
    match change:
        case "flip":
            place = Random(name).randrange(len(whole) - 2)
            (path / name).write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        case "cut":
            (path / name).write_bytes(whole[:-3])
        case _:
            (path / name).unlink()
    with pytest.raises(DataError, match=r"(damaged|missing).*data build"):
        TokenStore(path)
    build_store(inputs, path, SETTINGS)
    assert (path / name).read_bytes() == whole
    TokenStore(path)
