"""An ELMo from text to vectors: windows, alignment, training, resuming, loading."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import whyformer
from whyformer.data.batches.word_windows import Windows
from whyformer.data.tokenizers.kinds import Word
from whyformer.data.tokenizers.tokenizer import Tokenizer
from whyformer.errors import CheckpointError, RecipeError, TokenizerError, TrainingError
from whyformer.models.elmo import ELMo, ELMoSpec
from whyformer.nn.vectors.characters import CharactersSpec
from whyformer.runs.load import load_as
from whyformer.runs.registry import load_any
from whyformer.runs.train import resume_run, start_run
from whyformer.tasks.bidirectional_lm import training as bidirectional_lm
from whyformer.tasks.bidirectional_lm.task import BidirectionalLMRecipe, BidirectionalLMTask
from whyformer.tasks.bidirectional_lm.training import (
    BidirectionalLMTraining,
    bidirectional_lm_metrics,
    windows_of,
)
from whyformer.tasks.bidirectional_lm.word_embedder import WordEmbedder
from whyformer.tasks.causal_lm.generator import Generator
from whyformer.training.leak import check_no_leak
from whyformer.training.storage.checkpoint import load_tensors
from whyformer.training.storage.run import RunFolder

CPU = torch.device("cpu")
CHARACTERS = CharactersSpec(width=8, filters=((1, 8), (3, 16)), highways=1, longest=12)
RECIPE = """\
task: bidirectional_lm
data: {{train: [{text}], valid: 0.2}}
tokenizer: {{vocabulary: 12}}
model:
  d_model: 24
  characters: {{width: 8, filters: [[1, 8], [3, 16]], highways: 1, longest: 12}}
  dropout: 0.1
  longest: 8
training:
  steps: 80
  batching: {{tokens: 128}}
  loss: {{label_smoothing: 0.0}}
  schedule: {{kind: constant, peak: 0.01, warmup: 5}}
  precision: fp32
  validation: {{every: 40, average: 1}}
  save_every: 40
