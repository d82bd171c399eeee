"""What holds for all tests, and the one trained run that many of them use."""

import os
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings

# Test workers share the cores with each other and with whatever else runs: a deadline would measure that.
settings.register_profile("shared-cores", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared-cores")

REVERSE = """\
data: {kind: reverse, symbols: 5, shortest: 2, longest: 5, pairs: 1500}
tokenizers: {kind: joint, both: {kind: word, split: spaces}}
model:
  d_model: 32
  embedding: {dropout: 0.0}
  encoder:
    layers: 1
    block: {attention: {heads: {query: 2}}, feed_forward: {hidden: 64}, dropout: 0.0}
  decoder:
    layers: 1
    block:
      attention: {heads: {query: 2}}
      cross_attention: {heads: {query: 2}}
      feed_forward: {hidden: 64}
      dropout: 0.0
  longest: 16
training:
  steps: 400
  batching: {tokens: 192}
  loss: {label_smoothing: 0.0}
  schedule: {kind: linear, peak: 0.01, warmup: 50}
  precision: fp32
  validation: {every: 100, average: 3}
  save_every: 400
  log_every: 100
decoding: {kind: beam, size: 5}
scoring: {tokenize: none}
"""


@pytest.fixture(scope="session")
def reverse_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that reverses strings of the digits 0 to 4; copy it before you change it.

    It is trained once, by the worker that comes first; the others wait.
    """
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    run, unfinished = folder / "reverse", folder / "reverse-unfinished"
    with FileLock(folder / "reverse.lock"):
        if not run.exists():
            _train(folder / "reverse.yaml", unfinished)
            unfinished.rename(run)
    return run


def _train(recipe: Path, run: Path) -> None:
    import torch

    from whyformer.tasks.train import begin

    torch.set_num_threads(1)
    recipe.write_text(REVERSE, encoding="utf-8")
    begin(str(recipe), [], run, device="cpu", overwrite=True, say=print).train()
