"""Sentences that the service shows: those that we have written ourselves, and nobody's own."""

from pathlib import Path
from typing import Any

import pytest

from whyformer.config.validation import check
from whyformer.data.store.pair_data import pair_corpus
from whyformer.runs.registry import load_any
from whyformer.serve.text_facts import text_facts
from whyformer.tasks.translation.task import TranslationRecipe


@pytest.mark.parametrize("name", ["reverse", "demo"])
def test_examples_are_short_and_were_never_trained_on(name: str):
    recipe = load_any(name)
    assert isinstance(recipe, TranslationRecipe)
    examples = text_facts(recipe).examples
    assert 1 <= len(examples) <= 6
    assert [*examples] == sorted(examples, key=len)
    assert all(0 < len(text.strip()) <= 60 for text in examples)
    assert recipe.data is not None
    trained = {source for source, _ in pair_corpus(recipe.data).train}
    assert not trained & {*examples}


def files(folder: Path) -> dict[str, Any]:
    for name in ("train", "valid", "test"):
        (folder / f"{name}.en").write_text(f"a secret of {name}\n", encoding="utf-8")
        (folder / f"{name}.de").write_text(f"ein Geheimnis von {name}\n", encoding="utf-8")
    pairs = {
        name: {"kind": "text", "source": str(folder / f"{name}.en"), "target": str(folder / f"{name}.de")}
        for name in ("train", "valid", "test")
    }
    return {"kind": "files", **pairs, "test": {"own": pairs["test"]}}


def test_no_text_of_somebodys_files_is_an_example(tmp_path: Path):
    given = {"task": "translation", "training": {"steps": 1}, "data": files(tmp_path)}
    facts = text_facts(check(TranslationRecipe, given, "a recipe"))
    assert facts.languages == ("en", "de")
    assert facts.examples == ()


@pytest.mark.parametrize("name", ["gpt-tiny", "tones"])
def test_runs_that_do_not_translate_have_none(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("WHYFORMER_SHARED", str(tmp_path))
    assert text_facts(load_any(name)) == (None, ())
