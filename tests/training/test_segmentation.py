"""Text cut anew by BPE-dropout: what a training counts is what it reads, and held-out text stays as it is."""

from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from typer.testing import Result

from whyformer.config.recipe_files import load_recipe
from whyformer.errors import RecipeError
from whyformer.tasks.translation.task import TranslationRecipe, TranslationTask
from whyformer.tasks.translation.training import TranslationTraining
from whyformer.training.storage.checkpoint import load_tensors

Train = Callable[..., Result]
CUT = "segmentation={kind: bpe_dropout, rate: 0.3}"
BPE = "tokenizers.both={kind: bpe, vocabulary: 40, split: spaces, byte_fallback: false}"


def prepared(recipe: str, *changes: str) -> TranslationTraining:
    loaded = load_recipe(TranslationRecipe, recipe, [BPE, *changes])
    return cast(TranslationTraining, TranslationTask().prepare(loaded, None).task)


def test_an_epoch_reads_what_it_counts_and_no_epoch_reads_the_same(recipe: str):
    drawn, plain = prepared(recipe, CUT), prepared(recipe)
    assert np.array_equal(np.asarray(drawn.lengths), np.asarray(plain.lengths))
    indices, device = np.arange(3, 40, 2), torch.device("cpu")
    seen = list[list[list[int]]]()
    for epoch in range(3):
        batch = drawn.batch(indices, epoch, device)
        assert drawn.predicted(indices, epoch) == sum(batch.target.lengths) - len(indices)
        seen.append(batch.source.tokens.tolist())
        again = prepared(recipe, CUT).batch(indices, epoch, device)
        assert torch.equal(again.target.tokens, batch.target.tokens)
    assert seen[0] != seen[1] != seen[2] != seen[0]
    whole = plain.batch(indices, 0, device)
    assert plain.predicted(indices, 0) == sum(whole.target.lengths) - len(indices)
    cut = drawn.batch(indices, 0, device)
    for side, other in ((whole.source, cut.source), (whole.target, cut.target)):
        decode = drawn.tokenizers.source.decode
        texts = [[decode(row) for row in each.tokens.tolist()] for each in (side, other)]
        assert texts[0] == texts[1]
        assert sum(other.lengths) > sum(side.lengths)


def test_other_seeds_cut_otherwise(recipe: str):
    indices, device = np.arange(30), torch.device("cpu")
    one, other = (prepared(recipe, CUT, f"training.seed={seed}") for seed in (1, 2))
    tokens = [each.batch(indices, 0, device).source.tokens.tolist() for each in (one, other)]
    assert tokens[0] != tokens[1]


def test_a_run_that_is_stopped_goes_on_to_the_same_weights(train: Train, recipe: str, tmp_path: Path):
    changes = (BPE, CUT, "training.steps=30")
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    assert train(recipe, *changes, "--run", straight).exit_code == 0
    assert train(recipe, *changes, "--run", stopped, "training.minutes=0.0001").exit_code == 0
    assert train(stopped, "training.minutes=null").exit_code == 0
    one, other = (load_tensors(run / "model.safetensors")[0] for run in (straight, stopped))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    "changes",
    [
        ("tokenizers.both={kind: unigram}",),
        ("tokenizers.both={kind: word}",),
        (
            "tokenizers={kind: separate, source: {kind: bpe}, target: {kind: character}}",
            "model.embedding.tie=output",
        ),
    ],
)
def test_tokenizers_without_merges_are_refused_before_data_are_read(recipe: str, changes: tuple[str, ...]):
    with pytest.raises(RecipeError, match="and has none; use segmentation"):
        load_recipe(TranslationRecipe, recipe, [*changes, CUT])


def test_one_side_may_have_no_merges(recipe: str):
    sides = "tokenizers={kind: separate, source: {kind: bpe, vocabulary: 300}, target: {kind: character}}"
    one_side = "segmentation={kind: bpe_dropout, sides: source}"
    loaded = load_recipe(TranslationRecipe, recipe, [sides, "model.embedding.tie=output", one_side])
    assert loaded.segmentation.kind == "bpe_dropout"
