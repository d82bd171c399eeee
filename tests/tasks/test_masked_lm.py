"""A masked language model from text to filled holes: trained, resumed, measured, and filling."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

import whyformer
from whyformer.config.validation import check
from whyformer.data.tokenizers.kinds import BPE, Character, Unigram, Word, WordPiece
from whyformer.data.tokenizers.single import SingleTokenizer
from whyformer.errors import CheckpointError, DecodingError, RecipeError, TokenizerError
from whyformer.models.bert import BERT, BERTSpec
from whyformer.runs.load import load_as
from whyformer.runs.registry import load_any
from whyformer.runs.train import resume_run, start_run
from whyformer.special_tokens import BOS, EOS
from whyformer.tasks.causal_lm.generator import Generator
from whyformer.tasks.masked_lm.filler import Filler
from whyformer.tasks.masked_lm.task import MaskedLMRecipe, MaskedLMTask
from whyformer.tasks.masked_lm.training import FillHoles, MaskedLMTraining
from whyformer.tasks.task import EvaluationOptions
from whyformer.training.leak import check_no_leak
from whyformer.training.storage.checkpoint import load_tensors
from whyformer.training.storage.run import RunFolder

CPU = torch.device("cpu")
SMALL = check(BERTSpec, {"preset": "tiny", "d_model": 16}, "a test")
TEXTS = ["one two [MASK] four five.", "[MASK] two three.", "一二[MASK]四五。", "six [MASK] eight [MASK] ten."]


@pytest.fixture(scope="module")
def filler(filling_run: Path) -> Filler:
    return load_as(Filler, filling_run)


def prepared(run: Path, *changes: str) -> tuple[MaskedLMRecipe, MaskedLMTraining, BERT]:
    torch.manual_seed(0)
    recipe = load_any(str(run / "recipe.yaml"), changes)
    assert isinstance(recipe, MaskedLMRecipe)
    assets = SingleTokenizer.load(run)
    task = MaskedLMTask().prepare(recipe, assets).task
    assert isinstance(task, MaskedLMTraining)
    return recipe, task, recipe.model.build(assets.tokenizer.size)


def test_a_toy_language_is_learned(filling_run: Path):
    valid = [each for each in RunFolder(filling_run).records() if each["event"] == "valid"]
    # 66 to 92 and 4 * 4.3 from 20 seeds, mean 83, deviation 6.
    assert valid[-1]["masked_accuracy"] > 50 > 4 * valid[-1]["unigram_accuracy"]
    # The language goes on; but only half of the strangers are of the other. 59 to 70 from 20 seeds, mean 67,
    # deviation 2.3.
    assert valid[-1]["next_sentence_accuracy"] > 55
    _, facts = load_tensors(filling_run / "model.safetensors")
    assert facts["scores"]["nll"] == min(each["nll"] for each in valid)


def test_a_trained_run_does_what_it_was_trained_for(filling_run: Path):
    fill = whyformer.load(filling_run, device="cpu")
    assert isinstance(fill, Filler)
    assert fill("one two [MASK] four five.") == "one two three four five."
    assert fill("一二[MASK]四五。") == "一二三四五。"


@pytest.mark.parametrize("heads", ["[masked,next_sentence]", "[masked]"])
def test_a_stopped_run_goes_on_to_the_same_bits_across_epochs(filling_run: Path, tmp_path: Path, heads: str):
    torch.set_num_threads(1)
    recipe, runs = str(filling_run / "recipe.yaml"), (tmp_path / "once", tmp_path / "twice")
    steady = [
        "training.schedule.kind=constant",
        "training.schedule.warmup=10",
        "duplicates=1",
        f"model.heads={heads}",
        "model.stack.block.dropout=0.1",
    ]
    for run, steps in zip(runs, (30, 7), strict=True):
        changes = [*steady, f"training.steps={steps}"]
        start_run(recipe, changes, run, device="cpu", overwrite=False, say=print).train()
    # Seven steps are within an epoch; nineteen are in the next; thirty in the one after that.
    for steps in (19, 30):
        trainer = resume_run(runs[1], [f"training.steps={steps}"], device="cpu", say=print)
        assert trainer.steps_per_epoch < 12
        trainer.train()
    first, second = (load_tensors(RunFolder(run).state)[0] for run in runs)
    assert first.keys() == second.keys()
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())


def summed(
    task: MaskedLMTraining, model: BERT, groups: Sequence[Sequence[int]]
) -> tuple[float, list[torch.Tensor]]:
    """The loss of a step over ``groups`` and its gradient, as the trainer computes them."""
    indices = [np.array(group) for group in groups]
    model.zero_grad()
    total, tokens = 0.0, sum(task.predicted(each, 3) for each in indices)
    for each in indices:
        losses = FillHoles(0.1)(model, task.batch(each, 3, CPU))
        assert losses.predictions == task.predicted(each, 3)
        (losses.total / tokens).backward()
        total += losses.total.item() / tokens
    return total, [weight.grad.clone() for weight in model.parameters() if weight.grad is not None]


def test_accumulated_batches_are_one_big_batch(filling_run: Path):
    _, task, model = prepared(filling_run)
    model.double()
    whole, gradient = summed(task, model, [[*range(12)]])
    parts, other = summed(task, model, [[3], [0, 7, 9, 1], [2, 4, 5, 6, 8, 10, 11]])
    assert parts == pytest.approx(whole, rel=1e-6)
    assert len(gradient) == len(other) == len([*model.parameters()])
    for one, two in zip(gradient, other, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-8)


def test_the_loss_of_the_next_sentence_weighs_as_much_as_the_hidden_tokens(filling_run: Path):
    _, task, model = prepared(filling_run)
    assert model.next_sentence is not None
    for weight in model.next_sentence.parameters():
        torch.nn.init.zeros_(weight)
    batch = task.batch(np.arange(9), 0, CPU)
    losses = FillHoles(0.0)(model.eval(), batch)
    extra = losses.total.item() - losses.figures["nll"].item()
    assert extra == pytest.approx(losses.predictions * np.log(2), rel=1e-5)


def test_masks_change_with_the_epoch_and_not_with_the_batch(filling_run: Path):
    _, task, _ = prepared(filling_run)
    one, other = (task.examples.batch(np.arange(20), epoch, CPU) for epoch in (0, 1))
    assert not torch.equal(one.tokens, other.tokens)
    assert torch.equal(one.token_types, other.token_types)
    alone = task.examples.batch(np.array([7]), 0, CPU)
    width = alone.tokens.shape[1]
    assert torch.equal(alone.tokens[0], one.tokens[7, :width])
    assert torch.equal(alone.chosen[0], one.chosen[7, :width])


def test_validation_is_the_same_in_any_batch(filling_run: Path, filler: Filler):
    recipe, _, _ = prepared(filling_run)
    ((_, found),) = MaskedLMTask().evaluate(recipe, filler, ["valid"], EvaluationOptions())
    ((_, parts),) = MaskedLMTask().evaluate(recipe, filler, ["valid"], EvaluationOptions(batch=3))
    assert found.figures == pytest.approx(parts.figures, rel=1e-5)
    assert found.figures.keys() == {"loss", "nll", *MaskedLMTask().measures(recipe)}
    told = RunFolder(filling_run).records()[-1]
    assert {name: told[name] for name in found.figures} == pytest.approx(found.figures, rel=1e-5)


@pytest.mark.parametrize("norm", ["layer", "batch"])
def test_a_sound_model_passes_the_leak_check(filling_run: Path, norm: str):
    _, task, model = prepared(filling_run, f"model.stack.block.norm.kind={norm}")
    check_no_leak(lambda: task.probe(model))


def test_without_pairs_texts_stand_alone(filling_run: Path):
    recipe, task, model = prepared(filling_run, "model.heads=[masked]", "duplicates=1")
    losses = FillHoles(0.0)(model, task.batch(np.arange(4), 0, CPU))
    assert losses.total.item() == losses.figures["nll"].item()
    assert task.summary.endswith("texts")
    figures = task.validate(model.eval(), CPU, translate=False)
    assert figures.keys() == {"loss", "nll", "masked_accuracy", "unigram_accuracy"}
    assert figures.keys() == {"loss", "nll", *MaskedLMTask().measures(recipe)}
    assert figures["loss"] == figures["nll"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (["tokenizer.specials=[]"], r"tokenizer.specials has no \[MASK\]"),
        (["model.heads=[next_sentence]"], "model.heads has no masked, which this task trains; add it"),
        (["model.heads=[masked]"], "duplicates is above 1, but without the head next_sentence"),
        (["masking.mask=1"], "mask and random are shares of one whole"),
        (["model.token_types=1"], "heads has next_sentence, which reads pairs; set token_types: 2"),
    ],
)
def test_faults_of_a_recipe_are_told(filling_run: Path, changes: list[str], sentence: str):
    with pytest.raises(RecipeError, match=sentence):
        load_any(str(filling_run / "recipe.yaml"), changes)


def test_the_shipped_recipe_is_one_of_this_task():
    assert isinstance(load_any("bert-tiny"), MaskedLMRecipe)


def test_texts_are_filled_the_same_alone_and_in_a_batch(filler: Filler):
    together = filler.fill(TEXTS, top=3, batch=2)
    for text, filled in zip(TEXTS, together, strict=True):
        alone = filler.fill([text], top=3)[0]
        assert alone.text == filled.text
        for one, other in zip(alone.holes, filled.holes, strict=True):
            assert [each.token for each in one] == [each.token for each in other]
            assert [e.probability for e in one] == pytest.approx([e.probability for e in other], abs=1e-5)


def test_guesses_are_the_likeliest_pieces_of_text(filler: Filler):
    guesses = filler.fill(TEXTS[:1], top=10**6)[0].holes[0]
    assert len(guesses) == filler.tokenizer.size - 5
    probabilities = [guess.probability for guess in guesses]
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) == pytest.approx(1.0, abs=1e-5)
    assert (guesses[0].text, guesses[0].token) == (" three", "▁three")


def test_several_holes_are_filled_independently(filler: Filler):
    """A hole reads the same whatever is guessed in the others, for those stay open."""
    filled = filler.fill(["[MASK] [MASK] three [MASK]"])[0]
    assert len(filled.holes) == 3
    assert filled.text == "".join(
        [*(hole[0].text for hole in filled.holes[:2]), " three", filled.holes[2][0].text]
    )
    assert not filled.text.startswith(" ")


def hidden(filler: Filler, text: str) -> list[int]:
    """The tokens that the model reads of ``text``, without the marks at its ends."""
    ids = filler._encoded(filler._parts(text, 1), filler.tokenizer.special("[MASK]"), 1)
    assert (ids[0], ids[-1]) == (BOS, EOS)
    return ids[1:-1]


@pytest.mark.parametrize("spec", [BPE, Unigram, WordPiece, Word])
def test_a_text_is_cut_as_if_nothing_were_hidden(
    spec: type[BPE] | type[Unigram] | type[WordPiece] | type[Word],
):
    """What stands behind a hole gets no space that it did not have, and what stands before it loses one."""
    text = "the cat, the hat (the cat): the 三只 hats."
    tokenizer = spec(vocabulary=300, specials=("[MASK]",)).train([text])
    filler, ids = Filler(SMALL.build(tokenizer.size), tokenizer), tokenizer.encode(text)
    for word in re.finditer(r" ?[a-z]+|[,.]| ?\(|\):", text):
        before, behind = text[: word.start()], len(tokenizer.encode(text[: word.end()]))
        space = " " if word[0].startswith(" ") else ""
        read = hidden(filler, f"{before}{space}[MASK]{text[word.end() :]}")
        kept = len(tokenizer.encode(before))
        assert read == [*ids[:kept], tokenizer.special("[MASK]"), *ids[behind:]]


def test_where_a_space_is_a_piece_it_is_not_hidden():
    tokenizer = Character(specials=("[MASK]",)).train(["the cat"])
    filler = Filler(SMALL.build(tokenizer.size), tokenizer)
    assert hidden(filler, "the [MASK]at")[3:5] == [*tokenizer.word_ids([" "]), tokenizer.special("[MASK]")]


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        (["[MASK]", "one two"], r"text 2 has no \[MASK\]; write it where a piece is to be filled in"),
        ([31 * "[MASK]"], "text 1 has 31 tokens, but the model reads 30 at most; shorten it"),
    ],
)
def test_what_cannot_be_filled_is_one_sentence(filler: Filler, texts: list[str], sentence: str):
    with pytest.raises(DecodingError, match=sentence):
        filler.fill(texts)


def test_as_many_tokens_as_the_model_reads_are_filled(filler: Filler):
    assert len(filler.fill([30 * "[MASK]"])[0].holes) == 30
    assert filler.fill([]) == []


def test_odd_white_space_changes_nothing(filler: Filler):
    plain = filler.fill(["one two [MASK] four five."])[0]
    for odd in ("one\u00a0two\u2003[MASK] four\tfive.", " \ufeffone  two  [MASK]  fo\u00adur five.\u3000"):
        found = filler.fill([odd])[0]
        assert [[guess.token for guess in hole] for hole in found.holes] == [
            [guess.token for guess in hole] for hole in plain.holes
        ]
        assert "\u00a0" not in found.text


@pytest.mark.parametrize(
    ("own", "ours"),
    [
        ("the <mask> sat", "the [MASK] sat"),
        ("<mask> cat sat", "[MASK] cat sat"),
        ("the cat <mask>", "the cat [MASK]"),
        ("<mask> [MASK] sat", "[MASK] <mask> sat"),
        ("<mask> <mask> <mask>", "[MASK] [MASK] [MASK]"),
    ],
)
def test_the_mask_token_may_be_called_by_its_own_name(own: str, ours: str):
    tokenizer = Word(specials=("<mask>", "<sep>")).train(["the cat sat"])
    filler = Filler(SMALL.build(tokenizer.size), tokenizer)
    by_own, by_ours = filler.fill([own, ours])
    assert len(by_own.holes) == len(by_ours.holes) == len(re.findall("mask", own, re.IGNORECASE))
    for one, other in zip(by_own.holes, by_ours.holes, strict=True):
        # The rows of a batch may differ in the last bit.
        likely = {guess.token: guess.probability for guess in other}
        assert {guess.token: guess.probability for guess in one} == pytest.approx(likely, abs=1e-5)
    with pytest.raises(DecodingError, match="text 1 has no <mask>"):
        filler.fill(["the cat"])


@pytest.mark.parametrize(
    "text", ["the <sep>[MASK] sat", "<sep>the <mask> sat", "the <mask> <sep>", "[MASK]<sep><mask><sep>"]
)
def test_other_special_tokens_are_tokens_where_that_is_asked_for(text: str):
    tokenizer = Word(specials=("<mask>", "<sep>")).train(["the cat sat"])
    filler = Filler(SMALL.build(tokenizer.size), tokenizer)
    ids = [
        filler._encoded(filler._parts(text, 1), tokenizer.special("<mask>"), 1, asked)
        for asked in (False, True)
    ]
    assert [tokenizer.special("<sep>") in each for each in ids] == [False, True]


def test_models_and_tokenizers_that_cannot_fill_are_told(filler: Filler):
    spec = SMALL.model_copy(update={"heads": ()})
    with pytest.raises(DecodingError, match="this model has no head for hidden tokens"):
        Filler(spec.build(filler.tokenizer.size), filler.tokenizer).fill(TEXTS)
    with pytest.raises(TokenizerError, match=r"no special token '\[MASK\]'"):
        Filler(filler.model, BPE(vocabulary=300).train(["one two"])).fill(TEXTS)


def test_a_run_of_the_other_kind_is_refused_with_the_verb_that_suits(counting_run: Path, filling_run: Path):
    with pytest.raises(CheckpointError, match="this run fills holes in texts; use `whyformer fill"):
        load_as(Generator, filling_run)
    with pytest.raises(CheckpointError, match="this run generates text; use `whyformer generate"):
        load_as(Filler, counting_run)
