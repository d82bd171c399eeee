"""The mean of snapshots is a mean, belongs to the run, and cannot be made of what does not."""

import shutil
from pathlib import Path

import pytest
import torch

import whyformer
from whyformer.errors import CheckpointError
from whyformer.runs.average import last_snapshots, write_average
from whyformer.training.storage.checkpoint import load_tensors, save_tensors


def test_the_average_is_the_mean_and_the_run_can_use_it(reverse_run: Path, tmp_path: Path):
    snapshots = last_snapshots(reverse_run, 2)
    path = write_average(reverse_run, snapshots, tmp_path / "mean.safetensors")
    (first, _), (second, _), (mean, facts) = (load_tensors(file) for file in (*snapshots, path))
    for name, tensor in mean.items():
        assert torch.allclose(tensor, (first[name] + second[name]) / 2, atol=1e-7)
    assert facts["averaged"] == [snapshot.name for snapshot in snapshots]
    assert facts["step"] == 400
    assert whyformer.load(reverse_run, weights=path, device="cpu")("0 1 2")


def test_without_a_file_it_lies_in_the_run(reverse_run: Path, tmp_path: Path):
    run = tmp_path / "run"
    shutil.copytree(reverse_run, run)
    assert write_average(run, last_snapshots(run)) == run / "average.safetensors"


def test_the_last_snapshots_come_oldest_first(reverse_run: Path):
    assert [path.stem for path in last_snapshots(reverse_run)] == [
        f"step-00000{step}00" for step in (2, 3, 4)
    ]
    assert last_snapshots(reverse_run, 2) == last_snapshots(reverse_run)[1:]


def test_fewer_snapshots_than_asked_for_are_an_error(reverse_run: Path, tmp_path: Path):
    with pytest.raises(CheckpointError, match="has 3 snapshots, not 4; ask for fewer, or train"):
        last_snapshots(reverse_run, 4)
    run = tmp_path / "run"
    shutil.copytree(reverse_run, run)
    shutil.rmtree(run / "snapshots")
    with pytest.raises(CheckpointError, match="has no snapshots"):
        last_snapshots(run)


def test_snapshots_of_another_run_are_refused(reverse_run: Path, tmp_path: Path):
    own = last_snapshots(reverse_run, 1)
    tensors, facts = load_tensors(own[0])
    other = tmp_path / "other.safetensors"
    save_tensors(other, tensors, {**facts, "assets": ["0", "1"]})
    with pytest.raises(CheckpointError, match=r"other\.safetensors: these weights were trained with another"):
        write_average(reverse_run, [*own, other], tmp_path / "mean.safetensors")
    save_tensors(other, {"weight": torch.zeros(2)}, facts)
    with pytest.raises(CheckpointError, match=r"other\.safetensors: its tensors differ from those of"):
        write_average(reverse_run, [*own, other], tmp_path / "mean.safetensors")
    assert list(tmp_path.iterdir()) == [other]
