"""The embedded corpus: its size, and that nothing held out can be seen in training."""

import re
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from whyformer.data.corpora.cldr import CldrPair, CldrSpec, CorpusLanguage, Splits, Topic, normalise, write
from whyformer.data.corpora.cldr.splits import divide, split_of
from whyformer.errors import DataError

TOPICS: tuple[Topic, ...] = get_args(Topic)
DIRECTIONS: list[tuple[CorpusLanguage, CorpusLanguage]] = [
    ("en", "zh"),
    ("en", "de"),
    ("en", "fr"),
    ("zh", "en"),
]
FROM_ENGLISH = [direction for direction in DIRECTIONS if direction[0] == "en"]
SMALL = CldrSpec(topics=("relative",))

Corpora = dict[tuple[CorpusLanguage, CorpusLanguage], Splits]


@pytest.fixture(scope="module")
def corpora() -> Corpora:
    return {(source, target): CldrSpec(source=source, target=target).build() for source, target in DIRECTIONS}


def everything(splits: Splits) -> list[CldrPair]:
    return splits.train + splits.valid + splits.test


def about(splits: Splits, topic: Topic) -> Iterator[CldrPair]:
    return (pair for pair in everything(splits) if pair.topic == topic)


# Size and division


@pytest.mark.parametrize("direction", FROM_ENGLISH)
def test_there_are_about_fifty_thousand_distinct_pairs_of_every_topic(
    corpora: Corpora, direction: tuple[CorpusLanguage, CorpusLanguage]
) -> None:
    pairs = everything(corpora[direction])
    assert len({(pair.source, pair.target) for pair in pairs}) == len(pairs) >= 45_000
    for topic in TOPICS:
        assert sum(1 for pair in pairs if pair.topic == topic) >= 3000, topic


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_about_a_tenth_is_held_out(
    corpora: Corpora, direction: tuple[CorpusLanguage, CorpusLanguage]
) -> None:
    splits = corpora[direction]
    total = len(everything(splits))
    assert 0.03 < len(splits.valid) / total < 0.05
    assert 0.05 < len(splits.test) / total < 0.07


def test_the_demo_has_a_thousand_short_test_pairs() -> None:
    splits = CldrSpec(topics=("dates", "intervals", "relative", "numbers"), pairs=18_000).build()
    assert len(everything(splits)) == 18_000
    assert len(splits.test) >= 1000
    lengths = sorted(max(len(pair.source), len(pair.target)) for pair in splits.train)
    assert lengths[int(0.85 * len(lengths))] <= 40


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_each_source_has_one_target(
    corpora: Corpora, direction: tuple[CorpusLanguage, CorpusLanguage]
) -> None:
    sources = [pair.source for pair in everything(corpora[direction])]
    assert len(set(sources)) == len(sources)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("field", ["source", "target", "content"])
def test_splits_share_nothing(
    corpora: Corpora, direction: tuple[CorpusLanguage, CorpusLanguage], field: str
) -> None:
    splits = corpora[direction]
    for first, second in combinations((splits.train, splits.valid, splits.test), 2):
        assert not {getattr(pair, field) for pair in first} & {getattr(pair, field) for pair in second}


def test_a_target_that_two_contents_share_is_dropped_from_the_held_out_side() -> None:
    contents = {
        split: next(c for c in map(str, range(999)) if split_of(c) == split) for split in ("train", "test")
    }
    filler = [CldrPair(f"a{n}", f"b{n}", "dates", str(n)) for n in range(1000, 1100)]
    seen = CldrPair("one", "same", "dates", contents["train"])
    leak = CldrPair("other", "same", "dates", contents["test"])
    splits = divide([leak, seen, *filler], names=(), most=None)
    assert seen in splits.train
    assert leak not in everything(splits)


def test_what_is_held_out_does_not_depend_on_language_topics_or_seed(corpora: Corpora) -> None:
    test = {pair.content for pair in corpora["en", "zh"].test}
    other = CldrSpec(source="de", target="fr", topics=("dates", "units"), seed=2).build()
    assert test & {pair.content for pair in other.test}
    assert not test & {pair.content for pair in other.train}


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_every_name_in_a_held_out_pair_is_in_training(
    corpora: Corpora, direction: tuple[CorpusLanguage, CorpusLanguage]
) -> None:
    def names(pair: CldrPair) -> list[str]:
        return (
            pair.content.split("+")
            if pair.topic == "lists"
            else re.findall(r"[a-z]+-[a-z-]+|[A-Z]{3}", pair.content)
        )

    splits = corpora[direction]
    for topic in ("lists", "units", "money"):
        seen = {name for pair in splits.train if pair.topic == topic for name in names(pair)}
        held_out = [pair for pair in splits.valid + splits.test if pair.topic == topic]
        assert len(held_out) > 200
        assert {name for pair in held_out for name in names(pair)} <= seen
    alone = {pair.content for pair in splits.train if pair.topic == "lists"}
    assert {name for pair in about(splits, "lists") for name in names(pair)} <= alone


