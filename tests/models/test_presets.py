"""Presets in recipes: `model: {preset: small, ...}`."""

import pytest

from whyformer.config.defaults import merged
from whyformer.config.validation import check
from whyformer.errors import RecipeError
from whyformer.models.transformer import TransformerSpec, base, small


def test_a_preset_is_the_whole_spec() -> None:
    assert check(TransformerSpec, {"preset": "small"}, "a test") == small()


def test_other_keys_change_the_preset() -> None:
    spec = check(TransformerSpec, {"preset": "base", "encoder": {"layers": 2}, "longest": 99}, "a test")
    assert (spec.encoder.layers, spec.decoder.layers, spec.longest) == (2, 6, 99)
    assert spec.d_model == base().d_model


def test_an_override_by_preset_starts_afresh() -> None:
    data = merged({"preset": "small", "longest": 99}, {"preset": "base"})
    assert check(TransformerSpec, data, "a test") == base()


def test_an_unknown_preset_names_those_that_exist() -> None:
    with pytest.raises(
        RecipeError,
        match=r'preset: unknown preset "smal"; did you mean small\? presets: base, big, small, tiny',
    ):
        check(TransformerSpec, {"preset": "smal"}, "a test")
