"""Files of weights: exact, whole or not there, and never trusted."""

import json
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn

from whyformer.errors import CheckpointError
from whyformer.training.optimization.optimizer import Adam, AdamW
from whyformer.training.storage.checkpoint import (
    average_weights,
    load_optimizer,
    load_tensors,
    load_weights,
    optimizer_tensors,
    save_tensors,
)

TENSORS = {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor([1, -1]), "empty": torch.zeros(0, 4)}
FACTS = {"step": 3, "scores": {"nll": 0.1 + 0.2}, "names": ["ü", "中"]}


def refused(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_tensors(path)
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    save_tensors(path, TENSORS, FACTS)
    yield path
    assert load_tensors(path)[1] == FACTS  # no test has touched it


def test_what_is_saved_comes_back(written: Path):
    tensors, facts = load_tensors(written)
    assert facts == FACTS
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert tensors[name].dtype == tensor.dtype
        assert torch.equal(tensors[name], tensor)


def test_views_are_saved_by_value(tmp_path: Path):
    matrix = torch.arange(6.0).view(2, 3)
    save_tensors(tmp_path / "w", {"transposed": matrix.t(), "column": matrix[:, 1]}, {})
    tensors, _ = load_tensors(tmp_path / "w")
    assert torch.equal(tensors["transposed"], matrix.t())
    assert torch.equal(tensors["column"], matrix[:, 1])


def test_loaded_tensors_do_not_depend_on_the_file(tmp_path: Path):
    path = tmp_path / "w"
    save_tensors(path, TENSORS, {})
    tensors, _ = load_tensors(path)
    with path.open("r+b") as file:
        file.write(b"\0" * path.stat().st_size)
    assert torch.equal(tensors["a"], TENSORS["a"])


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path):
    assert "there is no such file" in refused(tmp_path / "no")
    assert "there is no such file" in refused(tmp_path)


@pytest.mark.parametrize("protocol", [2, 5])
def test_a_pickle_is_never_opened(protocol: int, tmp_path: Path):
    (tmp_path / "w.pt").write_bytes(pickle.dumps(TENSORS["a"].tolist(), protocol))
    torch.save(TENSORS, tmp_path / "w.bin")
    for name in ("w.pt", "w.bin"):
        assert "this is a pickle" in refused(tmp_path / name)


def test_no_file_of_ours_is_taken_for_a_pickle(tmp_path: Path):
    """A pickle begins with 0x80; so does a file of safetensors whose header is 128 or 384 bytes long."""
    lengths: set[int] = set()
    for more in range(0, 256, 8):
        save_tensors(tmp_path / "w", TENSORS, {"filler": "x" * more})
        assert load_tensors(tmp_path / "w")[1] == {"filler": "x" * more}
        lengths.add((tmp_path / "w").read_bytes()[0])
    assert 0x80 in lengths


def test_safetensors_of_others_are_not_taken_for_ours(tmp_path: Path):
    save_file(TENSORS, tmp_path / "bare")
    save_file(TENSORS, tmp_path / "newer", {"format": "whyformer-2", "facts": "{}"})
    assert "not written by Whyformer" in refused(tmp_path / "bare")
    assert "or by a newer one" in refused(tmp_path / "newer")


def test_the_same_weights_are_the_same_file(tmp_path: Path):
    def content() -> bytes:
        save_tensors(tmp_path / "w", TENSORS, FACTS)
        return (tmp_path / "w").read_bytes()

    assert len({content() for _ in range(20)}) == 1


def test_older_files_told_their_format_and_their_facts_apart(tmp_path: Path):
    save_file(TENSORS, tmp_path / "w", {"format": "whyformer-1", "facts": json.dumps(FACTS)})
    tensors, facts = load_tensors(tmp_path / "w")
    assert facts == FACTS
    assert tensors.keys() == TENSORS.keys()


@pytest.mark.parametrize("told", ["{", "[]", '{"format": "whyformer-2", "facts": {}}', "{}"])
def test_what_a_file_says_of_itself_is_looked_at(told: str, tmp_path: Path):
    save_file(TENSORS, tmp_path / "w", {"whyformer": told})
    assert ("damaged" if told == "{" else "not written by Whyformer") in refused(tmp_path / "w")


def test_a_file_cut_off_anywhere_is_refused(written: Path, tmp_path: Path):
    whole = written.read_bytes()
    for length in range(len(whole)):
        (tmp_path / "w").write_bytes(whole[:length])
        assert "damaged or not safetensors" in refused(tmp_path / "w")


