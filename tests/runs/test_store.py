"""Training from a store is training from the files, bit for bit."""

from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

from whyformer.cli.main import app
from whyformer.config.recipe_files import read
from whyformer.data.store.build import StoreSettings, build_store
from whyformer.data.store.options import TokenizerChoice, write_store
from whyformer.data.store.reader import stored_tokenizers
from whyformer.data.store.text.inputs import TextInputs
from whyformer.data.tokenizers.kinds import BPE
from whyformer.data.tokenizers.pair import JointTokenizer, SeparateTokenizers
from whyformer.errors import DataError, RecipeError, WhyformerError
from whyformer.runs.evaluate import evaluate_run
from whyformer.runs.train import resume_run, start_run

BLOCK = "{{attention: {{heads: {{query: 2}}}}, feed_forward: {{hidden: 32}}, dropout: 0.1}}"
TRANSLATOR = """\
data: {data}
{tokenizers}
model:
  d_model: 16
  encoder: {{layers: 1, block: {block}}}
  decoder: {{layers: 1, block: {decoder}}}
  longest: 14
training:
  steps: 20
  batching: {{tokens: 96, accumulate: 2}}
  schedule: {{kind: linear, peak: 0.01, warmup: 5}}
  precision: fp32
  clip: 1.0
  validation: {{every: 10, average: 1}}
  save_every: 5
  log_every: 10
"""
WRITER = """\
task: causal_lm
data: {data}
{tokenizers}
model: {{preset: tiny, d_model: 16, stack: {{layers: 1, block: {block}}}, longest: 24}}
training:
  steps: 20
  batching: {{tokens: 96}}
  schedule: {{kind: linear, peak: 0.01, warmup: 5}}
  precision: fp32
  validation: {{every: 10, average: 1}}
  log_every: 10
"""
WORDS = ["one", "two", "three", "four", "null", "NA", "nan", "None", '"', "ten"]


