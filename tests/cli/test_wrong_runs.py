"""What the verbs say of a run, weights or a preset that is not what they want: the right one."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from whyformer.data.tokenizers.pair import SeparateTokenizers
from whyformer.data.tokenizers.tokenizer import Tokenizer

Program = Callable[..., Result]


@pytest.mark.parametrize("verb", ["fill", "classify", "generate", "translate", "embed", "inspect"])
@pytest.mark.parametrize(
    ("kind", "does", "right"),
    [
        ("reverse_run", "translates", ("translate", "inspect")),
        ("counting_run", "generates text", ("generate", "embed")),
        ("filling_run", "fills holes in texts", ("fill", "embed")),
    ],
)
def test_every_verb_names_the_right_verb_of_every_run(
    verb: str,
    kind: str,
    does: str,
    right: tuple[str, ...],
    whyformer: Program,
    request: pytest.FixtureRequest,
):
    run = request.getfixturevalue(kind)
    if verb in right:
        return
    on_lines = verb in ("classify", "embed")
    result = whyformer(verb, run, *([] if on_lines else ["0 1"]), stdin="0 1\n")
    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: {run}: this run {does}")
    assert f"use `whyformer {right[0]} {run}`" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["translate", "{run}", "0 1"],
        ["evaluate", "{run}"],
        ["inspect", "{run}"],
        ["inspect", "{run}", "0 1"],
        ["export", "{run}", "{out}", "--to", "huggingface"],
    ],
    ids=" ".join,
)
def test_weights_that_are_not_there_are_named_with_those_that_are(
    arguments: list[str], whyformer: Program, reverse_run: Path, tmp_path: Path
):
    named = [part.format(run=reverse_run, out=tmp_path / "out") for part in arguments]
    for nowhere in ("nothere", str(reverse_run), str(tmp_path / "a.safetensors")):
        result = whyformer(*named, "--weights", nowhere)
        assert result.exit_code == 2
        assert f"error: {nowhere}: there is no such file of weights; the run has" in result.stderr
        assert str(reverse_run / "model.safetensors") in result.stderr


def test_the_weights_of_an_embedder_are_named_too(whyformer: Program, counting_run: Path):
    result = whyformer("embed", counting_run, "--weights", "nothere", stdin="one\n")
    assert f"nothere: there is no such file of weights; the run has {counting_run}" in result.stderr


@pytest.mark.parametrize(
    ("recipe", "override", "told"),
    [
        ("demo", "model.preset=smal", 'model.preset: unknown preset "smal"; did you mean small? presets: '),
        ("demo", "model.preset=tyni", 'model.preset: unknown preset "tyni"; did you mean tiny? presets: '),
        ("gpt-tiny", "model.preset=gpt2", "did you mean gpt2_small? presets: gpt2_small, tiny"),
        ("bert-tiny", "model.preset=[a]", 'unknown preset ["a"]; presets: base, mini, small, tiny'),
        ("bert-tiny", "model.preset=3", "unknown preset 3; presets: base, mini, small, tiny"),
        ("demo", "model.encoder.preset=a", "unknown key; there are no presets here; keys here: layers, mask"),
        ("demo", "training.schedule.preset=a", "there are no presets here; keys here: kind (inverse_sqrt, "),
        (
            "demo",
            "data.preset=a",
            "data.preset: unknown key; there are no presets here; keys here: kind (files",
        ),
        (
            "demo",
            "preset=a",
            "error: 1 fault in recipe demo with its overrides:\n  preset: unknown key; there",
        ),
    ],
)
def test_a_preset_that_is_not_there(recipe: str, override: str, told: str, whyformer: Program):
    result = whyformer("recipes", recipe, override)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: 1 fault in recipe")
    assert told in result.stderr


def test_faults_beside_a_wrong_preset_are_told_and_those_below_it_are_not(whyformer: Program):
    told = whyformer("recipes", "demo", "model.preset=smal", "model.longest=a", "training.clip=b").stderr
    assert told.startswith("error: 2 faults")
    assert "model.longest" not in told
    assert 'training.clip: is "b"' in told


@pytest.mark.parametrize(
    "arguments",
    [
        ["translate", "run", "a", "--engine", "gpu"],
        ["embed", "run", "--pooling", "max"],
        ["tokenizer", "train", "a.txt", "--kind", "byte"],
        ["recipes", "demo", "data.source=en", "data.target=en"],
    ],
    ids=" ".join,
)
def test_no_message_has_the_words_of_the_library_before_ours(arguments: list[str], whyformer: Program):
    result = whyformer(*arguments)
    assert result.exit_code == 2
    assert "Value error" not in result.stderr
    assert "Assertion failed" not in result.stderr


@pytest.fixture
def two_sided(tmp_path: Path) -> Path:
    """A folder with a tokenizer for each side, as in a run."""
    pair = SeparateTokenizers.model_validate(
        {"source": {"kind": "word", "split": "spaces"}, "target": {"kind": "character"}}
    ).train(["a b c"], ["x y z"])
    pair.save(tmp_path)
    return tmp_path


def test_the_tokenizer_of_a_run_is_shown_by_its_folder(whyformer: Program, reverse_run: Path):
    shown = whyformer("tokenizer", "show", "-t", reverse_run, "0 1").stdout
    assert shown == whyformer("tokenizer", "show", "-t", reverse_run / "tokenizer.json", "0 1").stdout
    ids = whyformer("tokenizer", "encode", "-t", reverse_run, "0 1").stdout
    assert whyformer("tokenizer", "decode", "-t", reverse_run, stdin=ids).stdout == "0 1\n"


def test_of_two_tokenizers_both_are_shown_or_one_side(whyformer: Program, two_sided: Path):
    prints = {
        side: Tokenizer.load(two_sided / f"tokenizer.{side}.json").fingerprint
        for side in ("source", "target")
    }
    shown = whyformer("tokenizer", "show", "-t", two_sided).stdout
    assert all(each in shown for each in prints.values())
    one = whyformer("tokenizer", "show", "-t", two_sided, "--side", "target").stdout
    assert prints["target"] in one
    assert prints["source"] not in one


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ["encode", "-t", "{run}", "a"],
            "this run has a tokenizer for each side; add --side source or target.",
        ),
        (
            ["decode", "-t", "{run}", "4"],
            "this run has a tokenizer for each side; add --side source or target.",
        ),
        (
            ["show", "-t", "{run}/tokenizer.source.json", "--side", "source"],
            "--side is for the folder of a run",
        ),
        (["show", "-t", "{run}/nothing"], "no such tokenizer file"),
        (["show", "-t", "{run}/.."], "no such tokenizer file"),
    ],
)
def test_a_tokenizer_that_is_not_there_or_not_one(
    arguments: list[str], told: str, whyformer: Program, two_sided: Path
):
    result = whyformer("tokenizer", *(part.format(run=two_sided) for part in arguments))
    assert result.exit_code == 2
    assert told in result.stderr


@pytest.mark.parametrize(
    ("words", "has", "has_not"),
    [
        (["training.schedule"], "training.schedule.peak", "training.clip"),
        (["gpt-tiny", "decoding.top"], "decoding.top_k", "decoding.size"),
        (["DROPOUT", "training.clip"], "training.clip", "training.steps"),
        (["positions.0.base"], "model.encoder.positions.N.base", "model.encoder.positions.N.longest"),
    ],
)
def test_keys_are_listed_by_parts_of_them(words: list[str], has: str, has_not: str, whyformer: Program):
    for arguments in (["--keys", *words], [*words, "--keys"]):
        shown = whyformer("recipes", *arguments).stdout
        assert f"{has}: " in shown
        assert f"{has_not}: " not in shown


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["trainin.clp"], "no key of task translation has trainin.clp in it; did you mean training.clip?"),
        (
            ["bert-tiny", "maskin.shar"],
            "no key of task masked_lm has maskin.shar in it; did you mean masking.share?",
        ),
        (
            ["zzz"],
            "no key of task translation has zzz in it; a recipe's name before it lists those of its task.",
        ),
    ],
)
def test_a_part_that_no_key_has(words: list[str], told: str, whyformer: Program):
    result = whyformer("recipes", "--keys", *words)
    assert (result.exit_code, result.stderr) == (2, f"error: {told}\n")
