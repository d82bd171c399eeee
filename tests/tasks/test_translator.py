"""A trained run, loaded: its translations are right, and depend on the sentence alone."""

import json
import random
import shutil
import warnings
from collections.abc import Callable
from itertools import compress
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import whyformer
from whyformer.data.tokenizers.kinds import Word
from whyformer.decoding.beam import BeamSpec
from whyformer.decoding.greedy import GreedySpec
from whyformer.decoding.sampling import SamplingSpec
from whyformer.decoding.search import SearchSpec
from whyformer.errors import CheckpointError, DecodingError, TokenizerError, WhyformerError, WhyformerNote
from whyformer.runs.load import load_as
from whyformer.tasks.bad_lines import BadLines
from whyformer.tasks.output import TextOutput
from whyformer.tasks.translation.translator import Translator


@pytest.fixture(scope="module")
def translator(reverse_run: Path) -> Translator:
    return load_as(Translator, reverse_run)


@pytest.fixture(scope="module")
def sentences() -> list[str]:
    """Of every length, blank ones among them."""
    drawn = random.Random(2)
    filled = [" ".join(drawn.choices("01234", k=drawn.randint(1, 6))) for _ in range(104)]
    return [*filled[:40], "", *filled[40:], "  "]


def texts(found: list[list[TextOutput]]) -> list[list[str]]:
    return [[candidate.text for candidate in candidates] for candidates in found]


def test_a_trained_run_does_what_it_was_trained_for(translator: Translator):
    assert translator("0 1 2") == "2 1 0"
    drawn = random.Random(3)
    # There are too few strings of two to learn them from: how many come out right is chance.
    sources = [" ".join(drawn.choices("01234", k=drawn.randint(3, 5))) for _ in range(100)]
    right = sum(text == source[::-1] for text, source in zip(translator.best(sources), sources, strict=True))
    # 96 to 100 from 20 seeds, mean 99.4.
    assert right >= 80


@pytest.mark.parametrize(
    "settings", [GreedySpec(), BeamSpec(size=5, n_best=3), SamplingSpec(samples=2, top_p=0.9)]
)
def test_the_batch_does_not_matter(translator: Translator, sentences: list[str], settings: SearchSpec):
    alone = translator.translate(sentences, settings, batch=1)
    for batch in (7, 64):
        together = translator.translate(sentences, settings, batch=batch)
        same = [a == b for a, b in zip(texts(together), texts(alone), strict=True)]
        # Rounding may decide between two that are equally likely, or where a draw is on the edge.
        assert sum(same) >= len(sentences) - 1
        for some, others in compress(zip(together, alone, strict=True), same):
            assert [c.score for c in some] == pytest.approx([c.score for c in others], abs=1e-4)


def test_data_may_be_translated_in_parts(translator: Translator, sentences: list[str]):
    settings = SamplingSpec(temperature=2.0)
    whole = translator.translate(sentences, settings)
    parts = [
        *translator.translate(sentences[:50], settings),
        *translator.translate(sentences[50:], settings, first=51),
    ]
    assert sum(a == b for a, b in zip(texts(parts), texts(whole), strict=True)) >= len(sentences) - 1
    # Only because of `first`: the same sentence on another line draws other tokens.
    assert texts(translator.translate(sentences[50:], settings)) != texts(whole[50:])


def test_a_blank_sentence_becomes_an_empty_one(translator: Translator):
    for blank in ("", "   ", "\u3000"):
        assert translator.translate([blank, "0 1"], BeamSpec(n_best=2))[0] == [
            TextOutput("", 0.0, (), [], True)
        ]
    assert translator.translate([]) == []


def test_a_candidate_says_what_it_is_written_in(translator: Translator):
    best = translator.translate(["0 1 2"])[0][0]
    assert best.text == translator.tokenizers.target.decode(best.ids) == "2 1 0"
    assert best.tokens == translator.tokenizers.target.tokens(best.ids)
    assert best.finished
    cut = translator.translate(["0 1 2"], GreedySpec(longest_factor=0, longest_extra=2))[0][0]
    assert (cut.text, cut.finished) == ("2 1", False)


def test_progress_counts_every_filled_sentence(translator: Translator, sentences: list[str]):
    told: list[int] = []
    translator.translate(sentences, GreedySpec(), batch=50, advance=told.append)
    assert told == [50, 50, 4]


def test_a_sentence_over_the_limit_is_named_by_its_line(translator: Translator):
    longest = " ".join(["0"] * 15)
    assert translator.best([longest])
    with pytest.raises(DecodingError, match="line 12 has 16 tokens, but the model takes 15 at most"):
        translator.translate(["0", f"{longest} 0"], first=11)


def test_a_prefix_is_how_every_translation_begins(translator: Translator):
    openings = translator.openings("4 4")
    assert {translator.tokenizers.target.decode(opening) for opening in openings} == {"4 4"}
    found = translator.translate(["0 1 2", "3 4", ""], BeamSpec(size=3, n_best=3, openings=openings))
    assert all(candidate.text.startswith("4 4") for candidate in found[0] + found[1])
    assert found[2][0].text == ""
    assert translator.openings("") == translator.openings(" \u3000") == ()
    with pytest.raises(DecodingError, match="can write the prefix '4 x' only as '4 <unk>'"):
        translator.openings("4 x")
    # A word has to follow the space.
    for space in (" ", "\u00a0", "  "):
        best = translator.translate(["3 4"], GreedySpec(openings=translator.openings(f"4{space}")))[0][0]
        assert best.text.startswith("4 ")
        assert len(best.ids) > 1


