"""Models that a format cannot say: all that stands in the way is named, and what to say instead."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from whyformer.cli.main import app
from whyformer.config.recipe_files import load_recipe
from whyformer.errors import CheckpointError
from whyformer.huggingface.formats.gpt2 import HuggingFaceGPT2
from whyformer.huggingface.formats.marian import HuggingFaceMarian
from whyformer.models.transformer import TransformerSpec
from whyformer.tasks.causal_lm.task import CausalLMRecipe
from whyformer.tasks.translation.task import TranslationRecipe

TRANSLATORS: list[list[str]] = [
    ["tokenizers.kind=separate", "model.embedding.tie=output"],
    ["model.encoder.block.placement.kind=pre", "model.decoder.block.placement.kind=pre"],
    ["model.encoder.positions=[{kind: rotary}]", "model.decoder.positions=[{kind: rotary}]"],
    ["model.encoder.block.norm.kind=rms", "model.decoder.block.norm.kind=rms"],
    ["model.encoder.positions=[]", "model.decoder.block.attention.score.kind=dot"],
    ["model.decoder.block.attention=null", "model.decoder.block.recurrence.kind=ssru"],
    ["model.encoder.layers=4", "model.decoder.layers=1", "model.decoder.positions=[]"],
]
MODELS = [*TRANSLATORS, [change for each in TRANSLATORS[:4] for change in each]]


@pytest.mark.parametrize("changes", MODELS, ids=range(len(MODELS)))
def test_a_translator_changed_as_told_can_be_exported(changes: list[str]) -> None:
    exchange = HuggingFaceMarian()
    recipe = load_recipe(TranslationRecipe, "demo", changes)
    assert isinstance(recipe.model, TransformerSpec)
    token_ids = exchange.own_token_ids(100)
    cures = exchange.cures(recipe.model, token_ids)
    assert len(cures) >= len([change for change in changes if ".kind=" in change and "model." in change])
    cured = [each.strip("'") for each in cures]
    changed = load_recipe(TranslationRecipe, "demo", [*changes, "tokenizers.kind=joint", *cured])
    assert isinstance(changed.model, TransformerSpec)
    assert exchange.cures(changed.model, token_ids) == []


@pytest.mark.parametrize(
    "changes",
    [
        ["model.stack.block.attention.score.kind=dot", "model.stack.block.norm.kind=rms"],
        ["model.stack.positions=[{kind: rotary}]", "model.stack.block.placement.kind=post"],
    ],
)
def test_a_language_model_changed_as_told_can_be_exported(changes: list[str]) -> None:
    exchange = HuggingFaceGPT2()
    recipe = load_recipe(CausalLMRecipe, "gpt-tiny", changes)
    token_ids = exchange.own_token_ids(100)
    cured = [each.strip("'") for each in exchange.cures(recipe.model, token_ids)]
    changed = load_recipe(CausalLMRecipe, "gpt-tiny", [*changes, *cured])
    assert exchange.cures(changed.model, token_ids) == []
    with pytest.raises(CheckpointError) as refused:
        exchange.exported(recipe.model, {}, token_ids)
    assert all(each in str(refused.value) for each in cured)


def test_a_folder_that_is_not_there_is_said_to_be_none(tmp_path: Path) -> None:
    for folder, said in ((tmp_path / "nosuch", "there is no such folder"), (tmp_path, "has no config.json")):
        refused = CliRunner().invoke(app, ["import", str(folder)])
        assert refused.exit_code == 2
        assert said in refused.output
