"""``whyformer plan``: a table, a verdict, JSON, and sentences for what cannot be."""

import json
from collections.abc import Callable
from pathlib import Path

from typer.testing import Result

Program = Callable[..., Result]


def test_memory_speed_and_the_best_split_are_printed(whyformer: Program, counting_run: Path):
    result = whyformer("plan", counting_run, "--ranks", 8, "--device", "h100")
    assert result.exit_code == 0
    assert "8 ranks of h100, bf16" not in result.stdout  # the recipe says fp32
    assert "8 ranks of h100, fp32" in result.stdout
    for part in ("weights", "gradients", "optimizer", "stack", "loss", "communication", "exposed ms"):
        assert part in result.stdout
    assert "\nbest: 8 ranks of " in result.stdout
    assert result.stdout.count("\nassumed: ") == 3


def test_the_plan_as_json(whyformer: Program, counting_run: Path):
    shown = json.loads(whyformer("plan", counting_run, "--ranks", 2, "--device", "a100", "--json").stdout)
    assert (shown["ranks"], shown["device"]["name"], shown["measured"]) == (2, "a100", False)
    for split in shown["splits"]:
        assert split["needed"] == sum(split["memory"].values())
    assert {split["shard"] for split in shown["splits"]} == {"none", "full"}
    assert shown["verdict"][0].startswith("best: ")


def test_this_machine_is_measured_by_steps(whyformer: Program, counting_run: Path):
    shown = json.loads(whyformer("plan", counting_run, "--device", "cpu", "--json").stdout)
    assert shown["measured"]
    assert shown["splits"][0]["tokens_per_second"] > 0


def test_a_rate_that_was_measured_takes_the_place_of_a_model(whyformer: Program, counting_run: Path):
    lines = whyformer("plan", counting_run, "--device", "h200", "--rate", 1000).stdout
    assert "speed of a rank: 1,000 tokens/s, as you say" in lines
    assert ": 1,000 tokens/s" in lines


def test_what_cannot_be_planned_is_said_in_a_sentence(whyformer: Program, counting_run: Path, tmp_path: Path):
    unknown = whyformer("plan", counting_run, "--device", "abacus")
    assert (unknown.exit_code, unknown.stdout) == (2, "")
    assert "nothing is known of such a device; known are this, cpu, h100" in unknown.stderr
    assert whyformer("plan", counting_run, "--ranks", 0).exit_code == 2
    both = whyformer("plan", counting_run, "--mfu", 0.4, "--rate", 10)
    assert both.exit_code == 2
    assert "give one of them" in " ".join(both.stderr.split())
    recipe = tmp_path / "pairs.yaml"
    recipe.write_text(
        "data: {kind: files, train: {kind: text, source: no.en, target: no.de}, valid: 0.1}\n"
        "training: {epochs: 1}\n",
        encoding="utf-8",
    )
    missing = whyformer("plan", recipe, "--device", "h100")
    assert missing.exit_code == 2
    assert "no.en" in missing.stderr


def test_a_model_that_fits_nowhere_ends_with_the_gap(whyformer: Program, tmp_path: Path):
    recipe = tmp_path / "large.yaml"
    recipe.write_text(
        "task: causal_lm\n"
        "data: {train: [nowhere.txt], valid: 0.1}\n"
        "tokenizer: {kind: bpe, vocabulary: 1000}\n"
        "model: {preset: tiny, d_model: 32768, longest: 64}\n"
        "training: {steps: 1, batching: {tokens: 64}}\n",
        encoding="utf-8",
    )
    result = whyformer("plan", recipe, "--device", "a100")
    assert result.exit_code == 1
    assert "it fits no a100: the least is " in result.stdout
    assert " GiB more than there is room for" in result.stdout
