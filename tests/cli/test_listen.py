"""``whyformer listen`` as a user meets it: all sorts of sound, pictures, and what is refused."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner, Result

from whyformer.cli.main import app
from whyformer.cli.transcripts import ShownTranscripts, _line
from whyformer.data.audio.spoken.labels import write_tones
from whyformer.runs.train import start_run
from whyformer.tasks.streaming.transcript import ShownWord, Transcript

pytestmark = pytest.mark.filterwarnings("ignore::whyformer.errors.WhyformerNote")
RATE = 8000


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has learned nothing but is sure of itself, and a sound with its labels."""
    house = tmp_path_factory.mktemp("house")
    few = ["training.epochs=null", "training.steps=1", "data.train=8", "data.valid=2", "data.test=2"]
    start_run("tones", few, house / "run", device="cpu", overwrite=False, say=lambda _: None).train()
    weights = load_file(house / "run" / "model.safetensors")
    weights["emit.weight"] *= 30
    with safe_open(house / "run" / "model.safetensors", framework="pt") as file:
        save_file(weights, house / "sure.safetensors", file.metadata())
    write_tones(house / "tones.wav", 4)
    return house


def listen(house: Path, *arguments: str, stdin: bytes | None = None) -> Result:
    call = ["listen", str(house / "run"), *arguments, "--weights", str(house / "sure.safetensors")]
    return CliRunner().invoke(app, call, input=stdin, catch_exceptions=False)


def test_words_come_with_their_delays_and_in_the_end_as_a_line(house: Path) -> None:
    result = listen(house, str(house / "tones.wav"), "--chunk", "80ms")
    assert result.exit_code == 0
    (line,) = result.stdout.splitlines()
    shown = [each for each in result.stderr.splitlines() if " s  " in each]
    assert len(shown) > 1
    assert all(re.match(r" +\d+\.\d\d s  .*\(\+-?\d+\.\d\d s\)", each) for each in shown)
    assert len(line.split()) > 1


def test_events_are_json_and_end_with_the_final_one(house: Path) -> None:
    result = listen(house, str(house / "tones.wav"), "--json", "--chunk", "80ms", "--left", "1")
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert [each["final"] for each in events] == [False] * (len(events) - 1) + [True]
    assert all(event["text"].startswith(event["stable"]) for event in events)
    assert events[-1]["text"] == events[-1]["stable"]


def test_all_ways_in_give_the_same_words(house: Path, tmp_path: Path) -> None:
    samples, _ = soundfile.read(house / "tones.wav", dtype="int16")
    raw = samples.astype("<i2").tobytes()
    (tmp_path / "a.raw").write_bytes(raw)
    soundfile.write(tmp_path / "a.flac", samples, RATE)
    soundfile.write(tmp_path / "two.wav", np.stack([samples, samples], axis=1), RATE)
    expected = listen(house, str(house / "tones.wav")).stdout
    assert expected.strip()
    assert listen(house, "-", stdin=(house / "tones.wav").read_bytes()).stdout == expected
    assert listen(house, "-", "--rate", "8000", stdin=raw).stdout == expected
    assert listen(house, str(tmp_path / "a.raw"), "--rate", "8000").stdout == expected
    assert listen(house, str(tmp_path / "a.flac")).stdout == expected
    assert listen(house, str(tmp_path / "two.wav")).stdout == expected


def test_several_sounds_are_told_apart(house: Path, tmp_path: Path) -> None:
    sounds = [str(house / "tones.wav"), str(tmp_path / "copy.wav")]
    (tmp_path / "copy.wav").write_bytes((house / "tones.wav").read_bytes())
    lines = listen(house, *sounds).stdout.splitlines()
    assert [line.partition(": ")[0] for line in lines] == sounds
    assert lines[0].partition(": ")[2] == lines[1].partition(": ")[2]


def test_samples_that_are_no_numbers_are_left_out_and_the_rest_is_heard(house: Path, tmp_path: Path) -> None:
    samples, _ = soundfile.read(house / "tones.wav", dtype="float32")
    samples[4000:4003] = samples[12000] = np.nan
    soundfile.write(tmp_path / "nan.wav", samples, RATE, subtype="FLOAT")
    result = listen(house, str(tmp_path / "nan.wav"))
    assert result.exit_code == 0
    assert result.stdout.strip()
    assert result.stderr.count("no finite numbers") == 1


def test_a_sound_without_words_says_so(house: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "nothing.wav", np.zeros(0), RATE)
    result = listen(house, str(tmp_path / "nothing.wav"))
    assert (result.exit_code, result.stdout) == (0, "")
    assert "no words were recognised in it" in result.stderr


REFUSED = [
    (["text.wav"], "no sound file that can be read"),
    (["missing.wav"], "no such file"),
    (["."], "is a folder"),
    (["empty.wav"], "no sound file that can be read"),
    (["a.raw"], "give it with --rate"),
    ([], "name sound files"),
    (["tones.wav", "--microphone"], "name sound files"),
    (["tones.wav", "--chunk", "100ms"], "take 80 ms"),
    (["tones.wav", "--chunk", "soon"], "is no duration"),
    (["tones.wav", "--left", "-1"], "is no number of chunks"),
    (["tones.wav", "tones.wav", "--plot", "p.png"], "--plot draws one sound"),
    (["tones.wav", "--plot", "p.gif"], "name a .png or an .html file"),
    (["tones.wav", "--labels", "tones.txt"], "give --plot as well"),
]


