"""Muon for the matrices of blocks, Adam for all else, as one optimizer."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from typer.testing import Result

from whyformer.models.transformer import Transformer, transformer
from whyformer.training.optimization import muon
from whyformer.training.optimization.muon import OrthogonalMomentum, orthogonalised
from whyformer.training.optimization.optimizer import Adam, Muon, OptimizerSpec, block_matrices
from whyformer.training.storage.checkpoint import (
    load_optimizer,
    load_tensors,
    optimizer_tensors,
    save_tensors,
)

Train = Callable[..., Result]


PRECISIONS = [(torch.float64, False), (torch.float32, False), (torch.float32, True)]
SHAPES = [(1, 1), (1, 7), (7, 1), (16, 16), (16, 48), (48, 16), (33, 20)]


def model() -> Transformer:
    torch.manual_seed(0)
    return transformer(layers=1, d_model=16, heads=2, feed_forward=32, dropout=0.0).build(9, 9)


def optimizer_of(network: nn.Module, spec: OptimizerSpec, rate: float = 0.01) -> torch.optim.Optimizer:
    optimizer = spec.build(network.parameters(), block_matrices(network))
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("ratio", 1.0)
    return optimizer


def step(network: nn.Module, optimizer: torch.optim.Optimizer, seed: int) -> dict[str, Tensor]:
    """Change of each weight by one step along gradients drawn by ``seed``."""
    torch.manual_seed(seed)
    before = {name: weight.detach().clone() for name, weight in network.named_parameters()}
    for weight in network.parameters():
        weight.grad = torch.randn_like(weight)
    optimizer.step()
    return {name: weight.detach() - before[name] for name, weight in network.named_parameters()}


def test_block_matrices_are_those_of_linear_layers():
    network = model()
    chosen = {id(matrix) for matrix in block_matrices(network)}
    names = {name for name, weight in network.named_parameters() if id(weight) in chosen}
    # 4 of self-attention and 2 of the feed-forward network on each side, 4 of cross-attention.
    assert len(names) == 16
    assert all(name.endswith(".weight") and ".blocks." in name and "norm" not in name for name in names)


def torchs(matrices: list[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.Muon(matrices, lr=0.02, momentum=0.9, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")


def ours(matrices: list[nn.Parameter]) -> torch.optim.Optimizer:
    return OrthogonalMomentum(matrices, lr=0.02, momentum=0.9, weight_decay=0.1)


def walk(
    build: Callable[[list[nn.Parameter]], torch.optim.Optimizer], dtype: torch.dtype, half: bool
) -> list[nn.Parameter]:
    """Matrices after three steps, the second of which has no gradient for one and zeros for another."""
    torch.manual_seed(0)
    matrices = [nn.Parameter(torch.randn(shape, dtype=torch.float64).to(dtype)) for shape in SHAPES]
    optimizer = build(matrices)
    for turn in range(3):
        for place, matrix in enumerate(matrices):
            gradient = torch.randn(matrix.shape, dtype=torch.float64).to(dtype)
            matrix.grad = gradient * (0 if turn == 1 and place == 4 else 1)
        if turn == 1:
            matrices[3].grad = None
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
            optimizer.step()
    return matrices


def test_in_bf16_steps_are_those_of_torch_to_the_bit():
    for one, other in zip(walk(ours, torch.float32, True), walk(torchs, torch.float32, False), strict=True):
        assert torch.equal(one, other)


def test_in_fp32_steps_are_those_of_fp64_to_the_digits_of_fp32():
    exact, single, half = (walk(ours, dtype, half) for dtype, half in PRECISIONS)
    for real, close, far in zip(exact, single, half, strict=True):
        assert exact[0].dtype == torch.float64
        torch.testing.assert_close(close.double(), real, rtol=1e-5, atol=2e-5)
        torch.testing.assert_close(far.double(), real, rtol=0.1, atol=0.05)


def test_training_in_fp32_asks_for_no_product_in_bf16(
    tmp_path: Path, recipe: str, train: Train, monkeypatch: pytest.MonkeyPatch
):
    asked = list[torch.dtype]()

    def noting(matrix: Tensor, dtype: torch.dtype) -> Tensor:
        asked.append(dtype)
        return orthogonalised(matrix, dtype)

    monkeypatch.setattr(muon, "orthogonalised", noting)
    for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        changes = ("training.optimizer.kind=muon", "training.epochs=1", f"training.precision={precision}")
        assert train(recipe, *changes, "--run", tmp_path / precision, "--threads", 1).exit_code == 0
        assert {*asked} == {dtype}
        asked.clear()


def test_steps_of_matrices_are_nearly_orthogonal_and_as_large_as_adams():
    network = model()
    matrices = {name for name, w in network.named_parameters() if w.dim() == 2 and ".blocks." in name}
    change = step(network, optimizer_of(network, Muon()), seed=1)
    for name in matrices:
        singular = torch.linalg.svdvals(change[name]) / (0.2 * max(change[name].shape) ** 0.5 * 0.01)
        assert singular.min() > 0.5
        assert singular.max() < 1.35
        # Adam's first step changes each component by the rate; later ones by a fifth to two fifths of it.
        assert 0.1 < change[name].square().mean().sqrt() / 0.01 < 0.3


@pytest.mark.parametrize("ratio", [0.5, 3.0])
def test_ratio_scales_the_steps_of_matrices_alone(ratio: float):
    plain, scaled = model(), model()
    one = step(plain, optimizer_of(plain, Muon()), seed=1)
    other = step(scaled, optimizer_of(scaled, Muon(ratio=ratio)), seed=1)
    matrices = {name for name, w in plain.named_parameters() if w.dim() == 2 and ".blocks." in name}
    for name, change in one.items():
        expected = change * ratio if name in matrices else change
        torch.testing.assert_close(other[name], expected, rtol=1e-2, atol=1e-6)


def test_all_else_is_changed_as_by_adam():
    joint, alone = model(), model()
    optimizers = optimizer_of(joint, Muon()), optimizer_of(alone, Adam())
    matrices = {name for name, w in joint.named_parameters() if w.dim() == 2 and ".blocks." in name}
    for seed in (1, 2, 3):
        changes = step(joint, optimizers[0], seed), step(alone, optimizers[1], seed)
        for name in changes[0].keys() - matrices:
            assert torch.equal(changes[0][name], changes[1][name])
        assert not any(torch.equal(changes[0][name], changes[1][name]) for name in matrices)


def test_weight_decay_takes_from_matrices_alone():
    plain, decayed = model(), model()
    first = {name: weight.detach().clone() for name, weight in plain.named_parameters()}
    one = step(plain, optimizer_of(plain, Muon()), seed=1)
    other = step(decayed, optimizer_of(decayed, Muon(weight_decay=0.5)), seed=1)
    for name, weight in first.items():
        share = 0.5 * 0.01 if weight.dim() == 2 and ".blocks." in name else 0.0
        torch.testing.assert_close(other[name], one[name] - share * weight, rtol=1e-4, atol=1e-6)


def test_its_state_goes_to_a_file_and_back(tmp_path: Path):
    one, other = model(), model()
    first, second = optimizer_of(one, Muon()), optimizer_of(other, Muon())
    step(one, first, seed=1)
    step(other, second, seed=1)
    save_tensors(tmp_path / "state", optimizer_tensors(first), {})
    second.state.clear()
    load_optimizer(second, load_tensors(tmp_path / "state")[0], tmp_path / "state")
    # Rates are set in the groups of the whole: they have to be those of its parts.
    for optimizer in (first, second):
        for group in optimizer.param_groups:
            group["lr"] = 0.02
    changes = step(one, first, seed=2), step(other, second, seed=2)
    for name in changes[0]:
        assert torch.equal(changes[0][name], changes[1][name])
        assert changes[0][name].abs().max() > 0.001


def test_a_run_learns_by_it_and_resumes_to_the_same_weights(tmp_path: Path, recipe: str, train: Train):
    changes = ("training.optimizer.kind=muon", "training.schedule.peak=0.01")
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert train(recipe, *changes, "--run", whole, "--threads", 1).exit_code == 0
    assert train(recipe, *changes, "training.minutes=1e-9", "--run", parts, "--threads", 1).exit_code == 0
    for _ in range(2):
        assert train(parts, "training.minutes=null", "--threads", 1).exit_code == 0
    files = [run / "state" / "last.safetensors" for run in (whole, parts)]
    weights, again = (load_tensors(file)[0] for file in files)
    assert all(torch.equal(weights[name], again[name]) for name in weights)


def test_a_model_without_blocks_is_refused_by_field(tmp_path: Path, recipe: str, train: Train):
    lstm = ("model.kind=recurrent", "training.optimizer.kind=muon")
    text = Path(recipe).read_text(encoding="utf-8")
    start, end = text.index("model:"), text.index("training:")
    changed = tmp_path / "lstm.yaml"
    changed.write_text(text[:start] + text[end:], encoding="utf-8")
    refused = train(changed, *lstm, "--run", tmp_path / "run")
    assert refused.exit_code == 2
    assert "training.optimizer.kind muon is for the matrices of blocks" in refused.stderr
    assert not (tmp_path / "run").exists()
