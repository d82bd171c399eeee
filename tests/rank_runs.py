"""Trainings by several ranks, in processes as torchrun starts them or each by itself, and what they left."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from whyformer.training.storage.run import RunFolder
from whyformer.training.storage.saved import open_state

WORKER = Path(__file__).parent / "training" / "ranks" / "worker.py"
SOURCE = Path(__file__).parents[1] / "src"
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(SOURCE), "WHYFORMER_LANG": "en"}

Runs = Mapping[Path, tuple[str, list[str]]]
"""Folders, each with a recipe to train or, empty, to resume, and overrides."""
Fate = tuple[str, int, int]
"""What comes over a rank at a step: a signal, or FULL or CUT; see ``worker.py``."""


def launch(
    ranks: int,
    runs: Runs,
    *options: str,
    fate: Fate | None = None,
    timeout: float = 300.0,
) -> subprocess.CompletedProcess[str]:
    """Let ranks train, started by torchrun, or one process by itself."""
    settings = written(ranks, runs, fate, timeout)
    torchrun = ["-m", "torch.distributed.run", *options, "--nproc-per-node", str(ranks)]
    command = [sys.executable, *(torchrun if ranks > 1 else []), str(WORKER), str(settings)]
    ended = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert fate is None or met(settings).exists(), ended.stdout + ended.stderr
    return ended


def launch_each(
    runs: Runs,
    fate: Fate,
    *,
    timeout: float,
    prefixes: Sequence[Sequence[str]],
    address: str = "127.0.0.1",
    environment: Mapping[str, str] | None = None,
    frozen: int | None = None,
) -> list[subprocess.CompletedProcess[str]]:
    """Let ranks train that nobody watches over, so that each ends by itself.

    Args:
        runs: what they are to do.
        fate: what comes over one of them.
        timeout: seconds that they wait for one another.
        prefixes: a command for each rank that starts its program.
        address: where rank 0 is.
        environment: more of it.
        frozen: a rank that is stopped; it is killed when the others have ended.
    """
    settings = written(len(prefixes), runs, fate, timeout)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    common = {"WORLD_SIZE": str(len(prefixes)), "MASTER_ADDR": address, "MASTER_PORT": str(port)}
    processes = [
        subprocess.Popen(
            [*prefix, sys.executable, str(WORKER), str(settings)],
            env={**ENVIRONMENT, **common, **(environment or {}), "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank, prefix in enumerate(prefixes)
    ]
    ended = dict[int, subprocess.CompletedProcess[str]]()
    try:
        for rank, process in sorted(enumerate(processes), key=lambda item: item[0] == frozen):
            if rank == frozen:
                process.kill()
            # Of a busy machine: the start takes longest.
            out, err = process.communicate(timeout=240 + 2 * timeout)
            ended[rank] = subprocess.CompletedProcess(process.args, process.returncode, out, err)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert met(settings).exists(), [one.stdout + one.stderr for one in ended.values()]
    return [ended[rank] for rank in range(len(processes))]


def written(ranks: int, runs: Runs, fate: Fate | None, timeout: float) -> Path:
    """The settings of ranks, as they read them."""
    settings = next(iter(runs)).parent / f"settings-{ranks}.json"
    settings.parent.mkdir(parents=True, exist_ok=True)
    told = {"runs": {str(path): how for path, how in runs.items()}, "timeout": timeout, "fate": fate}
    settings.write_text(json.dumps(told), encoding="utf-8")
    met(settings).unlink(missing_ok=True)
    return settings


def met(settings: Path) -> Path:
    """The file that says that a fate was met."""
    return settings.with_suffix(".met")


def sentence(output: str) -> str:
    """The one sentence in what ranks have printed."""
    (found,) = sentences(output)
    return found


def sentences(output: str) -> list[str]:
    """All sentences in what ranks have printed."""
    return [line for line in output.splitlines() if line.startswith("SENTENCE")]


def state(run: Path) -> dict[str, torch.Tensor]:
    """The tensors of the run's state, in one file or in several."""
    saved = open_state(RunFolder(run).state)
    return {name: saved.rows(name, 0, shape[0] if shape else 1) for name, shape in saved.shapes.items()}


def losses(run: Path) -> list[tuple[int, str, float]]:
    """Losses of steps and validations, as the run has logged them."""
    return [(record["step"], record["event"], record["loss"]) for record in RunFolder(run).records()]


def examples(run: Path) -> list[tuple[int, int, list[int]]]:
    """Step, epoch and examples of each batch, in their order; a step that was taken again is the same."""
    found = dict[tuple[int, int], tuple[int, list[int]]]()
    for path in run.parent.glob(f"{run.name}.examples.*.jsonl"):
        for line in path.read_text(encoding="utf-8").splitlines():
            step, number, epoch, indices = json.loads(line)
            assert found.setdefault((step, number), (epoch, indices)) == (epoch, indices)
    return [(step, *batch) for (step, _), batch in sorted(found.items())]


def assert_alike(run: Path, expected: Path, *, bits: bool) -> None:
    """Compare losses and weights: every bit, or relative differences."""
    if bits:
        ours, theirs = state(run), state(expected)
        assert ours.keys() == theirs.keys()
        assert losses(run) == losses(expected)
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
        return
    assert max(differences(run, expected)) <= 1e-6


def differences(run: Path, expected: Path) -> tuple[float, float]:
    """The largest relative difference of a loss, and that of all weights together."""
    told, wanted = losses(run), losses(expected)
    assert [entry[:2] for entry in told] == [entry[:2] for entry in wanted]
    loss = max(abs(a[2] - b[2]) / abs(b[2]) for a, b in zip(told, wanted, strict=True))
    ours, theirs = state(run), state(expected)
    assert ours.keys() == theirs.keys()
    weights = [name for name in theirs if name.startswith("model.")]
    difference, whole = (
        torch.cat([tensor.flatten() for tensor in tensors]).double().norm().item()
        for tensors in ([ours[n] - theirs[n] for n in weights], [theirs[n] for n in weights])
    )
    return loss, difference / whole