def recipe_of(text: str, data: str, tokenizers: str = "") -> str:
    block = BLOCK.format()
    decoder = block.replace("feed_forward", "cross_attention: {heads: {query: 2}}, feed_forward")
    return text.format(data=data, tokenizers=tokenizers, block=block, decoder=decoder)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts, stores of them, and recipes for both."""
    house, random = tmp_path_factory.mktemp("house"), Random(0)
    lines = [" ".join(random.choices(WORDS, k=random.randrange(1, 11))) for _ in range(400)]
    parts = {"train": lines[:370], "valid": lines[370:]}
    for name, part in parts.items():
        (house / f"{name}.a").write_text("".join(f"{line}\n" for line in part))
        (house / f"{name}.b").write_text("".join(f"{line.upper()}\n" for line in part))
        blocks = ["\n".join(part[start : start + 3]) for start in range(0, len(part), 3)]
        (house / f"{name}.txt").write_text("\n\n".join(blocks))
    settings = StoreSettings(JointTokenizer(both=BPE(vocabulary=330)), held_out=0, rows=64)
    build_store(TextInputs("pairs", ((house / "train.a",), (house / "train.b",))), house / "pairs", settings)
    build_store(TextInputs("documents", ((house / "train.txt",),)), house / "documents", settings)
    valid = "valid: {source: valid.a, target: valid.b}"
    recipes = {
        "pair-files": (
            TRANSLATOR,
            f"{{train: {{source: train.a, target: train.b}}, {valid}}}",
            "tokenizers: {kind: joint, both: {vocabulary: 330}}",
        ),
        "pair-store": (TRANSLATOR, f"{{kind: store, path: pairs, {valid}}}", ""),
        "text-files": (
            WRITER,
            "{train: train.txt, valid: valid.txt, repeated: true}",
            "tokenizer: {kind: bpe, vocabulary: 330}",
        ),
        "text-store": (WRITER, "{kind: store, path: documents, valid: valid.txt}", ""),
    }
    for name, (text, data, tokenizers) in recipes.items():
        (house / f"{name}.yaml").write_text(recipe_of(text, data, tokenizers))
    return house


# What the text decides where a recipe leaves it out stands in recipes for files alone.
SAME = ["model.encoder.block.placement.kind=pre", "model.decoder.block.placement.kind=pre"]


def trained(
    house: Path, name: str, run: Path, *overrides: str
) -> tuple[Mapping[str, Tensor], dict[str, Any]]:
    torch.set_num_threads(1)
    trainer = start_run(
        str(house / f"{name}.yaml"), overrides, run, device="cpu", overwrite=False, say=lambda _line: None
    )
    trainer.train()
    return trainer.model.state_dict(), trainer.progress.best.scores


@pytest.mark.parametrize("kind", ["pair", "text"])
def test_a_store_trains_as_its_files_do(house: Path, tmp_path: Path, kind: str):
    overrides = [] if kind == "text" else [*SAME, "model.encoder.positions=[]", "model.decoder.positions=[]"]
    files, files_scores = trained(house, f"{kind}-files", tmp_path / "files", *overrides)
    store, store_scores = trained(house, f"{kind}-store", tmp_path / "store", *overrides)
    assert files.keys() == store.keys()
    for name, weights in files.items():
        assert torch.equal(weights, store[name]), name
    assert files_scores == store_scores
    scores = [next(evaluate_run(tmp_path / name, ["valid"]))[1].figures for name in ("files", "store")]
    assert scores[0] == scores[1]


def test_a_run_of_a_store_resumes(house: Path, tmp_path: Path):
    constant = "training.schedule={kind: constant, peak: 0.01, warmup: 3}"
    trained(house, "pair-store", tmp_path / "run", "training.steps=10", constant)
    once, _ = trained(house, "pair-store", tmp_path / "once", constant)
    trainer = resume_run(tmp_path / "run", ["training.steps=20"], device="cpu", say=lambda _line: None)
    trainer.train()
    for name, weights in trainer.model.state_dict().items():
        assert torch.equal(weights, once[name]), name


def test_the_recipe_of_a_run_says_the_store_s_tokenizers(house: Path, tmp_path: Path):
    trained(house, "pair-store", tmp_path / "run", "training.steps=1")
    said = read(str(tmp_path / "run" / "recipe.yaml")).said([])
    tokenizers = said["tokenizers"]
    assert isinstance(tokenizers, dict)
    assert tokenizers["kind"] == "joint"
    assert tokenizers["both"]["vocabulary"] == 330


@pytest.mark.parametrize("kind", ["bpe", "unigram", "wordpiece", "word", "character"])
def test_a_store_of_a_kind_s_usual_tokenizer_needs_none_in_a_recipe(house: Path, tmp_path: Path, kind: str):
    inputs = {
        "documents": TextInputs("documents", ((house / "train.txt",),)),
        "pairs": TextInputs("pairs", ((house / "train.a",), (house / "train.b",))),
    }
    for name, text in {"documents": WRITER, "pairs": TRANSLATOR}.items():
        write_store(
            inputs[name],
            tmp_path / name,
            tokenizers=TokenizerChoice(None, kind, None, separate=False),
            sample=1000,
            held_out=1000,
            seed=1,
            processes=1,
            say=lambda _line: None,
        )
        (tmp_path / f"{name}.yaml").write_text(recipe_of(text, f"{{kind: store, path: {name}}}"))
        trained(tmp_path, name, tmp_path / f"run-{name}", "training.steps=1")


def test_a_vocabulary_with_too_many_characters_says_what_helps_and_that_helps(tmp_path: Path):
    common, rare = "一二三四五六七八九十", "".join(map(chr, range(0x4E8C, 0x4E8C + 200)))
    text = tmp_path / "text"
    text.write_text("".join(f"{common * 40}{character}\n" for character in rare))
    arguments = ["data", "build", str(text), "--split", "lines", "--to", str(tmp_path / "store"), "--kind"]
    few = [*arguments, "bpe", "--vocabulary", "300", "--processes", "1"]
    refused = CliRunner().invoke(app, few)
    assert refused.exit_code == 2
    assert "or lower `coverage` to leave out rare characters" in refused.stderr
    built = CliRunner().invoke(app, [*few, "--coverage", "0.99"])
    assert built.exit_code == 0, built.stderr
    tokenizer = stored_tokenizers(tmp_path / "store").source
    assert tokenizer.spec["coverage"] == 0.99
    assert {*common} <= {*tokenizer.pieces}
    ready = ["--tokenizer", str(tmp_path / "store"), "--to", str(tmp_path / "other")]
    both = CliRunner().invoke(app, ["data", "build", str(text), *ready, "--coverage", "0.9"])
    assert both.exit_code == 2
    assert "--coverage and --separate are for new ones" in both.stderr


@pytest.mark.parametrize(
    ("name", "override", "error", "words"),
    [
        ("pair-store", "tokenizers.both.vocabulary=340", RecipeError, "leave tokenizers out"),
        ("pair-store", "tokenizers={kind: separate}", WhyformerError, "tokenizers"),
        ("text-store", "tokenizer.vocabulary=340", RecipeError, "leave tokenizer out"),
        ("pair-store", "data.path=nowhere", DataError, "data.path: .*nowhere"),
        ("pair-store", "data.path={documents}", DataError, "holds documents"),
        ("text-store", "data.path={pairs}", DataError, "holds pairs"),
        ("pair-store", "data.valid=null", DataError, "nothing was held out"),
        ("text-store", "data.valid=null", DataError, "nothing was held out"),
        ("pair-store", "data.path={empty}", DataError, "no store, or one whose building was interrupted"),
    ],
)
def test_what_does_not_fit_is_refused(
    house: Path, tmp_path: Path, name: str, override: str, error: type[WhyformerError], words: str
):
    (house / "empty").mkdir(exist_ok=True)
    for folder in ("documents", "pairs", "empty"):
        override = override.replace(f"{{{folder}}}", str(house / folder))
    with pytest.raises(error, match=words):
        trained(house, name, tmp_path / "run", override)
    assert not (tmp_path / "run" / "recipe.yaml").exists()


def test_a_store_of_another_tokenizer_is_refused_by_a_run(house: Path, tmp_path: Path):
    trained(house, "pair-store", tmp_path / "run", "training.steps=1")
    spec = SeparateTokenizers(source=BPE(vocabulary=320), target=BPE(vocabulary=320))
    inputs = TextInputs("pairs", ((house / "train.a",), (house / "train.b",)))
    build_store(inputs, tmp_path / "other", StoreSettings(spec, held_out=4))
    with pytest.raises(DataError, match="was built with another tokenizer"):
        resume_run(
            tmp_path / "run",
            ["training.steps=2", f"data.path={tmp_path / 'other'}"],
            device="cpu",
            say=lambda _line: None,
        )


def test_separate_tokenizers_and_the_store_s_own_validation_set(house: Path, tmp_path: Path):
    spec = SeparateTokenizers(source=BPE(vocabulary=320), target=BPE(vocabulary=330))
    inputs = TextInputs("pairs", ((house / "train.a",), (house / "train.b",)))
    build_store(inputs, tmp_path / "store", StoreSettings(spec, held_out=12))
    (tmp_path / "mine.yaml").write_text(recipe_of(TRANSLATOR, "{kind: store, path: store}"))
    _, scores = trained(tmp_path, "mine", tmp_path / "run", "training.steps=2")
    assert "bleu" in scores
    with pytest.raises(DataError, match="no test set"):
        list(evaluate_run(tmp_path / "run"))
