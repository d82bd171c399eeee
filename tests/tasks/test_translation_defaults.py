"""Decisions on what a recipe leaves out: what the text suggests, and nothing that was said."""

import math
from collections.abc import Mapping

import pytest

from whyformer.tasks.decision import Decision, says, value_of
from whyformer.tasks.translation.defaults import PairCounts, SideCounts, decide, is_complete

ENGLISH = ("The dog sleeps.", "A cat eats fish.", "We are late again.")
OTHERS = {
    "Latin": ("Der Hund schläft.", "Eine Katze frisst Fisch.", "Wir kommen schon wieder zu spät."),
    "Chinese characters": ("狗在睡觉。", "猫吃鱼。", "我们又迟到了。"),
    "Cyrillic": ("Собака спит.", "Кошка ест рыбу.", "Мы опять опоздали."),
    "Greek": ("Ο σκύλος κοιμάται.", "Μια γάτα τρώει ψάρι.", "Αργήσαμε πάλι."),
    "Hangul": ("개가 잔다.", "고양이가 생선을 먹는다.", "우리는 또 늦었다."),
}
SOURCE, TARGET = SideCounts(35_000, 50, "Latin"), SideCounts(33_000, 60, "Latin")
HAN = SideCounts(18_000, 1_250, "Chinese characters")


def decisions(said: Mapping[str, object], counts: PairCounts) -> dict[str, Decision]:
    found = decide(said, counts)
    assert len({decision.key for decision in found}) == len(found)
    return {decision.key: decision for decision in found}


def counts(pairs: int, target: SideCounts = TARGET) -> PairCounts:
    """Counts of so many pairs, each as long as those of 3,000 that the sides were counted in."""
    one, other = (
        SideCounts(side.words * pairs // 3000, side.characters, side.script) for side in (SOURCE, target)
    )
    both = SideCounts(one.words + other.words, one.characters + other.characters, "Latin")
    return PairCounts(pairs, one, other, both)


@pytest.mark.parametrize("script", OTHERS)
def test_sides_of_one_script_share_a_tokenizer(script: str):
    found = PairCounts.of(zip(ENGLISH, OTHERS[script], strict=True))
    assert (found.source.script, found.target.script) == ("Latin", script)
    made = decisions({}, found)
    assert made["tokenizers.kind"].value == ("joint" if script == "Latin" else "separate")
    # One table for both sides needs one vocabulary.
    assert ("model.embedding.tie" in made) == (script != "Latin")
    assert script in made["tokenizers.kind"].reason


def test_words_are_counted_by_spaces_or_by_characters():
    assert SideCounts.of(["one two  three", "four"]).words == 4
    assert SideCounts.of(["我们又迟到了。", "猫"]).words == pytest.approx(7, abs=2)
    assert SideCounts.of(["12:30", "5"]).script == ""


@pytest.mark.parametrize("target", [TARGET, HAN])
def test_more_pairs_get_more_pieces_larger_batches_and_fewer_epochs(target: SideCounts):
    rows = [decisions({}, counts(pairs, target)) for pairs in (300, 3_000, 29_000, 500_000, 5_000_000)]
    for key, grows in (
        ("tokenizers.both.vocabulary" if target is TARGET else "tokenizers.target.vocabulary", True),
        ("training.batching.tokens", True),
        ("training.epochs", False),
    ):
        values = [float(row[key].value) for row in rows]
        assert values == sorted(values, reverse=not grows)
        assert len({*values}) > 2 or key == "training.batching.tokens"
    assert [row["model.preset"].value for row in rows] == ["small"] * 3 + ["base"] * 2


def test_a_vocabulary_has_room_for_all_that_must_be_in_it():
    for pairs in (3, 30, 3_000):
        made = decisions({}, counts(pairs, HAN))
        assert float(made["tokenizers.target.vocabulary"].value) > 1_250 + 260
        assert float(made["tokenizers.source.vocabulary"].value) > 50 + 260


@pytest.mark.parametrize(
    ("said", "gone"),
    [
        ({"training": {"epochs": 7}}, {"training.epochs"}),
        ({"training": {"steps": 700}}, {"training.epochs"}),
        ({"training": {"schedule": {"peak": 0.01}}}, {"training.schedule.peak"}),
        ({"training": {"clip": None}}, {"training.clip"}),
        ({"model": {"preset": "tiny"}}, {"model.preset"}),
        ({"model": {"d_model": 32}}, {"model.preset"}),
        ({"model": {"encoder": {"positions": []}}}, {"model.encoder.positions"}),
        (
            {"tokenizers": {"both": {"vocabulary": 500}}},
            {"tokenizers.both.vocabulary"},
        ),
        ({"tokenizers": {"both": {"kind": "character"}}}, {"tokenizers.both.vocabulary"}),
        (
            {"training": {"minutes": 5}},
            {"training.epochs", "training.schedule.kind", "training.validation.every"}
            | {"training.validation.translate_from"},
        ),
    ],
)
def test_nothing_is_decided_that_was_said(said: Mapping[str, object], gone: set[str]):
    everything = decisions({}, counts(3000))
    assert everything.keys() - decisions(said, counts(3000)).keys() == gone


def test_who_says_a_kind_of_tokenizer_keeps_it():
    assert decisions({"tokenizers": {"kind": "separate"}}, counts(3000)).keys() >= {
        "tokenizers.source.vocabulary",
        "tokenizers.target.vocabulary",
    }
    joint = decisions({"tokenizers": {"both": {"lowercase": True}}}, counts(3000, HAN))
    assert joint["tokenizers.kind"].value == "joint"
    assert "model.embedding.tie" not in joint
    word = decisions({"tokenizers": {"both": {"kind": "wordpiece"}}}, counts(3000))
    assert "tokenizers.both.vocabulary" in word


def test_a_recurrent_network_keeps_its_shape():
    made = decisions({"model": {"kind": "recurrent"}}, counts(3000))
    assert not [key for key in made if key.startswith("model.")]


def test_a_run_to_start_from_brings_tokenizers_and_model():
    made = decisions({"start": "runs/before"}, counts(3000))
    assert not [key for key in made if key.startswith(("model.", "tokenizers."))]
    assert float(made["training.schedule.peak"].value) < 0.001


def test_a_recipe_that_says_all_keys_is_complete():
    assert not is_complete({})
    said: dict[str, object] = {}
    for decision in [*decide({}, counts(3000)), *decide({}, counts(3000, HAN))]:
        node = said
        *above, last = decision.key.split(".")
        for step in above:
            inner = node.setdefault(step, {})
            assert isinstance(inner, dict)
            node = inner
        node.setdefault(last, decision.value)
    assert is_complete(said)


def test_the_batch_is_not_larger_than_a_fortieth_of_the_pairs_where_these_are_many():
    for pairs in (3_000, 10_000, 29_000, 200_000):
        found = counts(pairs)
        tokens = float(decisions({}, found)["training.batching.tokens"].value)
        assert 1024 <= tokens <= 4096
        assert math.log2(tokens).is_integer()
        assert tokens == 1024 or found.cells / tokens >= 40


def test_null_is_said_too():
    assert says({"a": {"b": None}}, "a.b")
    assert not says({"a": {"b": None}}, "a.b.c")
    assert value_of({"a": {"b": 3}}, "a.b") == 3
    assert value_of({"a": 3}, "a.b") is None
