"""Documents of a text that has too few of them: its end is held out."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whyformer.data.corpora.detection.ends import cut_end
from whyformer.data.corpora.documents import DocumentsSpec
from whyformer.runs.train import start_run


@pytest.mark.parametrize(
    ("text", "train", "valid"),
    [
        ("one\ntwo\nthree\nfour\nfive", ["one\ntwo\nthree\nfour"], ["five"]),
        ("One day. It rained. We left. So did you.", ["One day. It rained. We left."], ["So did you."]),
        ("天晴了。我们走。你也走。", ["天晴了。我们走。"], ["你也走。"]),
        ("words without any end at all", ["words without any end at"], ["all"]),
        ("日月山川风雨雷电火", ["日月山川风雨雷电"], ["火"]),
        ("a first text\n\nsecond text", ["a first text"], ["second text"]),
    ],
)
def test_of_a_text_of_few_documents_the_end_is_held_out(
    tmp_path: Path, text: str, train: list[str], valid: list[str]
):
    path = tmp_path / "text"
    path.write_text(text, encoding="utf-8")
    spec = DocumentsSpec.model_validate({"train": [path], "valid": 0.05})
    read = spec.load()
    assert (read.train, read.valid) == (train, valid)
    assert spec.held_out("valid") == valid
    assert "the end of the text held out as valid, as these are too few for a share of them" in read.summary


@given(
    texts=st.lists(st.text("ab .。\n天", min_size=1).filter(str.strip), min_size=1, max_size=4),
    share=st.floats(0.01, 0.5),
)
def test_a_cut_loses_nothing_and_leaves_more_than_it_takes(texts: list[str], share: float):
    whole = "".join("".join(texts).split())
    sides = cut_end(texts, share)
    if sides is None:
        assert len(whole) < 2 or share > 0.3 or len(whole) < sum(map(len, texts))
        return
    assert all(text.strip() for side in sides for text in side)
    assert "".join("".join([*sides[0], *sides[1]]).split()) == whole
    assert sum(map(len, sides[1])) <= sum(map(len, texts)) / 2


@pytest.mark.filterwarnings("ignore::whyformer.errors.WhyformerNote")
@pytest.mark.parametrize("recipe", ["gpt-tiny", "bert-tiny", "elmo-tiny"])
def test_a_text_without_blank_lines_is_trained_on(recipe: str, tmp_path: Path):
    lines = (f"Number {number} goes to {number * number % 97} today." for number in range(300))
    text = tmp_path / "own.txt"
    text.write_text("\n".join(lines), encoding="utf-8")
    mine = tmp_path / "mine.yaml"
    said = f"base: {recipe}\ndata: {{train: own.txt}}\ntokenizer: {{vocabulary: 400}}\n"
    mine.write_text(said, encoding="utf-8")
    told = list[str]()
    few = ["training.steps=1", "training.schedule.warmup=1"]
    run = tmp_path / "run"
    trainer = start_run(str(mine), few, run, device="cpu", overwrite=False, say=told.append)
    trainer.lock.release()
    assert any("the end of the text held out as valid" in line for line in told)
