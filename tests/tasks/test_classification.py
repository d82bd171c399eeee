"""A classifier from a pretrained run: what it learns, what it leaves alone, and what it refuses."""

import gzip
import random
import shutil
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import whyformer
from whyformer.config.recipe_files import recipe_text
from whyformer.data.corpora.labelled import LabelledSpec
from whyformer.data.tokenizers.single import SingleTokenizer
from whyformer.errors import CheckpointError, DataError, DecodingError, RecipeError, WhyformerNote
from whyformer.models.classifier import PooledClassifier
from whyformer.runs.evaluate import evaluate_run
from whyformer.runs.load import load_as
from whyformer.runs.registry import load_any
from whyformer.runs.train import resume_run, start_run
from whyformer.tasks.classification.classifier import Classifier
from whyformer.tasks.classification.metrics import macro_f1
from whyformer.tasks.classification.task import ClassificationRecipe, ClassificationTask
from whyformer.tasks.classification.training import ClassificationTraining, LabelledExamples
from whyformer.tasks.embedding.encoder import encoder
from whyformer.tasks.task import Prepared
from whyformer.training.storage.checkpoint import load_tensors
from whyformer.training.storage.run import RunFolder

WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
RECIPE = """\
task: classification
start: {folder}/start
data: {{train: ["{folder}/train.tsv"], valid: 0.2, test: {{test: ["{folder}/test.tsv.gz"]}}}}
model: {{dropout: 0.0}}
training:
  steps: 100
  batching: {{tokens: 384}}
  loss: {{label_smoothing: 0.0}}
  schedule: {{kind: constant, peak: 0.005, warmup: 10}}
  precision: fp32
  validation: {{every: 50, average: 1}}
  save_every: 50
  log_every: 50
"""


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("whyformer.plots.curves.save_curves", lambda *_: None)


def examples(first: int, last: int) -> str:
    """Three numbers that count up, and the same three the other way round: only their order tells."""
    triples = list(combinations(WORDS, 3))
    random.Random(1).shuffle(triples)
    both = (f"up\t{' '.join(triple)}\ndown\t{' '.join(triple[::-1])}" for triple in triples[first:last])
    return "\n".join(both)