def test_loading_leaves_the_random_state_alone(reverse_run: Path):
    before = torch.get_rng_state()
    whyformer.load(reverse_run, device="cpu")
    assert torch.equal(torch.get_rng_state(), before)


def test_an_unknown_device_is_refused(reverse_run: Path):
    with pytest.raises(DecodingError, match=r"there is no device tpu here; --device takes: auto, cpu"):
        whyformer.load(reverse_run, device="tpu")


def truncate(run: Path) -> None:
    weights = run / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])


def foreign(run: Path) -> None:
    save_file({"weight": torch.zeros(2)}, run / "model.safetensors")


def pickled(run: Path) -> None:
    (run / "model.safetensors").write_bytes(b"\x80\x02}q\x00.")


def snapshot_of_another_model(run: Path) -> None:
    recipe = run / "recipe.yaml"
    recipe.write_text(
        recipe.read_text(encoding="utf-8").replace("d_model: 32", "d_model: 16"), encoding="utf-8"
    )


def exchange_tokenizer(run: Path) -> None:
    Word(split="spaces").train(["5 6 7 8 9"]).save(run / "tokenizer.json")


def damage_tokenizer(run: Path) -> None:
    (run / "tokenizer.json").write_text(json.dumps({"model": {}}), encoding="utf-8")


@pytest.mark.parametrize(
    ("damage", "error", "complaint"),
    [
        (shutil.rmtree, CheckpointError, "this is not the folder of a run (it has no recipe.yaml)"),
        (truncate, CheckpointError, "model.safetensors: the file is damaged or not safetensors"),
        (foreign, CheckpointError, "model.safetensors: this file was not written by Whyformer"),
        (pickled, CheckpointError, "model.safetensors: this is a pickle"),
        (
            lambda run: (run / "model.safetensors").unlink(),
            CheckpointError,
            "model.safetensors: there is no such",
        ),
        (snapshot_of_another_model, CheckpointError, "model.safetensors: the weights do not fit the recipe"),
        (exchange_tokenizer, CheckpointError, "were trained with another tokenizer than the one in"),
        (damage_tokenizer, TokenizerError, "tokenizer.json: not a tokenizer of Whyformer"),
        (
            lambda run: (run / "tokenizer.json").unlink(),
            TokenizerError,
            "tokenizer.json: no such tokenizer file",
        ),
    ],
)
def test_a_damaged_run_says_what_is_wrong_with_which_file(
    reverse_run: Path,
    tmp_path: Path,
    damage: Callable[[Path], None],
    error: type[WhyformerError],
    complaint: str,
):
    run = tmp_path / "run"
    shutil.copytree(reverse_run, run)
    damage(run)
    with pytest.raises(error) as caught:
        whyformer.load(run, device="cpu")
    assert complaint in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_other_weights_of_the_run_are_taken_where_they_are_named(reverse_run: Path):
    early = min((reverse_run / "snapshots").iterdir())
    translator, late = (
        load_as(Translator, str(reverse_run), weights=early),
        load_as(Translator, reverse_run),
    )
    assert not torch.equal(translator.model.output_weight, late.model.output_weight)


def test_sentences_of_a_line_are_translated_one_by_one_and_joined(translator: Translator):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        parts = translator.translate(["0 1 2!", "3 4"])
        lines = translator.translate(["0 1 2! 3 4", "", "0 1 2! 3 4 ... 0 1 2!", "0 1"], split=True)
    assert [str(each.message).rpartition("guess: ")[2] for each in told] == ["! (U+0021).", ". (U+002E)."]
    expected = [f"{parts[0][0].text} {parts[1][0].text}", "", "", translator("0 1")]
    assert [line[0].text for line in (lines[0], lines[1], lines[3])] == [expected[0], "", expected[3]]
    assert lines[0][0].score == pytest.approx(sum(part[0].score for part in parts), abs=1e-4)
    assert lines[0][0].ids == (*parts[0][0].ids, *parts[1][0].ids)
    assert all(len(line) == 1 for line in lines)


def test_lines_of_more_sentences_than_those_of_training_are_told_once(reverse_run: Path):
    translator = load_as(Translator, reverse_run)
    with pytest.warns(WhyformerNote) as told:
        translator.best(["0 1", "0! 1! 2", "3! 4"])
    (note,) = [str(each.message) for each in told if "sentences" in str(each.message)]
    assert note.startswith("line 2 has 3 sentences, but lines of the training text had 1 at most, as a rule")
    assert "(2 of 3 lines are so)" in note
    assert "--split" in note
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        translator.best(["0! 1"])


def test_a_bad_line_costs_no_other(translator: Translator):
    bad = BadLines()
    lines = ["0 1 2", "0 " * 20, "1\0", "\ud800", "", "4 1 3"]
    found = translator.translate(lines, first=11, bad=bad)
    assert [line[0].text for line in found] == ["2 1 0", "", "", "", "", "3 1 4"]
    assert sorted(bad.left_out) == [12, 13, 14]
    bad = BadLines("truncate")
    assert translator.translate(lines[:2], bad=bad)[1][0].text == translator("0 " * 15)
    assert ([*bad.cut], bad.left_out) == ([2], {})
    for line in lines[1:4]:
        with pytest.raises(DecodingError, match="line 1"):
            translator.best([line])
    # Of a line with a sentence that is too long nothing is translated.
    bad = BadLines()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", WhyformerNote)
        assert translator.translate([f"0 1! {'0 ' * 20}", "0 1"], split=True, bad=bad)[0][0].text == ""
    assert [*bad.left_out] == [1]
