"""The kept model is chosen by a score that fits the text: by its script, and by its length."""

import math
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whyformer.data.corpora.pair_files import Referenced
from whyformer.errors import DataError
from whyformer.runs.load import load_as, read_recipe
from whyformer.runs.train import resume_run, start_run
from whyformer.tasks.translation.evaluation import evaluate_translator
from whyformer.tasks.translation.scores.metrics import ScoringSpec, score, words_of_zero
from whyformer.tasks.translation.scores.tokenization import suited_tokenize
from whyformer.tasks.translation.task import TranslationRecipe
from whyformer.tasks.translation.training import unigram_entropy
from whyformer.tasks.translation.translator import Translator

# Small sets of numbers have pairs in common, which is said and does not matter here.
pytestmark = pytest.mark.filterwarnings("ignore::whyformer.errors.WhyformerNote")

SCRIPTS = {
    "zh": ["我用iPhone打了一個電話。", "二〇二四年三月五日", "36分钟前", "《红楼梦》第12回", "㐂𠮷"],
    "char": [
        "東京に行きました。",
        "コーヒーを2杯",
        "ｶﾀｶﾅ",
        "สวัสดีครับ ทุกคน",
        "ສະບາຍດີ",
        "မင်္ဂလာပါ",
        "សួស្តី",
        "བོད་ཡིག",
    ],
    "13a": [
        "Guten Tag, Herr Müller.",
        "Привет, мир!",
        "안녕하세요 여러분",
        "नमस्ते दुनिया",
        "مرحبا بالعالم",
        "3 1 4 1 5",
        "He said 你好 to everyone in the room.",
        "",
        "™ № 😀",
    ],
}


@pytest.mark.parametrize(("cut", "text"), [(cut, text) for cut, texts in SCRIPTS.items() for text in texts])
def test_a_script_has_its_tokenizer(cut: str, text: str):
    assert suited_tokenize([text]) == cut
    assert suited_tokenize([text, "", "12"]) == cut


@given(st.lists(st.text()))
def test_any_text_has_one(texts: list[str]):
    assert suited_tokenize(texts) in {"13a", "zh", "char"}


DIGITS = dict(zip("0123456789", "〇一二三四五六七八九", strict=True))


def chinese(number: str) -> str:
    return "".join(map(DIGITS.__getitem__, number))


def test_what_is_settled_is_said_and_what_is_named_is_kept():
    long, short = ["二〇二四年"] * 9, ["二〇", "一"] * 9
    scoring, said = ScoringSpec().settled(long, long)
    assert (scoring.tokenize, scoring.choose_by, len(said)) == ("zh", "bleu", 2)
    scoring, said = ScoringSpec().settled(short, short)
    assert (scoring.tokenize, scoring.choose_by) == ("zh", "chrf")
    assert said == [
        "scoring.tokenize is zh, by the script of the training targets",
        "scoring.choose_by is chrf: 100% of the validation set's references have fewer than the 4 words that "
        "BLEU compares",
    ]
    # Under 13a each of them is a single word.
    scoring, said = ScoringSpec(tokenize="13a").settled(long, long)
    assert (scoring.tokenize, scoring.choose_by, len(said)) == ("13a", "chrf", 1)
    named = ScoringSpec(tokenize="none", choose_by="exact")
    assert named.settled(long, long) == (named, [])


@pytest.mark.parametrize("share", [0.4, 0.6])
def test_most_of_the_references_decide(share: float):
    references = ["one two three"] * int(10 * share) + ["one two three four"] * (10 - int(10 * share))
    scoring, _ = ScoringSpec().settled(references, references)
    assert scoring.choose_by == ("chrf" if share > 0.5 else "bleu")


def test_a_score_with_auto_cuts_by_the_references():
    texts = ["我是一个学生。", "今天天气很好。"]
    found = score(texts, [[text] for text in texts], ScoringSpec())
    assert "|tok:zh|" in found[0].signature
    assert found[0].value == pytest.approx(100)
    assert "|tok:13a|" in score(["a b c d"], [["a b c d"]], ScoringSpec())[0].signature
    assert "|tok:zh|" in score(texts, [[text] for text in texts], ScoringSpec(), ["auto", "13a"])[0].signature


