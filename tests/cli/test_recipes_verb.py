"""``whyformer recipes`` shows what is shipped, one recipe in full, and every key; all of it can be used."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from whyformer.cli.main import app
from whyformer.config.recipe_files import shipped
from whyformer.runs.registry import load_any


def recipes(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["recipes", *arguments])


def test_the_list_names_and_describes_every_shipped_recipe():
    lines = recipes().stdout.splitlines()
    assert len(lines) == len(shipped()) > 0
    assert all(len(line.split(maxsplit=1)) == 2 for line in lines)


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_recipe_is_sound_and_its_full_text_is_the_same_recipe(name: str, tmp_path: Path):
    path = tmp_path / "full.yaml"
    path.write_text(recipes(name).stdout, encoding="utf-8")
    assert load_any(str(path)) == load_any(name)


def test_overrides_show_in_the_full_text():
    assert "steps: 7\n" in recipes("demo", "training.steps=7").stdout


def test_a_wrong_override_is_an_error_with_its_path_and_the_nearest_key():
    result = recipes("demo", "training.stepz=7")
    assert result.exit_code == 2
    assert "training.stepz: unknown key; did you mean steps?" in result.stderr


def test_every_key_of_a_full_recipe_is_listed():
    listed = recipes("--keys").stdout
    for key in ("task", "data.kind", "model.d_model", "training.steps", "model.encoder.layers"):
        assert f"\n{key}: " in f"\n{listed}"


@pytest.mark.parametrize(("words", "is_long"), [([], True), (["model"], True), (["schedule"], False)])
def test_a_long_list_of_keys_says_how_to_get_a_short_one(words: list[str], is_long: bool):
    result = recipes("--keys", *words)
    count = sum(not line.startswith(" ") for line in result.stdout.splitlines())
    assert (f"{count} keys; a part of their names behind --keys" in result.stderr) == is_long


@pytest.mark.parametrize("words", [["model.encoder"], ["gpt-tiny", "model.stack"], ["bert-tiny", "mask"]])
def test_no_key_is_listed_twice_for_one_kind(words: list[str]):
    lines = [line for line in recipes("--keys", *words).stdout.splitlines() if not line.startswith(" ")]
    assert len(lines) == len(set(lines))
    assert not any("first.first" in line or "second.first" in line for line in lines)