@pytest.fixture(scope="module")
def recipe(counting_run: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("updown")
    (folder / "train.tsv").write_text(examples(0, 90), encoding="utf-8")
    (folder / "test.tsv.gz").write_bytes(gzip.compress(examples(90, 120).encode()))
    shutil.copytree(counting_run, folder / "start")
    path = folder / "updown.yaml"
    path.write_text(RECIPE.format(folder=folder), encoding="utf-8")
    return str(path)


def train(recipe: str, run: Path, *changes: str) -> Path:
    start_run(recipe, changes, run, device="cpu", overwrite=False, say=print).train()
    return run


def classification(recipe: str, *changes: str) -> ClassificationRecipe:
    spec = load_any(recipe, changes)
    assert isinstance(spec, ClassificationRecipe)
    return spec


def prepared(recipe: str, *changes: str) -> Prepared:
    return ClassificationTask().prepare(classification(recipe, *changes), None)


@pytest.fixture(scope="module")
def tuned(recipe: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return train(recipe, tmp_path_factory.mktemp("runs") / "tuned")


def test_order_alone_is_learned(tuned: Path):
    classifier = load_as(Classifier, tuned)
    recipe = classification(str(tuned / "recipe.yaml"))
    fit = classifier.evaluate(recipe.data.held_out("test"))
    assert fit.figures.keys() == {"loss", "nll", *ClassificationTask().measures(recipe)}
    assert (fit.examples, fit.majority) == (60, 50.0)
    # From 20 seeds, of the start as of this run: 98 to 100, and the two answers below.
    assert fit.accuracy > 90.0
    assert fit.macro_f1 > 90.0
    classify = whyformer.load(tuned, device="cpu")
    assert isinstance(classify, Classifier)
    assert [classify("one five nine"), classify("nine five one")] == ["up", "down"]


@pytest.mark.parametrize("mix", ["last", "scalar_mix"])
def test_a_frozen_trunk_keeps_its_bits_and_the_rest_learns(recipe: str, tmp_path: Path, mix: str):
    changes = ["model.update=head", f"model.layer_mix={mix}", "model.dropout=0.1"]
    run = train(recipe, tmp_path / "run", *changes)
    before, _ = load_tensors(RunFolder(classification(recipe).start).weights)
    after, _ = load_tensors(RunFolder(run).state)
    kept = {name.removeprefix("model.backbone."): t for name, t in after.items() if "backbone" in name}
    assert kept.keys() == before.keys()
    assert all(torch.equal(tensor, before[name]) for name, tensor in kept.items())
    assert ("model.mix.scores" in after) == (mix == "scalar_mix")
    assert after["model.output.weight"].abs().max() > 0.1
    # What is made only once for training is what a classifier makes of a text.
    classifier = load_as(Classifier, run)
    valid = classification(recipe).data.load().valid
    right = [classifier(*each.texts) == each.label for each in valid]
    told = load_tensors(RunFolder(run).weights)[1]["scores"]
    assert told["accuracy"] == pytest.approx(100 * sum(right) / len(right))


def test_random_weights_are_the_same_network_with_others(recipe: str):
    pretrained, fresh = (prepared(recipe, f"weights={kind}").build() for kind in ("pretrained", "random"))
    first, second = pretrained.state_dict(), fresh.state_dict()
    assert {name: t.shape for name, t in first.items()} == {name: t.shape for name, t in second.items()}
    name = "backbone.stack.blocks.0.attention.query.weight"
    assert not torch.equal(first[name], second[name])


@pytest.mark.parametrize("update", ["all", "head"])
def test_a_stopped_run_goes_on_to_the_same_bits_without_its_start(recipe: str, tmp_path: Path, update: str):
    folder = tmp_path / "start"
    shutil.copytree(classification(recipe).start, folder)
    changes = [f"start={folder}", f"model.update={update}", "model.dropout=0.1"]
    once = train(recipe, tmp_path / "once", *changes, "training.steps=40")
    twice = train(recipe, tmp_path / "twice", *changes, "training.steps=17")
    shutil.rmtree(folder)
    resume_run(twice, ["training.steps=40"], device="cpu", say=print).train()
    first, second = (load_tensors(RunFolder(run).state)[0] for run in (once, twice))
    assert first.keys() == second.keys()
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())
    assert load_as(Classifier, twice)("one two three") in {"up", "down"}


@pytest.fixture(scope="module")
def elmo_run(recipe: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that has hardly begun to learn."""
    folder = tmp_path_factory.mktemp("elmo")
    (folder / "text").write_text("\n\n".join(" ".join(WORDS[n:]) for n in range(9)), encoding="utf-8")
    (folder / "elmo.yaml").write_text(
        f"task: bidirectional_lm\ndata: {{train: [{folder}/text], valid: 0.3}}\n"
        "tokenizer: {vocabulary: 20}\nmodel: {d_model: 16, characters: {filters: [[1, 8], [2, 8]]}}\n"
        "training: {steps: 2, precision: fp32}\n",
        encoding="utf-8",
    )
    return train(str(folder / "elmo.yaml"), folder / "run")


@pytest.mark.parametrize(("run", "kind"), [("filling_run", "bert"), ("elmo_run", "elmo")])
@pytest.mark.parametrize("update", ["all", "head"])
def test_every_pretrained_model_can_be_the_start(
    recipe: str, tmp_path: Path, request: pytest.FixtureRequest, run: str, kind: str, update: str
):
    start = request.getfixturevalue(run)
    changes = [f"start={start}", f"model.update={update}", "model.layer_mix=scalar_mix", "training.steps=60"]
    made = train(recipe, tmp_path / "run", *changes)
    spec = classification(str(made / "recipe.yaml"))
    assert spec.model.whole_backbone.kind == kind
    before, after = (load_tensors(RunFolder(each).weights)[0] for each in (start, made))
    backbone = {
        name.removeprefix("backbone."): t for name, t in after.items() if name.startswith("backbone.")
    }
    assert not {name.partition(".")[0] for name in backbone} & {"masked", "pooler", "next_sentence"}
    same = [torch.equal(tensor, before[name]) for name, tensor in backbone.items()]
    assert all(same) == (update == "head")
    fit = load_as(Classifier, made).evaluate(spec.data.held_out("test"))
    # A head alone may find nothing in features that were hardly trained; half is chance. From 20 seeds all
    # weights have 95 to 100 after BERT, 87 to 97 after ELMo (mean 93, deviation 3).
    assert fit.accuracy > 70.0 or update == "head"


def test_a_run_tells_its_network_and_labels(tuned: Path, tmp_path: Path):
    spec = classification(str(tuned / "recipe.yaml"))
    assert spec.data.labels == ("down", "up")
    assert spec.model.whole_backbone.kind == "gpt"
    path = tmp_path / "again.yaml"
    path.write_text(recipe_text(spec), encoding="utf-8")
    assert load_any(str(path)) == spec


def test_a_text_is_judged_the_same_in_any_company(tuned: Path):
    classifier = load_as(Classifier, tuned)
    texts = [("one",), ("two three nine one four",), ("ten nine",), ("five " * 20,)]
    together = classifier.classify(texts, batch=4)
    for text, verdict in zip(texts, together, strict=True):
        alone = classifier.classify([text])[0]
        assert alone.probabilities == pytest.approx(verdict.probabilities, abs=1e-5)
        assert sum(verdict.probabilities.values()) == pytest.approx(1.0)
        assert verdict.probability == max(verdict.probabilities.values())


def test_pairs_are_read_together(recipe: str, tmp_path: Path):
    """Whether the second number follows the first: neither tells it alone."""
    pairs = [(a, b) for a in range(10) for b in range(10)]
    lines = [f"{'next' if b == (a + 1) % 10 else 'no'}\t{WORDS[a]}\t{WORDS[b]}" for a, b in pairs]
    (tmp_path / "pairs.tsv").write_text("label\tfirst\tsecond\n" + "\n".join(lines), encoding="utf-8")
    data = f"data={{train: [{tmp_path}/pairs.tsv], texts: 2, header: true, test: {{}}}}"
    with pytest.raises(DataError, match=r"data\.train: every example is held out"):
        train(recipe, tmp_path / "run", data, f"data.valid=[{tmp_path}/pairs.tsv]")
    run = train(recipe, tmp_path / "run", data, "training.steps=3")
    classifier = load_as(Classifier, run)
    assert classifier("one", "two") in {"next", "no"}
    a, b = classifier.classify([("one", "two three"), ("one two", "three")])
    assert a.probability != b.probability
    with pytest.raises(DecodingError, match="line 7 has 1 columns, but this run reads two texts with a tab"):
        classifier.classify([("one",)], first=7)


def test_macro_f1_by_hand():
    gold = torch.tensor([0, 0, 0, 1, 1, 2])
    predicted = torch.tensor([0, 0, 1, 1, 0, 0])
    # Class 0: 2 right of 3 gold and 4 told, 4/7; class 1: 1 of 2 and 2, 1/2; class 2: 0 of 1 and 0.
    assert macro_f1(gold, predicted) == pytest.approx(100 * (4 / 7 + 1 / 2 + 0) / 3)
    assert macro_f1(gold, gold) == 100.0
    assert macro_f1(gold[:3], gold[:3]) == 100.0  # a class that never occurs is not counted


def test_the_loss_is_the_cross_entropy_of_the_logits(recipe: str):
    made = prepared(recipe)
    model = made.build().eval()
    assert isinstance(made.assets, SingleTokenizer)
    assert isinstance(model, PooledClassifier)
    torch.nn.init.normal_(model.output.bias)
    spec = classification(recipe)
    valid = spec.data.load().valid
    ready = LabelledExamples(
        valid, encoder(spec.model.whole_backbone, made.assets.tokenizer), spec.data.known
    )
    with torch.no_grad():
        logits = model.logits(model(ready.pooled(model, range(len(valid)))))
    fit = ready.metrics(model, batch=7)
    assert fit.nll == pytest.approx(torch.nn.functional.cross_entropy(logits, ready.gold).item(), rel=1e-5)
    assert fit.accuracy == pytest.approx(100 * (logits.argmax(1) == ready.gold).double().mean().item())


@pytest.mark.parametrize("update", ["all", "head"])
def test_each_text_can_be_read_twice(recipe: str, update: str):
    """R-Drop: without dropout nothing changes, with it both readings are drawn together."""
    found: dict[tuple[float, float], tuple[float, float]] = {}
    for dropout, r_drop in ((0.0, 0.0), (0.0, 5.0), (0.3, 1e-9), (0.3, 5.0)):
        changes = (f"model.update={update}", f"model.dropout={dropout}", f"training.loss.r_drop={r_drop}")
        ready = prepared(recipe, *changes)
        torch.manual_seed(0)
        model = ready.build().train()
        losses = ready.task.objective(model, ready.task.batch(np.arange(10), 0, torch.device("cpu")))
        assert losses.predictions == 10
        found[dropout, r_drop] = float(losses.total.detach()), float(losses.figures["nll"])
    # The network that it starts from has a dropout of its own, which a frozen one does not use.
    assert update == "all" or found[0.0, 5.0] == pytest.approx(found[0.0, 0.0])
    assert found[0.3, 5.0][0] > found[0.3, 1e-9][0] + 1e-4
    assert found[0.3, 5.0][1] == pytest.approx(found[0.3, 1e-9][1])


@given(st.floats(0, 100), st.floats(0, 100), st.floats(0, 9), st.floats(0, 9))
def test_accuracy_decides_and_then_likelihood(a: float, b: float, c: float, d: float):
    task = ClassificationTraining.__new__(ClassificationTraining)
    better = task.better({"accuracy": a, "nll": c}, {"accuracy": b, "nll": d})
    assert better == (a > b or (a == b and c < d))


def table(folder: Path, content: bytes, **settings: object) -> LabelledSpec:
    path = folder / "data.tsv"
    path.write_bytes(content)
    return LabelledSpec.model_validate({"train": [path], **settings})


@pytest.mark.parametrize(
    ("content", "settings", "sentence"),
    [
        (b"", {}, "data.tsv: this file is empty."),
        (b"label\ttext\n", {"header": True}, "data.tsv: nothing follows the header."),
        (b"a\tx\nb\n", {}, "data.tsv:2: a line should be label tab text, none of them empty; correct"),
        (b"a\tx\n\ty\n", {}, "data.tsv:2: a line should be label tab text"),
        (b"a\tx\nb\t \n", {}, "data.tsv:2: a line should be label tab text"),
        (b"a\tx\ty\n", {}, "data.tsv:1: this line has 3 columns where label tab text is due"),
        (b"a\tx\ty\nb\tx\n", {"texts": 2}, "data.tsv:2: a line should be label tab text tab second text"),
        (b"a\tx\nb\t\xff\n", {}, "data.tsv:2: not UTF-8; correct this line."),
        (b"a\tx\nc\ty\n", {"labels": ["a", "b"]}, "data.tsv:2: the label c is none of those to learn: a, b."),
        (b"a\tx\nb\ty\n", {"valid": 1e-9}, "data.valid: 1e-09 of 2 examples is not one"),
    ],
)
def test_a_bad_table_is_one_sentence(
    tmp_path: Path, content: bytes, settings: dict[str, object], sentence: str
):
    with pytest.raises(DataError) as caught:
        table(tmp_path, content, **settings).load()
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_label_is_nothing_to_learn(tmp_path: Path):
    with pytest.raises(DataError, match=r"data\.train: every label is a; a classifier needs two or more"):
        table(tmp_path, b"a\tx\na\ty\n").find_labels()


def test_what_is_held_out_is_not_trained_on_whatever_its_label(tmp_path: Path):
    lines = [f"{label}\t{number}" for number in range(50) for label in "ab"]
    with pytest.warns(
        WhyformerNote, match=r"\d+ texts stand there with different labels, such as '0' with a and b"
    ):
        read = table(tmp_path, "\n".join(lines).encode(), valid=0.3).load()
    assert {each.texts for each in read.train}.isdisjoint(each.texts for each in read.valid)
    assert len(read.train) + len(read.valid) == 100
    assert 10 < len(read.valid) < 50
    held = len(read.valid)
    assert read.summary.startswith(f"100 examples read: {100 - held} to train on, {held} held out as valid")


def test_what_does_not_fit_the_start_is_refused(recipe: str, reverse_run: Path, tuned: Path, tmp_path: Path):
    with pytest.raises(RecipeError, match=r"start: .*nowhere is not the folder of a run"):
        load_any(recipe, [f"start={tmp_path}/nowhere"])
    with pytest.raises(RecipeError, match=r"start: the model in .* is a transformer; name a BERT,"):
        load_any(recipe, [f"start={reverse_run}"])
    with pytest.raises(RecipeError, match="pooling is first, but a GPT's first token has read nothing"):
        load_any(recipe, ["model.pooling=first"])
    with pytest.raises(CheckpointError, match=r"this run translates; use `whyformer translate"):
        load_as(Classifier, reverse_run)


def test_a_text_that_is_too_long_is_left_out_of_training_and_refused_elsewhere(recipe: str, tmp_path: Path):
    (tmp_path / "long.tsv").write_text(f"{examples(0, 20)}\nup\t{'one ' * 60}", encoding="utf-8")
    data = f"data={{train: [{tmp_path}/long.tsv], valid: [{Path(recipe).parent}/test.tsv.gz]}}"
    summary = prepared(recipe, data).summary
    assert summary.endswith("; left out, as longer than the model reads (48 tokens): 1 training examples")
    data = f"data={{valid: [{tmp_path}/long.tsv], train: [{Path(recipe).parent}/test.tsv.gz]}}"
    assert prepared(recipe, data).summary.endswith("(48 tokens): 1 validation examples")
    (tmp_path / "only.tsv").write_text(f"up\t{'one ' * 60}\ndown\t{'one ' * 70}", encoding="utf-8")
    data = f"data={{valid: [{tmp_path}/only.tsv], train: [{Path(recipe).parent}/test.tsv.gz]}}"
    with pytest.raises(DataError, match="every validation example is longer than the model reads"):
        prepared(recipe, data)


def test_a_test_set_with_a_text_that_is_too_long_is_refused_by_file_and_line(tuned: Path, tmp_path: Path):
    path = tmp_path / "long.tsv"
    path.write_text(f"{examples(0, 20)}\nup\t{'one ' * 60}", encoding="utf-8")
    run = Path(shutil.copytree(tuned, tmp_path / "run"))
    recipe = load_any(str(run / "recipe.yaml"))
    data = recipe.data.model_copy(update={"test": {"long": (path,)}})
    (run / "recipe.yaml").write_text(recipe_text(recipe.model_copy(update={"data": data})), encoding="utf-8")
    with pytest.raises(DataError, match=r"long\.tsv:41: has \d+ tokens with its marks, but the model"):
        list(evaluate_run(run, ["long"]))