"""
WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that counts on, and back; the vocabulary has no room for all ten words."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("elmo")
    text = folder / "counting.txt"
    text.write_text("\n\n".join(" ".join(WORDS[a:b]) for a in range(9) for b in range(a + 2, 11)))
    (folder / "recipe.yaml").write_text(RECIPE.format(text=text))
    start_run(
        str(folder / "recipe.yaml"), [], folder / "run", device="cpu", overwrite=False, say=print
    ).train()
    return folder / "run"


@pytest.fixture(scope="module")
def embedder(run: Path) -> WordEmbedder:
    loaded = whyformer.load(run, device="cpu")
    assert isinstance(loaded, WordEmbedder)
    return loaded


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Word(vocabulary=40).train([" ".join(WORDS)])


def windows(tokenizer: Tokenizer, texts: list[str], longest: int | None) -> Windows:
    return Windows(texts, tokenizer, CHARACTERS, longest)


def test_it_learns_to_count_both_ways(run: Path):
    valid = [record for record in RunFolder(run).records() if record["event"] == "valid"]
    last = valid[-1]
    # Where a count begins and ends is anybody's guess, among up to nine; twelve words would be 2.5 nats.
    # From 20 seeds 0.81 to 1.03 forwards, 0.66 to 0.83 backwards, deviations 0.05.
    assert last["forward_nll"] < 1.2
    assert last["backward_nll"] < 1.2
    assert last["nll"] == pytest.approx((last["forward_nll"] + last["backward_nll"]) / 2)
    assert last["perplexity"] == pytest.approx(np.exp(last["nll"]))
    _, facts = load_tensors(run / "model.safetensors")
    assert facts["scores"]["nll"] == min(each["nll"] for each in valid)


def test_a_stopped_run_goes_on_to_the_same_bits(run: Path, tmp_path: Path):
    torch.set_num_threads(1)
    recipe, runs = str(run / "recipe.yaml"), (tmp_path / "once", tmp_path / "twice")
    for folder, steps in zip(runs, (12, 5), strict=True):
        start_run(
            recipe, [f"training.steps={steps}"], folder, device="cpu", overwrite=False, say=print
        ).train()
    resume_run(runs[1], ["training.steps=12"], device="cpu", say=print).train()
    first, second = (load_tensors(RunFolder(folder).state)[0] for folder in runs)
    assert first.keys() == second.keys()
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())


def test_the_likelihood_is_that_of_every_word_from_its_own_side(embedder: WordEmbedder):
    model, tokenizer, text = embedder.model, embedder.tokenizer, "three four five zwölf"
    held_out = windows_of([text], tokenizer, ELMoSpec(characters=CHARACTERS, longest=64))
    figures = bidirectional_lm_metrics(model, held_out, 0.0).figures
    assert figures.keys() == {"loss", "perplexity", *BidirectionalLMTask.figures}
    words, ids = windows(tokenizer, [text], None).batch(np.array([0]), CPU)
    with torch.no_grad():
        x = model.embed(words)
        nll = np.zeros(2)
        # Only what a direction may read is given to it at all.
        for place, gold in enumerate(ids[0].tolist()):
            before, behind = x[:, :place], x[:, place + 1 :]
            for way, (seen, state) in enumerate(((before, -1), (behind, 0))):
                if seen.shape[1]:
                    states = model(seen, torch.ones(1, seen.shape[1]).bool())[way][0, state]
                    logits = model.output_weight @ states
                    logits[0] = -torch.inf
                    nll[way] -= logits.log_softmax(0)[gold].item()
    assert ids[0].tolist() == [2, *tokenizer.encode(text), 3]
    found = [figures["forward_nll"], figures["backward_nll"]]
    np.testing.assert_allclose(found, nll / (ids.shape[1] - 1), rtol=1e-4)


def test_figures_do_not_depend_on_the_batch(embedder: WordEmbedder):
    texts = [" ".join(WORDS[a:b]) for a in range(4) for b in range(a + 1, 10, 2)]
    held_out = windows_of(texts, embedder.tokenizer, ELMoSpec(characters=CHARACTERS, longest=6))
    together, alone = (
        bidirectional_lm_metrics(embedder.model, held_out, 0.0, batch=batch).figures for batch in (64, 1)
    )
    assert together == pytest.approx(alone, rel=1e-5)


@given(
    lengths=st.lists(st.integers(0, 9), min_size=1, max_size=5),
    longest=st.one_of(st.none(), st.integers(2, 6)),
)
def test_each_pair_of_neighbours_is_in_one_window(
    tokenizer: Tokenizer, lengths: list[int], longest: int | None
):
    texts = [" ".join(WORDS[:length]) for length in lengths]
    made = windows(tokenizer, texts, longest)
    words, ids = made.batch(np.arange(len(made.lengths)), CPU)
    rows = [row[valid].tolist() for row, valid in zip(ids, words.valid, strict=True)]
    assert [len(row) for row in rows] == made.lengths.tolist()
    assert all(2 <= len(row) <= (longest or 99) for row in rows)
    whole = [[2, *tokenizer.encode(text), 3] for text in texts]
    assert Counter(pair for row in rows for pair in pairwise(row)) == Counter(
        pair for row in whole for pair in pairwise(row)
    )


def made_task(run: Path) -> tuple[BidirectionalLMTraining, ELMo]:
    recipe = load_any(str(run / "recipe.yaml"))
    assert isinstance(recipe, BidirectionalLMRecipe)
    prepared = BidirectionalLMTask().prepare(recipe, None)
    torch.manual_seed(0)
    model = prepared.build()
    assert isinstance(prepared.task, BidirectionalLMTraining)
    assert isinstance(model, ELMo)
    return prepared.task, model


def test_what_is_predicted_counts_each_direction(run: Path):
    task, model = made_task(run)
    indices = np.arange(9)
    batch = task.batch(indices, 0, CPU)
    losses = task.objective(model.eval(), batch)
    assert losses.predictions == task.predicted(indices, 0)
    apart = replace(task.objective, apart=True)(model, batch)
    ways = [apart.figures[name].item() for name in ("forward_nll", "backward_nll")]
    assert sum(ways) == pytest.approx(losses.figures["nll"].item(), rel=1e-6)
    assert ways[0] != ways[1]
    assert apart.total.item() == pytest.approx(losses.total.item(), rel=1e-6)


def test_the_leak_check_covers_both_directions(run: Path, monkeypatch: pytest.MonkeyPatch):
    task, model = made_task(run)
    check_no_leak(lambda: task.probe(model.train()))

    def shifted(forward: slice, backward: slice) -> None:
        def foreseeing(model: ELMo, x: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
            forwards, backwards = model(x, valid)
            return forwards[:, forward], backwards[:, backward]

        monkeypatch.setattr(bidirectional_lm, "_predicting_states", foreseeing)

    # States that have read the word they are to tell: of one direction, then of the other.
    for forward, backward in ((slice(1, None), slice(1, None)), (slice(-1), slice(-1))):
        shifted(forward, backward)
        with pytest.raises(TrainingError, match=r"depends on the input at position"):
            check_no_leak(lambda: task.probe(model))


def test_vectors_are_those_of_each_text_alone(embedder: WordEmbedder):
    texts = ["one two three", "", "nine", "five  six,中文 seven eight nine ten one two"]
    together = embedder.vectors(texts, batch=3)
    for text, found in zip(texts, together, strict=True):
        assert found.shape == (3, len(embedder.words(text)) if text else 0, 48)
        np.testing.assert_allclose(found, embedder.vectors([text])[0], rtol=1e-4, atol=1e-5)
    assert embedder.vectors([]) == []
    assert embedder.words("five six,中文") == [" five", " six", ",", "中", "文"]


def test_vectors_of_a_word_depend_on_both_sides(embedder: WordEmbedder):
    first, other_left, other_right = embedder.vectors(["one two three", "nine two three", "one two nine"])
    word = first[:, 1]
    np.testing.assert_allclose(word[0], other_left[0, 1], atol=1e-6)
    assert np.array_equal(word[0, :24], word[0, 24:])
    for layer in (1, 2):
        for other, same in ((other_left, slice(24, 48)), (other_right, slice(24))):
            assert np.allclose(word[layer, same], other[layer, 1, same], atol=1e-6)
            changed = np.setdiff1d(np.arange(48), np.arange(48)[same])
            assert not np.allclose(word[layer, changed], other[layer, 1, changed], atol=1e-3)


def test_unknown_words_have_vectors_of_their_own(embedder: WordEmbedder):
    texts = ["qwerty", "asdf", "qwerty"]
    assert {tuple(embedder.tokenizer.encode(text)) for text in texts} == {(1,)}
    first, second, again = (vectors[0, 0] for vectors in embedder.vectors(texts))
    np.testing.assert_allclose(first, again, atol=1e-6)
    assert np.abs(first - second).max() > 0.01


def test_a_text_longer_than_a_training_row_is_read_whole(embedder: WordEmbedder):
    changed, same = embedder.vectors(["one " + "two " * 99, "two " + "two " * 99])
    assert changed.shape[1] > 100
    assert np.abs(changed[2, 1] - same[2, 1]).max() > 1e-3


def test_of_an_overlong_word_the_beginning_is_read(embedder: WordEmbedder):
    first, second = embedder.vectors(["x" * 500, "x" * 20 + "yz"])
    np.testing.assert_allclose(first, second, atol=1e-6)


def test_half_a_character_is_refused(embedder: WordEmbedder):
    with pytest.raises(TokenizerError, match="half of a surrogate pair"):
        embedder.vectors(["one", "\ud800"])


def test_words_and_their_ids_are_those_of_the_tokenizer(tokenizer: Tokenizer):
    texts = ["one  two</s> zwölf\n<s> ten", "", "<pad>"]
    found = [tokenizer.word_ids(words) for words in tokenizer.words(texts)]
    assert found == tokenizer.encode_all(texts)


def test_it_does_not_write(run: Path):
    with pytest.raises(CheckpointError, match="makes vectors of words; use `whyformer embed"):
        load_as(Generator, run)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (["tokenizer.kind=bpe"], "tokenizer"),
        (["model.characters.filters=[]"], "model.characters.filters"),
        (["model.longest=1"], "model.longest"),
    ],
)
def test_faults_of_a_recipe_are_told_with_their_path(run: Path, changes: list[str], sentence: str):
    with pytest.raises(RecipeError) as caught:
        load_any(str(run / "recipe.yaml"), changes)
    assert sentence in str(caught.value)


def test_the_shipped_recipe_is_one_of_this_task():
    assert isinstance(load_any("elmo-tiny"), BidirectionalLMRecipe)
