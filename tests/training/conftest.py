"""A run that takes a second: digit strings to be reversed, and a model of a few thousand weights."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner, Result

from whyformer.cli.main import app

TOY = """\
data: {kind: reverse, symbols: 5, shortest: 2, longest: 4, pairs: 200}
tokenizers: {kind: joint, both: {kind: word, split: spaces}}
model:
  d_model: 16
  embedding: {dropout: 0.1}
  encoder:
    layers: 1
    block: {attention: {heads: {query: 2}}, feed_forward: {hidden: 32}, dropout: 0.1}
  decoder:
    layers: 1
    block:
      attention: {heads: {query: 2}}
      cross_attention: {heads: {query: 2}}
      feed_forward: {hidden: 32}
      dropout: 0.1
  longest: 16
training:
  steps: 40
  batching: {tokens: 64, accumulate: 2}
  schedule: {kind: linear, peak: 0.02, warmup: 5}
  precision: fp32
  validation: {every: 7, translate_from: 14, sentences: 5, average: 3}
  save_every: 5
  log_every: 3
decoding: {kind: greedy}
scoring: {tokenize: none}
"""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """The same number of threads everywhere, or sums are made in another order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture costs as much as all the rest of a toy run."""
    monkeypatch.setattr("whyformer.plots.curves.save_curves", lambda *_: None)


@pytest.fixture(scope="session")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("recipe") / "toy.yaml"
    path.write_text(TOY, encoding="utf-8")
    return str(path)


@pytest.fixture(scope="session")
def train() -> Callable[..., Result]:
    """``whyformer train`` in this process."""
    return lambda *arguments: CliRunner().invoke(app, ["train", *map(str, arguments)])


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, recipe: str, train: Callable[..., Result]) -> Path:
    """The folder of a run of the toy recipe from start to end; not to be written to."""
    run = tmp_path_factory.mktemp("runs") / "undisturbed"
    assert train(recipe, "--run", run, "--threads", 1).exit_code == 0
    return run
