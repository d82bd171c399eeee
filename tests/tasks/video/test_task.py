"""The recipe of a watcher, its training, and its evaluation."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from tasks.video import watchers
from whyformer.data.video.moving_digits import NO_DIGIT
from whyformer.errors import DataError
from whyformer.runs.registry import TASKS
from whyformer.tasks.streaming.training import signal_batch
from whyformer.tasks.task import EvaluationOptions
from whyformer.tasks.video.data import label_symbols, signal_of
from whyformer.tasks.video.evaluation import LabelCounts, evaluate_watcher
from whyformer.tasks.video.training import WatchingObjective, WatchingTraining, label_accuracy
from whyformer.training.ctc.joint import JointLossSpec, predictions_of

pytest.importorskip("sklearn")

TASK = TASKS["video"]
CPU = torch.device("cpu")


def test_labels_become_symbols() -> None:
    assert label_symbols((NO_DIGIT, 0, 9), watchers.SYMBOLS) == (0, 1, 10)


def test_training_makes_what_the_recipe_says() -> None:
    recipe = watchers.recipe()
    prepared = TASK.prepare(recipe, None)
    training = prepared.task
    assert isinstance(training, WatchingTraining)
    assert training.lengths.shape == (8, 1)
    batch = training.batch(np.array([0, 3, 5]), 1, CPU)
    assert batch.frames.shape[2:] == (20, 20)
    assert batch.labels is not None
    assert batch.labels.shape == (3, -(-max(batch.lengths) // 2))
    for row, length in enumerate(batch.lengths):
        assert (batch.labels[row] >= 0).sum() == -(-length // 2)
        told = [int(label) for label in batch.labels[row] if label > 0]
        changes = told[:1] + [b for a, b in pairwise(told) if a != b]
        text = list(batch.texts[row])
        assert changes == text[:1] + [b for a, b in pairwise(text) if a != b]
    assert training.predicted(np.array([0, 3, 5]), 1) == predictions_of(batch.texts)


def test_the_weight_of_labels_is_that_of_their_cross_entropy() -> None:
    torch.manual_seed(0)
    model = watchers.model().build(watchers.SYMBOLS.size).eval()
    signals = [signal_of(each.video, watchers.SYMBOLS, 2) for each in _valid()]
    batch = signal_batch(signals, watchers.watcher().recognizer().rule, CPU)
    none, some = (WatchingObjective(JointLossSpec(), weight)(model, batch) for weight in (0.0, 0.5))
    hidden = model(batch.frames, batch.lengths, batch.rule).hidden
    log_probs = model.label_log_probs(hidden)
    expected = sum(
        -log_probs[row, place, label]
        for row, signal in enumerate(signals)
        for place, label in enumerate(signal.labels or ())
    )
    torch.testing.assert_close(some.total - none.total, 0.5 * torch.as_tensor(expected), rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(some.figures["labels"], torch.as_tensor(expected).detach())
    assert some.predictions == none.predictions


def _valid() -> list[Any]:
    recipe = watchers.recipe()
    assert recipe.data is not None
    return recipe.data.held_out("valid", recipe.frames)


@pytest.mark.parametrize("chunk", ["80ms", "400ms", "full"])
def test_evaluation_streams_and_its_labels_are_those_of_one_pass(chunk: str) -> None:
    watcher, videos = watchers.watcher("chunk"), _valid()
    how = watcher.settings.with_chunks(chunk, None)
    metrics = evaluate_watcher(watcher, videos, how, EvaluationOptions(batch=2), "valid")
    assert metrics.signals == len(videos)
    assert metrics.rate.units == sum(len(each.words) for each in videos)
    signals = [signal_of(each.video, watcher.symbols, 2) for each in videos]
    whole = label_accuracy(watcher.model, signals, watcher.recognizer(how).rule, CPU)
    assert metrics.figures["labels"] == pytest.approx(100 * whole)
    assert ("chunk_labels" in metrics.figures) == (chunk != "full")
    assert any("labels right" in line for line in metrics.lines("valid", 1))


def test_a_watcher_that_is_right_has_all_labels() -> None:
    watcher, videos = watchers.watcher(), [each.video for each in _valid()]
    session = watcher.open()
    session.feed(videos[0].frames)
    session.finish()
    true = [None if label == NO_DIGIT else str(label) for label in videos[0].labels(2)]
    chunks = [None if label == NO_DIGIT else str(label) for label in videos[0].labels(4)]
    session.labels[:] = [
        label._replace(frames=tuple(true[2 * place : 2 * place + 2]), label=chunks[place])
        for place, label in enumerate(session.labels)
    ]
    counts = LabelCounts.of([session], videos[:1], 2)
    assert counts == LabelCounts(len(true), len(true), len(chunks), len(chunks))


def test_held_out_videos_are_those_of_every_recipe() -> None:
    first, second = _valid(), watchers.recipe(label_weight=0.0).data
    assert second is not None
    for ours, theirs in zip(first, second.held_out("valid", watchers.FRAMES), strict=True):
        np.testing.assert_array_equal(ours.video.frames, theirs.video.frames)
    with pytest.raises(DataError, match="there is no test set tset; did you mean test"):
        second.held_out("tset", watchers.FRAMES)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"frames": {"height": 20, "width": 25}}, "front.width is 20, but frames.width is 25"),
        ({"model": {"encoder": {"front": {"kind": "convolution"}}}}, "kind convolution hears sound"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        watchers.recipe(**changes)


def test_pictures_smaller_than_a_digit_are_refused() -> None:
    model = watchers.model().model_dump()
    model["encoder"]["front"] |= {"height": 10, "width": 10}
    recipe = watchers.recipe(frames={"height": 10, "width": 10}, model=model)
    with pytest.raises(DataError, match="digits of up to 18 pixels do not fit"):
        TASK.prepare(recipe, None)