@pytest.mark.parametrize(
    ("tokenize", "texts", "said"),
    [
        ("13a", ["二〇二四", "一二三四"], "as 13a cuts them; zh would suit this script: go by chrF"),
        ("13a", ["one", "two"], "as 13a cuts them: go by chrF"),
        ("zh", ["二〇", "一"], "as zh cuts them: go by chrF"),
        ("13a", ["one two three four"], ""),
    ],
)
def test_a_zero_of_bleu_beside_a_chrf_is_explained(tokenize: str, texts: Sequence[str], said: str):
    scoring = ScoringSpec.model_validate({"tokenize": tokenize})
    found = score(texts, [[text] for text in texts], scoring)
    assert said in words_of_zero(found, texts)
    assert bool(words_of_zero(found, texts)) == bool(said)
    wrong = score(["x" for _ in texts], [[text] for text in texts], scoring)
    assert words_of_zero(wrong, texts) == ""


@given(st.lists(st.lists(st.integers(4, 9), max_size=6), min_size=1, max_size=20))
def test_the_entropy_of_tokens_is_what_their_frequencies_cost(targets: list[list[int]]):
    tokens = [token for target in targets for token in [*target, -1]]
    counts = Counter(tokens)
    cost = -sum(math.log(counts[token] / len(tokens)) for token in tokens) / len(tokens)
    assert unigram_entropy(np.array([*counts.values()])) == pytest.approx(cost)


TASKS = {
    "digits to Chinese digits": (4, chinese),
    "short ones": (2, chinese),
    "reversed": (3, lambda n: n[::-1]),
}
RECIPE = """\
data:
  kind: files
  train: {{kind: tsv, path: {folder}/train.tsv}}
  valid: {{kind: tsv, path: {folder}/valid.tsv}}
tokenizers: {{kind: joint, both: {{kind: bpe, vocabulary: 60, byte_fallback: false}}}}
model:
  d_model: 32
  embedding: {{dropout: 0.0}}
  encoder:
    layers: 1
    block: {{attention: {{heads: {{query: 2}}}}, feed_forward: {{hidden: 64}}, dropout: 0.0}}
  decoder:
    layers: 1
    block:
      attention: {{heads: {{query: 2}}}}
      cross_attention: {{heads: {{query: 2}}}}
      feed_forward: {{hidden: 64}}
      dropout: 0.0
  longest: 12
training:
  steps: 240
  batching: {{tokens: 256}}
  schedule: {{kind: linear, peak: 0.01, warmup: 40}}
  precision: fp32
  validation: {{every: 40, average: 1}}
"""


@pytest.fixture
def no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("whyformer.plots.curves.save_curves", lambda *_: None)


@pytest.mark.parametrize("name", TASKS)
def test_the_model_that_is_right_is_kept(name: str, tmp_path: Path, no_picture: None):
    length, translated = TASKS[name]
    random = Random(1)
    numbers = ["".join(random.choices("0123456789", k=length)) for _ in range(700)]
    lines = [f"{number}\t{translated(number)}\n" for number in numbers]
    (tmp_path / "train.tsv").write_text("".join(lines[:600]), encoding="utf-8")
    (tmp_path / "valid.tsv").write_text("".join(lines[600:]), encoding="utf-8")
    (tmp_path / "recipe.yaml").write_text(RECIPE.format(folder=tmp_path), encoding="utf-8")
    said: list[str] = []
    run = tmp_path / "run"
    trainer = start_run(
        str(tmp_path / "recipe.yaml"), [], run, device="cpu", overwrite=False, say=said.append
    )
    progress = trainer.train()
    exact = [record["exact"] for record in trainer.run.records() if "exact" in record]
    assert progress.best.scores["exact"] == max(exact) > 50.0
    recipe = read_recipe(run)
    assert isinstance(recipe, TranslationRecipe)
    assert recipe.scoring.tokenize == ("13a" if name == "reversed" else "zh")
    assert recipe.scoring.choose_by == ("bleu" if length == 4 else "chrf")
    assert sum(line.startswith("scoring.") for line in said) == 2
    # What is settled is not settled again.
    resume_run(run, [], device="cpu", say=said.append).lock.release()
    assert sum(line.startswith("scoring.") for line in said) == 2


def overlong(path: Path, *lines: str) -> None:
    path.write_text(
        path.read_text(encoding="utf-8") + "".join(f"{line}\n" for line in lines), encoding="utf-8"
    )


LONG = "1" * 30