@given(data=st.binary(max_size=64))
def test_no_bytes_do_more_than_be_refused(data: bytes, tmp_path_factory: pytest.TempPathFactory):
    path = tmp_path_factory.mktemp("bytes") / "w"
    path.write_bytes(data)
    refused(path)


@given(place=st.integers(0), value=st.integers(0, 255))
def test_a_changed_byte_is_refused_or_harmless(
    place: int, value: int, written: Path, tmp_path_factory: pytest.TempPathFactory
):
    data = bytearray(written.read_bytes())
    data[place % len(data)] = value
    path = tmp_path_factory.mktemp("bytes") / "w"
    path.write_bytes(data)
    try:
        load_tensors(path)
    except CheckpointError as error:
        assert str(error).startswith(f"{path}: ")  # noqa: PT017  # it need not come


def test_weights_that_do_not_fit_are_named(tmp_path: Path):
    model = nn.Linear(3, 2)
    tensors = {"weight": torch.zeros(2, 4), "extra": torch.zeros(1)}
    with pytest.raises(CheckpointError) as caught:
        load_weights(model, tensors, tmp_path / "w")
    assert str(caught.value) == (
        f"{tmp_path / 'w'}: the weights do not fit the recipe: bias is missing; extra is not part of this "
        "model; weight is (2, 4) but the recipe makes it (2, 3)."
    )


def test_of_many_faults_five_are_named(tmp_path: Path):
    with pytest.raises(CheckpointError, match=r"t4 is not part of this model and 3 more\.$"):
        load_weights(nn.Identity(), {f"t{n}": torch.zeros(1) for n in range(8)}, tmp_path)


def test_the_average_is_the_mean_in_its_own_type(tmp_path: Path):
    paths = [tmp_path / str(n) for n in range(3)]
    # Summed in fp32, the ones would be lost beside 2^24.
    for path, value in zip(paths, (2.0**24, 1.0, 1.0), strict=True):
        save_tensors(path, {"w": torch.full((2,), value), "n": torch.tensor(int(value))}, {})
    mean = average_weights(paths)
    assert mean["w"].tolist() == [torch.tensor((2.0**24 + 2.0) / 3.0).item()] * 2
    assert (mean["w"].dtype, mean["n"].dtype) == (torch.float32, torch.int64)


def test_files_of_different_models_are_not_averaged(tmp_path: Path):
    one, other = tmp_path / "one", tmp_path / "other"
    save_tensors(one, {"w": torch.zeros(2)}, {})
    save_tensors(other, {"w": torch.zeros(3)}, {})
    with pytest.raises(CheckpointError, match="its tensors differ from those of"):
        average_weights([one, other])


def stepped(spec: Adam | AdamW) -> tuple[nn.Linear, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    optimizer = spec.build(model.parameters())
    for group in optimizer.param_groups:
        group["lr"] = 0.1
    step(model, optimizer)
    return model, optimizer


def step(model: nn.Linear, optimizer: torch.optim.Optimizer) -> Tensor:
    optimizer.zero_grad()
    model(torch.ones(1, 3)).square().sum().backward()
    optimizer.step()
    return model.weight.detach().clone()


@pytest.mark.parametrize("spec", [Adam(), AdamW(weight_decay=0.5)])
def test_an_optimizer_goes_on_where_it_was(spec: Adam | AdamW, tmp_path: Path):
    (model, optimizer), (twin, fresh) = stepped(spec), stepped(spec)
    save_tensors(tmp_path / "o", optimizer_tensors(optimizer), {})
    fresh.state.clear()
    load_optimizer(fresh, load_tensors(tmp_path / "o")[0], tmp_path / "o")
    assert torch.equal(step(twin, fresh), step(model, optimizer))


def test_weight_decay_spares_vectors():
    optimizer = AdamW(weight_decay=0.5).build(nn.Linear(3, 2).parameters())
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.5, 0.0]
    assert [[p.dim() for p in group["params"]] for group in optimizer.param_groups] == [[2], [1]]


@pytest.mark.parametrize("name", ["0.exp_avg", "7.exp_avg", "x.exp_avg"])
def test_an_optimizer_state_that_does_not_fit_is_refused(name: str, tmp_path: Path):
    optimizer = Adam().build(nn.Linear(3, 2).parameters())
    with pytest.raises(CheckpointError, match=f"does not fit the recipe at {name}"):
        load_optimizer(optimizer, {name: torch.zeros(5)}, tmp_path)
