"""``whyformer watch``, and what the other verbs do with a run that recognises video."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from whyformer.cli.main import app
from whyformer.data.video.files import write_video
from whyformer.data.video.front import FrameSpec
from whyformer.data.video.moving_digits import MovingDigitsSpec

pytest.importorskip("av")
pytest.importorskip("sklearn")

Program = Callable[..., Result]
ON_CPU = ("--device", "cpu", "--threads", 1)
SMALL = [
    *("data.train=24", "data.valid=3", "data.test=3", "data.digits.most=3", "frames.height=20"),
    *("frames.width=20", "model.encoder.front.height=20", "model.encoder.front.width=20"),
    *("model.encoder.d_model=16", "model.encoder.stack.layers=1", "model.encoder.front.channels=4"),
    *("model.encoder.front.merging=[8]", "model.encoder.stack.block.feed_forward.hidden=32"),
    *("training.steps=6", "training.batching.tokens=400", "training.schedule.warmup=1"),
    *("training.validation.every=3", "training.precision=fp32"),
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("watch") / "run"
    made = CliRunner().invoke(app, ["train", "moving-digits", *SMALL, "--run", str(folder), "--threads", "1"])
    assert made.exit_code == 0, made.output
    return folder


@pytest.fixture
def file(tmp_path: Path) -> Path:
    video = MovingDigitsSpec().open("test", 0, FrameSpec(height=20, width=20)).video(0, 1)
    write_video(tmp_path / "digits.mp4", video.frames[:41], 25)
    return tmp_path / "digits.mp4"


def test_each_chunk_is_told_with_its_label(whyformer: Program, run: Path, file: Path):
    result = whyformer("watch", run, file, "--chunk", "160ms", "--left", 2, "--json", *ON_CPU)
    assert (result.exit_code, result.stderr) == (0, "")
    events = [json.loads(line) for line in result.stdout.splitlines()]
    labels = [label for event in events for label in event["labels"]]
    assert [label["start"] for label in labels] == [pytest.approx(0.16 * place) for place in range(11)]
    assert all(label["label"] in (None, *map(str, range(10))) for label in labels)
    assert [event["final"] for event in events] == [*[False] * (len(events) - 1), True]
    assert {event["source"] for event in events} == {str(file)}


def test_the_text_is_that_of_the_last_event(whyformer: Program, run: Path, file: Path):
    events = whyformer("watch", run, file, file, "--json", *ON_CPU).stdout.splitlines()
    texts = [event["text"] for event in map(json.loads, events) if event["final"]]
    result = whyformer("watch", run, file, file, *ON_CPU)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [text for text in texts if text]
    assert len(texts) == 2


@pytest.mark.parametrize(
    ("content", "sentence"), [(b"words\n" * 99, "no video file"), (None, "no such file"), (b"", "empty")]
)
def test_what_is_no_video_is_refused(
    whyformer: Program, run: Path, tmp_path: Path, content: bytes | None, sentence: str
):
    if content is not None:
        (tmp_path / "a.mp4").write_bytes(content)
    result = whyformer("watch", run, tmp_path / "a.mp4", *ON_CPU)
    assert result.exit_code == 2
    assert sentence in result.stderr


def test_evaluation_tells_errors_and_labels_for_each_chunk(whyformer: Program, run: Path):
    result = whyformer("evaluate", run, "--chunk", "80ms", "--chunk", "full", "--json", *ON_CPU)
    assert result.exit_code == 0, result.output
    assert "chunk_labels" in result.stdout
    shown = whyformer("evaluate", run, "--chunk", "160ms", *ON_CPU)
    assert "labels right" in shown.stdout
    assert "word error rate" in shown.stdout


def test_inspect_and_curves_know_the_task(whyformer: Program, run: Path):
    result = whyformer("inspect", run)
    assert result.exit_code == 0
    assert "tubelet front of stride 2" in result.stdout


def test_another_verb_says_which_to_take(whyformer: Program, run: Path):
    result = whyformer("translate", run, "--device", "cpu", stdin="one\n")
    assert result.exit_code == 2
    assert "whyformer watch" in result.stderr
