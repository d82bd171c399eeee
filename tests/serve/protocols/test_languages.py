"""Languages of runs, as their recipes tell them and as users state them."""

from pathlib import Path
from typing import Any

import pytest

from whyformer.config.validation import check
from whyformer.data.corpora.parallel import FilesSpec
from whyformer.errors import WhyformerError
from whyformer.runs.registry import load_any
from whyformer.serve.languages import (
    LanguagePair,
    language_name,
    language_pair,
    same_language,
    stated_pair,
)
from whyformer.tasks.translation.task import TranslationRecipe


def recipe(data: dict[str, Any] | None) -> TranslationRecipe:
    given = {"task": "translation", "training": {"steps": 1}, "data": data}
    return check(TranslationRecipe, given, "a recipe")


@pytest.mark.parametrize(
    ("name", "pair"),
    [
        ("demo", ("en", "zh")),
        ("cldr-en-de", ("en", "de")),
        ("multi30k-en-de", ("en", "de")),
        ("multi30k-en-de-download", ("en", "de")),
        ("tatoeba-en-zh", ("en", "zh-Hans")),
        ("reverse", None),
        ("gpt-tiny", None),
    ],
)
def test_recipes_of_ours_tell_their_languages(
    name: str, pair: tuple[str, str] | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("WHYFORMER_SHARED", str(tmp_path))
    assert language_pair(load_any(name)) == pair


def text(source: str, target: str) -> dict[str, Any]:
    return {"kind": "text", "source": source, "target": target}


def columns(source: str, target: str) -> dict[str, Any]:
    return {"kind": "tsv", "path": "x", "source_column": source, "target_column": target, "header": True}


def keys(source: str, target: str) -> dict[str, Any]:
    return {"kind": "jsonl", "path": "x", "source_key": source, "target_key": target}


@pytest.mark.parametrize(
    ("train", "pair"),
    [
        (text("a/train.fr.gz", "a/train.en.txt"), ("fr", "en")),
        (text("train.pt_BR", "train.sr-Latn"), ("pt-BR", "sr-Latn")),
        (text("train.src", "train.tgt"), None),
        (text("train.en", "other.en"), None),
        (text("en", "de"), None),
        ({"kind": "tsv", "path": "x.tsv"}, None),
        (columns("en", "zh_TW"), ("en", "zh-TW")),
        (columns("english", "german"), None),
        (keys("translation.de", "translation.en"), ("de", "en")),
        (keys("source", "target"), None),
        ({"kind": "joined", "parts": [text("a.en", "a.de"), keys("en", "de")]}, ("en", "de")),
        ({"kind": "joined", "parts": [text("a.en", "a.de"), text("a.en", "a.fr")]}, None),
    ],
)
def test_files_tell_their_languages(train: dict[str, Any], pair: tuple[str, str] | None):
    data = check(FilesSpec, {"kind": "files", "train": train}, "data")
    assert language_pair(recipe(None).model_copy(update={"data": data})) == pair


def test_a_recipe_without_data_tells_nothing():
    assert language_pair(recipe(None)) is None


@pytest.mark.parametrize(
    ("text", "pair"),
    [("en-de", ("en", "de")), ("en-zh_Hans", ("en", "zh-Hans")), ("pt_BR-sr_Latn", ("pt-BR", "sr-Latn"))],
)
def test_users_state_languages(text: str, pair: tuple[str, str]):
    assert stated_pair(text) == LanguagePair(*pair)


@pytest.mark.parametrize(
    "text", ["", "en", "en-", "en-en", "en-de-fr", "en-tgt", "english-german", "en>de", "-"]
)
def test_what_states_no_two_languages_is_refused(text: str):
    with pytest.raises(WhyformerError, match="write them as in en-de"):
        stated_pair(text)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("en", "EN", True),
        ("zh", "zh-Hans", True),
        ("zh", "zh-CN", True),
        ("zh", "zh_Hant", False),
        ("zt", "zh-TW", True),
        ("pb", "pt", True),
        ("sr", "sr-Latn", False),
        ("en", "de", False),
        ("mine", "mine", True),
        ("mine", "yours", False),
        ("", "", True),
        ("x y", "en", False),
        ("\ud800", "en", False),
    ],
)
def test_codes_mean_languages(one: str, other: str, same: bool):
    assert same_language(one, other) is same
    assert same_language(other, one) is same


def test_languages_have_names():
    codes = ["en", "zh-Hans", "pt-BR", "en-Cyrl", "demo", "x-y"]
    assert [language_name(code) for code in codes] == [
        "English",
        "Simplified Chinese",
        "Brazilian Portuguese",
        "English (Cyrl)",
        "demo",
        "x-y",
    ]
