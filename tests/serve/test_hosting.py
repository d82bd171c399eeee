"""Runs as they are hosted: one set of weights each, whatever is asked of it."""

from pathlib import Path

import pytest
import torch

from whyformer.runs.execution import Execution
from whyformer.runs.load import load_embedder
from whyformer.serve.hosting import host_run


@pytest.mark.parametrize("name", ["filling_run", "counting_run"])
def test_vectors_come_from_the_runners_own_weights(name: str, request: pytest.FixtureRequest):
    folder: Path = request.getfixturevalue(name)
    hosted = host_run("mine", folder, Execution("cpu"))
    assert hosted.embedder is not None
    assert hosted.embedder.model is hosted.runner.model
    texts = ["one two three", "two", ""]
    expected = load_embedder(folder, Execution("cpu")).embed(texts)
    torch.testing.assert_close(hosted.embedder.embed(texts), expected, rtol=0, atol=0, equal_nan=True)


def test_a_run_that_translates_makes_no_vectors(reverse_run: Path):
    assert host_run("mine", reverse_run, Execution("cpu")).embedder is None