# The look of the text


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_text_is_composed_and_plainly_spaced(
    corpora: Corpora, direction: tuple[CorpusLanguage, CorpusLanguage]
) -> None:
    for pair in everything(corpora[direction]):
        for text in (pair.source, pair.target):
            assert text
            assert text == normalise(text)
            assert not any(unicodedata.category(c)[0] in "CZ" and c != " " for c in text), pair


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_no_identifier_or_placeholder_shows(
    corpora: Corpora, direction: tuple[CorpusLanguage, CorpusLanguage]
) -> None:
    pairs = everything(corpora[direction])
    units = {match for pair in pairs for match in re.findall(r"[a-z]+-[a-z-]+", pair.content)}
    assert len(units) > 60
    for pair in pairs:
        for text in (pair.source, pair.target):
            assert not re.search(r"[{}¤\t]|None", text), pair
            assert pair.topic != "units" or not any(unit in text for unit in units), pair


def test_each_language_looks_like_itself(corpora: Corpora) -> None:
    chinese = [pair for pair in everything(corpora["en", "zh"]) if pair.topic not in ("times", "money")]
    assert all(re.search(r"[\u4e00-\u9fff]|[%‰]$", pair.target) for pair in chinese)
    assert not any(re.search(r"[a-z]", pair.target) for pair in chinese)
    german, french = (
        "".join(pair.target for pair in everything(splits))
        for splits in (corpora["en", "de"], corpora["en", "fr"])
    )
    assert set("äöüß") < set(german)
    assert set("éèûç’") < set(french)
    assert not re.search(r"[\u4e00-\u9fff]", german + french)


def test_figures_alone_that_read_alike_are_left_out(corpora: Corpora) -> None:
    for splits in corpora.values():
        for pair in everything(splits):
            assert pair.source != pair.target or re.search(r"[^\W\d_]", pair.source)


@settings(deadline=None)
@given(st.text())
def test_normalise_settles_at_once(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once
    assert once == once.strip()


# The same spec, the same bytes


def test_building_again_gives_the_same() -> None:
    assert SMALL.build() == SMALL.build()
    twice = CldrSpec(topics=("relative", "relative"), seed=1)
    assert twice.build() == SMALL.build()


def test_another_process_gives_the_same_bytes(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from whyformer.data.corpora.cldr import CldrSpec, write;"
        "write(CldrSpec(target='de', topics=('lists', 'money')).build(), Path(sys.argv[1]))"
    )
    for name, hash_seed in (("a", "1"), ("b", "2")):
        environment = {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": ":".join(sys.path)}
        subprocess.run([sys.executable, "-c", code, str(tmp_path / name)], check=True, env=environment)
    for file in ("train.tsv", "valid.tsv", "test.tsv"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_fewer_pairs_or_topics_are_a_part_of_more() -> None:
    many = SMALL.build()
    few = SMALL.model_copy(update={"pairs": 500}).build()
    assert len(everything(few)) == 500
    both = CldrSpec(topics=("relative", "money")).build()
    for part, whole in ((few, many), (many, both)):
        for split in ("train", "valid", "test"):
            assert set(getattr(part, split)) < set(getattr(whole, split))


def test_names_are_the_last_to_be_cut() -> None:
    whole = CldrSpec(topics=("lists",)).build()
    part = CldrSpec(topics=("lists",), pairs=1000).build()
    alone = {pair for pair in whole.train if "+" not in pair.content}
    assert len(alone) > 300
    assert alone <= set(part.train)


def test_another_seed_draws_other_contents() -> None:
    other = CldrSpec(topics=("relative",), seed=2).build()
    assert {pair.content for pair in everything(SMALL.build())} != {
        pair.content for pair in everything(other)
    }


# Errors and files


def test_one_language_is_refused() -> None:
    with pytest.raises(
        ValidationError, match="source and target are both de; choose two different languages"
    ):
        CldrSpec(source="de", target="de")


@pytest.mark.parametrize("change", [{"topics": ()}, {"topics": ("weather",)}, {"pairs": 0}, {"source": "es"}])
def test_what_does_not_exist_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        CldrSpec.model_validate(change)


def test_too_few_pairs_are_refused_in_one_sentence() -> None:
    with pytest.raises(DataError, match=r"^pairs: 3 leaves \d training.* test pairs; raise it.*\.$"):
        CldrSpec(topics=("relative",), pairs=3).build()


def test_write_gives_plain_columns(tmp_path: Path) -> None:
    splits = SMALL.build()
    write(splits, tmp_path / "corpus")
    lines = (tmp_path / "corpus" / "test.tsv").read_text(encoding="utf-8").splitlines()
    assert [CldrPair(*line.split("\t")) for line in lines] == splits.test
    assert sorted(path.name for path in (tmp_path / "corpus").iterdir()) == [
        "test.tsv",
        "train.tsv",
        "valid.tsv",
    ]


def test_a_spec_alone_imports_neither_torch_nor_babel() -> None:
    code = (
        "import sys; from whyformer.data.corpora.cldr import CldrSpec; CldrSpec();"
        "sys.exit('torch' in sys.modules or 'babel' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path)})