@pytest.mark.parametrize(
    ("arguments", "said"), REFUSED, ids=lambda each: " ".join(each) if isinstance(each, list) else ""
)
def test_what_cannot_be_heard_is_told_in_a_sentence(
    arguments: Sequence[str], said: str, house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(house)
    for name, data in (("text.wav", b"hello\n"), ("empty.wav", b""), ("a.raw", b"\0" * 800)):
        (house / name).write_bytes(data)
    result = listen(house, *arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_the_picture_has_the_words_that_were_printed(house: Path, tmp_path: Path) -> None:
    folder = tmp_path / "drawn"
    sound, labels = str(house / "tones.wav"), str(house / "tones.txt")
    result = listen(house, sound, "--plot", str(folder), "--labels", labels)
    assert result.stderr.splitlines()[-2:] == [str(folder / "words.html"), str(folder / "words.png")]
    page = (folder / "words.html").read_text(encoding="utf-8")
    cells = re.findall(r'<th scope="row">(\S+?)(?: \(not said\))?</th>', page.partition("<details>")[2])
    assert cells[: len(result.stdout.split())] == result.stdout.split()
    assert cells[len(result.stdout.split()) :] == [
        line.split("\t")[2] for line in Path(labels).read_text(encoding="utf-8").splitlines()
    ]


def test_evaluations_of_one_set_in_several_chunks_all_come_and_are_drawn(house: Path, tmp_path: Path) -> None:
    call = [
        "evaluate",
        str(house / "run"),
        "--on",
        "seen",
        "--chunk",
        "80ms",
        "--chunk",
        "full",
        "--left",
        "1",
    ]
    result = CliRunner().invoke(
        app, [*call, "--json", "--plot", str(tmp_path / "l.png")], catch_exceptions=False
    )
    sets = json.loads(result.stdout)["sets"]
    assert [(each["name"], each["chunks"]) for each in sets] == [("seen", "80ms, left 1"), ("seen", "full")]
    assert (tmp_path / "l.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (["translate", "RUN", "hello"], "use `whyformer listen"),
        (["evaluate", "RUN", "--beam", "3"], "ways to search text mean nothing"),
        (["export", "RUN", "out", "--to", "huggingface"], "no other toolkit's format has such a model"),
    ],
    ids=lambda each: each[0] if isinstance(each, list) else "",
)
def test_other_verbs_refuse_a_run_that_hears(
    call: Sequence[str], said: str, house: Path, tmp_path: Path
) -> None:
    found = [str(house / "run") if each == "RUN" else each for each in call]
    result = CliRunner().invoke(app, found, catch_exceptions=False)
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_run_that_reads_is_refused(reverse_run: Path, house: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["listen", str(reverse_run), str(house / "tones.wav")])
    assert "use `whyformer translate" in result.stderr
    drawn = CliRunner().invoke(app, ["evaluate", str(reverse_run), "--plot", str(tmp_path / "l.png")])
    assert "--plot is for runs that hear or watch" in drawn.stderr


@pytest.mark.parametrize("recipe", ["tones", "RUN", "moving-digits"])
def test_data_of_streams_are_checked(recipe: str, house: Path) -> None:
    target = str(house / "run") if recipe == "RUN" else recipe
    result = CliRunner().invoke(app, ["check", target], catch_exceptions=False)
    assert result.exit_code == 0
    assert "to train on" in result.stdout


WORDS = tuple(
    ShownWord(text, at, at + 0.1, at + 0.3) for at, text in enumerate(["seven", "你好世界", "one"] * 9)
)


@pytest.mark.parametrize("width", [30, 50, 79, 400])
@pytest.mark.parametrize("stable", [0, 5, len(WORDS)])
def test_a_line_keeps_its_time_and_its_newest_words(width: int, stable: int) -> None:
    from whyformer.language import display_width

    line = _line(Transcript(WORDS, stable, heard=WORDS[-1].shown), width)
    assert line.startswith("  26.30 s  ")
    assert line.endswith("one (+0.20 s)")
    assert display_width(line) <= width
    assert ("…" in line) == (width < 400)


def test_a_terminal_line_is_written_anew_and_gone_in_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    show = ShownTranscripts(rewrites=True)
    show(Transcript(WORDS[:1], 0, heard=0.3), "a")
    show(Transcript(WORDS[:1], 1, heard=0.6, final=True), "a")
    out, err = capsys.readouterr()
    assert out == "seven\n"
    # The sign to erase a line goes to terminals alone.
    assert err.replace("\033[K", "") == "\r   0.30 s  ¦ seven (+0.20 s)\r"


@pytest.mark.parametrize(("shortest", "told"), [(3, False), (40, True)])
def test_training_tells_of_texts_that_do_not_fit_where_there_are_some(
    shortest: int, told: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = ["training.epochs=null", "training.steps=1", "training.log_every=1", "data.train=2", "data.valid=2"]
    # Words without pauses, and where that is asked for, frames longer than words.
    dense = ["augmentation.speed={slowest: 1, fastest: 2, probability: 1}"]
    dense += [f"data.strings={{shortest: {shortest}, longest: {shortest}, pause_ms: [0, 0]}}"]
    dense += ["model.encoder.front.strides=[3, 3, 3]", "chunks.milliseconds=540"] if told else []
    start_run(
        "tones", [*few, *dense], tmp_path / "run", device="cpu", overwrite=False, say=lambda _: None
    ).train()
    (line,) = [each for each in capsys.readouterr().err.splitlines() if each.startswith("train ")]
    assert "nll" in line
    assert ("impossible" in line) == told
