"""``whyformer generate``, and what the other verbs do with a run that generates text."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

Program = Callable[..., Result]
ON_CPU = ("--device", "cpu", "--threads", 1)


@pytest.fixture
def generate(whyformer: Program, counting_run: Path) -> Program:
    return lambda *arguments: whyformer("generate", counting_run, *arguments, *ON_CPU)


def test_the_text_begins_with_the_prompt(generate: Program):
    result = generate("one two ")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("one two three four")
    assert result.stdout.endswith("\n")
    unprompted = generate()
    assert (unprompted.exit_code, unprompted.stdout[-1:]) == (0, "\n")


@pytest.mark.parametrize("options", [["--greedy"], ["--sample", "--temperature", 3, "--seed", 5]])
def test_a_streamed_text_is_the_whole_text(generate: Program, options: list[object]):
    assert generate("five", *options).stdout == generate("five", *options, "--no-stream").stdout


def test_the_options_are_what_they_say(generate: Program):
    drawn = [generate("one", "--sample", "--temperature", 4, "--seed", seed).stdout for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert generate("one", "--sample", "--top-k", 1).stdout == generate("one", "--greedy").stdout
    assert generate("one", "--sample", "--top-p", 1e-9).stdout == generate("one", "--greedy").stdout
    found = json.loads(generate("one", "--tokens", 2, "--json").stdout)["texts"][0]
    assert (len(found["tokens"]), found["finished"]) == (2, False)


def test_several_texts_stand_under_their_numbers(generate: Program):
    many = ("one", "--sample", "--temperature", 4, "--samples", 3)
    told = json.loads(generate(*many, "--json").stdout)
    assert told["prompt"] == "one"
    assert [each.keys() for each in told["texts"]] == 3 * [
        {"text", "score", "tokens", "finished", "completing"}
    ]
    expected = "".join(f"[{n}]\none{each['text']}\n" for n, each in enumerate(told["texts"], start=1))
    assert generate(*many).stdout == expected


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["one " * 60], "prompt 1 has 60 tokens, but the model reads 47 at most; shorten it."),
        (
            ["one", "--greedy", "--temperature", "2"],
            "--temperature means nothing to a greedy search; use it with --sample",
        ),
        (["one", "--greedy", "--samples", "2"], "means nothing to a greedy search; use it with --beam"),
        (["one", "--sample", "--top-p", "2"], "top_p: is 2.0; should be float > 0, ≤ 1"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_exit_code_2(
    generate: Program, arguments: list[str], sentence: str
):
    result = generate(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: ")
    assert sentence in result.stderr


def test_each_verb_names_the_other_for_the_other_kind_of_run(
    whyformer: Program, counting_run: Path, reverse_run: Path
):
    result = whyformer("translate", counting_run, "one", *ON_CPU)
    expected = f"{counting_run}: this run generates text; use `whyformer generate {counting_run}`."
    assert (result.exit_code, result.stderr) == (2, f"error: {expected}\n")
    assert whyformer("inspect", counting_run, "one").stderr == f"error: {expected}\n"
    result = whyformer("generate", reverse_run, "0", *ON_CPU)
    assert result.exit_code == 2
    assert f"use `whyformer translate {reverse_run}`." in result.stderr


def test_evaluate_tells_bits_and_perplexity(whyformer: Program, counting_run: Path):
    shown = whyformer("evaluate", counting_run, *ON_CPU).stdout
    assert "valid: " in shown
    assert "bits per character" in shown
    told = json.loads(whyformer("evaluate", counting_run, "--on", "valid", "--json", *ON_CPU).stdout)["sets"]
    assert [each["name"] for each in told] == ["valid"]
    assert f"{told[0]['bits_per_character']:.4f}" in shown
    assert f"{told[0]['perplexity']:.2f} per token" in shown
    result = whyformer("evaluate", counting_run, "--beam", 2)
    assert result.exit_code == 2
    assert "this run does not translate and is scored without writing any text" in result.stderr
    result = whyformer("evaluate", counting_run, "--on", "tset")
    assert "there is no test set tset; there are: valid." in result.stderr


def test_the_parts_of_the_run_are_listed(whyformer: Program, counting_run: Path):
    shown = whyformer("inspect", counting_run).stdout
    assert "causal_lm, data from documents" in shown
    assert "gpt, d_model 32, embeddings tied: output" in shown
    assert "stack.blocks.0.attention.query.weight" in shown


def test_snapshots_are_averaged_and_scored(whyformer: Program, counting_run: Path, tmp_path: Path):
    output = tmp_path / "mean.safetensors"
    shown = whyformer("average", counting_run, "--output", output, "--evaluate", *ON_CPU).stdout
    assert shown.count("bits per character") == 2
    assert whyformer("generate", counting_run, "one", "--weights", output).exit_code == 0


def test_the_keys_of_such_recipes_are_listed(whyformer: Program):
    listed = whyformer("recipes", "gpt-tiny", "--keys").stdout
    for key in ("data.train", "data.valid", "tokenizer.kind", "model.stack.layers", "decoding.kind"):
        assert f"\n{key}: " in f"\n{listed}"


@pytest.mark.parametrize("prompt", ["one t", "one two th", "fo", "one two", "one ", ""])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_tokens_that_complete_the_prompt_are_told_apart(
    whyformer: Program, counting_run: Path, prompt: str, count: int
):
    asked = ("--greedy", "--device", "cpu", "--tokens", count, "--json", prompt)
    (text,) = json.loads(whyformer("generate", counting_run, *asked).stdout)["texts"]
    assert 0 <= text["completing"] <= len(text["tokens"])
    assert len(text["tokens"]) - text["completing"] <= count
    sampled = ("--sample", "--seed", 3, "--samples", 4, *asked[1:])
    for each in json.loads(whyformer("generate", counting_run, *sampled).stdout)["texts"]:
        assert len(each["tokens"]) - each["completing"] <= count
    shown = whyformer("generate", counting_run, *asked[:-2], prompt).stdout
    assert shown == f"{prompt.rstrip()}{text['text']}\n"
    if prompt in ("one two", "one ", ""):
        assert text["completing"] == 0