# Of training pairs, cleaning drops those of which one side alone is long.
@pytest.mark.parametrize(
    ("side", "line"),
    [
        ("train", f"{LONG}\t{LONG}"),
        ("valid", f"{LONG}\t1"),
        ("valid", f"1\t{LONG}"),
        ("valid", f"{LONG}\t{LONG}"),
    ],
)
def test_pairs_longer_than_the_model_are_left_out_before_training(
    side: str, line: str, tmp_path: Path, no_picture: None
):
    for name in ("train", "valid"):
        pairs = "".join(f"{number}\t{number % 10}{number // 10}\n" for number in range(10, 60))
        (tmp_path / f"{name}.tsv").write_text(pairs, encoding="utf-8")
    overlong(tmp_path / f"{side}.tsv", line, line)
    (tmp_path / "recipe.yaml").write_text(RECIPE.format(folder=tmp_path), encoding="utf-8")
    said: list[str] = []
    changes = ["training.steps=4", "training.validation.every=2", "training.validation.translate_from=0"]
    trainer = start_run(
        str(tmp_path / "recipe.yaml"),
        changes,
        tmp_path / "run",
        device="cpu",
        overwrite=False,
        say=said.append,
    )
    word = "training" if side == "train" else "validation"
    end = f"; left out, as longer than model.longest (12 tokens): 2 {word} pairs"
    assert any(line.endswith(end) for line in said)
    assert trainer.train().finished


def test_a_validation_set_of_nothing_but_long_pairs_is_refused(tmp_path: Path):
    (tmp_path / "train.tsv").write_text("1\t2\n" * 9, encoding="utf-8")
    (tmp_path / "valid.tsv").write_text(f"{LONG}\t2\n", encoding="utf-8")
    (tmp_path / "recipe.yaml").write_text(RECIPE.format(folder=tmp_path), encoding="utf-8")
    with pytest.raises(DataError, match=r"all validation pairs are longer than model\.longest"):
        start_run(
            str(tmp_path / "recipe.yaml"), [], tmp_path / "run", device="cpu", overwrite=False, say=print
        )
    assert not (tmp_path / "run").exists()


def test_of_a_test_set_long_sentences_are_left_out_and_named(reverse_run: Path, tmp_path: Path):
    translator = load_as(Translator, reverse_run)
    texts = ["1 2 3", "4 " * 40, "0 1", "2 " * 16, "3 3"]
    pairs = [Referenced(text, [text[::-1]]) for text in texts]
    found = evaluate_translator(translator, pairs, ScoringSpec(tokenize="none"))
    assert found.overlong == (2, 4)
    assert [sentence.source for sentence in found.sentences] == ["1 2 3", "0 1", "3 3"]
    lines = list(found.lines("mine"))
    assert "  left out, as longer than the model takes: 2 of 5 sentences (number 2, 4)" in lines
    assert found.record()["left_out"] == [2, 4]
    without = evaluate_translator(translator, pairs[:1], ScoringSpec(tokenize="none"))
    assert "left_out" not in without.record()
    with pytest.raises(DataError, match="all 1 sentences are longer than the 15 tokens that the model takes"):
        evaluate_translator(translator, pairs[1:2], ScoringSpec())


def test_evaluation_says_what_was_never_seen_and_gives_no_advice_on_lines(reverse_run: Path):
    translator = load_as(Translator, reverse_run)
    pairs = [Referenced(text, [text]) for text in ("1 2 x", "1. 2. 3. Y! 4")]
    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always")
        evaluate_translator(translator, pairs, ScoringSpec(tokenize="none"))
    told = [str(note.message) for note in noted]
    assert len(told) == 1
    assert "x (U+0078)" in told[0]


@pytest.mark.parametrize(
    ("new", "old", "is_better"),
    [
        ((0.0, 2.77), (0.1011, 3.6), True),
        ((0.4, 3.6), (0.0, 2.77), False),
        ((0.0, 2.77), (0.9, 3.6), False),
        ((1.2, 3.6), (0.3, 2.77), True),
        ((0.2, 2.0), (0.2, 2.0), False),
    ],
)
def test_next_to_no_bleu_is_none(new: tuple[float, float], old: tuple[float, float], is_better: bool) -> None:
    figures = [{"bleu": bleu, "nll": nll} for bleu, nll in (new, old)]
    assert ScoringSpec(choose_by="bleu").better(*figures) == is_better
    as_exact = [{"exact": each["bleu"], "nll": each["nll"]} for each in figures]
    by_exact = is_better if new[0] == old[0] or max(new[0], old[0]) > 0.5 else new[0] > old[0]
    assert ScoringSpec(choose_by="exact").better(*as_exact) == by_exact
