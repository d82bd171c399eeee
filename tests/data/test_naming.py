"""One way to name data in all tasks: a path, a list, a share held out; and what sets have in common."""

import json
import re
import warnings
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whyformer.config.recipe_files import load_recipe, recipe_text
from whyformer.config.validation import check
from whyformer.data.corpora.detection.labels import label_notes, trimmed_label
from whyformer.data.corpora.documents import DocumentsSpec
from whyformer.data.corpora.labelled import LabelledSpec
from whyformer.data.corpora.lines import SentencePair
from whyformer.data.corpora.pair_files import CsvPairs, JoinedPairs, JsonlPairs, TextPairs, TsvPairs
from whyformer.data.corpora.pairs.copies import folded, split_off
from whyformer.data.corpora.pairs.notes import overlap_notes
from whyformer.data.corpora.parallel import Corpus, FilesSpec, load_corpus, load_held_out
from whyformer.errors import DataError, RecipeError, WhyformerNote
from whyformer.spec import Spec
from whyformer.tasks.causal_lm.task import CausalLMRecipe
from whyformer.tasks.translation.task import TranslationRecipe

GERMAN = ["der Hund bellt im Haus", "die Katze sitzt auf dem Dach", "wir gehen mit dem Kind in den Park"]
ENGLISH = ["the dog sleeps in the house", "the cat sits on the roof", "we go with the child to the park"]


def sentences(first: int, last: int) -> list[tuple[str, str]]:
    return [(f"{ENGLISH[n % 3]} {n}", f"{GERMAN[n % 3]} {n}") for n in range(first, last)]


def write(path: Path, rows: Sequence[Sequence[str]]) -> Path:
    path.write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
    return path


def translation(data: dict[str, object], overlap: str | None = None) -> FilesSpec:
    data = data if overlap is None else {**data, "cleaning": {"overlap": overlap}}
    spec = check(TranslationRecipe, {"data": data, "training": {"epochs": 1}}, "mine").data
    assert isinstance(spec, FilesSpec)
    return spec


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ("a.tsv", TsvPairs),
        ("a.tsv.gz", TsvPairs),
        ("folder.x/A.CSV", CsvPairs),
        ("a.jsonl", JsonlPairs),
        ({"path": "a.csv", "header": True}, CsvPairs),
        ({"source": "a.en", "target": "a.de"}, TextPairs),
        ({"kind": "csv", "path": "a.tsv"}, CsvPairs),
        ({"url": "https://x.org/a.tsv.gz?raw=1", "sha256": "0" * 64}, TsvPairs),
        (["a.tsv", {"path": "b.csv"}], JoinedPairs),
    ],
)
def test_pairs_may_be_named_by_a_path(given: object, kind: type[Spec]) -> None:
    assert isinstance(translation({"train": given}).train, kind)
    assert isinstance(translation({"train": "a.tsv", "valid": given}).valid, kind)
    assert isinstance(translation({"train": "a.tsv", "test": {"x": given}}).test["x"], kind)


def test_a_bare_path_is_read_like_the_training_file() -> None:
    train = {"path": "a.tsv", "header": True, "source_column": "en", "target_column": "de"}
    spec = translation({"train": train, "valid": "b.tsv", "test": {"x": "c.csv"}})
    assert spec.valid == TsvPairs(path=Path("b.tsv"), header=True, source_column="en", target_column="de")
    assert spec.test["x"] == CsvPairs(path=Path("c.csv"))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"train": "a.txt"}, "a.txt: its ending does not tell how to find pairs in it"),
        ({"train": "a.tsv", "valid": 1.5}, "data.valid: is 1.5; should be"),
        ({"train": "a.tsv", "valid": 0}, "data.valid: is 0"),
        ({"train": {"kind": "tsv", "pth": "a"}}, "data.train.pth: unknown key; did you mean path"),
        ({"train": []}, "data.train"),
    ],
)
def test_what_names_nothing_is_said_by_its_key(data: dict[str, object], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        translation(data)


def test_short_names_are_written_out_and_read_back(tmp_path: Path) -> None:
    recipe = tmp_path / "mine.yaml"
    data = f"{{train: [{tmp_path}/a.tsv, {tmp_path}/b.csv], valid: 0.1}}"
    recipe.write_text(f"data: {data}\ntraining: {{epochs: 1}}\n", encoding="utf-8")
    spec = load_recipe(TranslationRecipe, str(recipe))
    written = tmp_path / "written.yaml"
    written.write_text(recipe_text(spec), encoding="utf-8")
    assert load_recipe(TranslationRecipe, str(written)) == spec
    changes = [f"data.train={tmp_path}/c.tsv", f"data.valid={tmp_path}/d.tsv"]
    changed = load_recipe(TranslationRecipe, str(recipe), changes).data
    assert isinstance(changed, FilesSpec)
    assert changed.train == TsvPairs(path=tmp_path / "c.tsv")
    assert changed.valid == TsvPairs(path=tmp_path / "d.tsv")


def test_documents_and_labelled_texts_are_named_alike(tmp_path: Path) -> None:
    text = tmp_path / "a.txt"
    text.write_text("\n\n".join(f"Document {n}." for n in range(40)), encoding="utf-8")
    recipe = check(CausalLMRecipe, {"data": {"train": str(text)}, "training": {"epochs": 1}}, "mine")
    assert recipe.data == DocumentsSpec(train=(text,))
    rows = [{"text": f"Document\n{n}.", "id": n} for n in range(40)]
    lines = tmp_path / "a.jsonl"
    lines.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    assert set(DocumentsSpec(train=(lines,), valid=0.2).held_out("valid")) < {row["text"] for row in rows}
    table = tmp_path / "a.csv"
    table.write_text("id,text\n" + "".join(f'{n},"Line\n{n}, ""so"""\n' for n in range(9)), encoding="utf-8")
    found = DocumentsSpec(train=(table,), valid=(text,)).load().train
    assert found == [f'Line\n{n}, "so"' for n in range(9)]


def test_labels_come_from_any_table(tmp_path: Path) -> None:
    expected = [("pos", ("Very, very good.",)), ("neg", ("Bad.",))]
    table = tmp_path / "a.csv"
    table.write_text('text,label\n"Very, very good.",pos\nBad.,neg\n', encoding="utf-8")
    lines = tmp_path / "a.jsonl"
    rows = [{"text": texts[0], "label": label} for label, texts in expected]
    lines.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    quoted = tmp_path / "a.tsv"
    quoted.write_text('pos\t"Very, very good."\nneg\tBad.\n', encoding="utf-8")
    for spec in (
        LabelledSpec(train=(table,), valid=(table,), header=True, columns=("label", "text")),
        LabelledSpec(train=(table,), valid=(table,), header=True, columns=(2, 1)),
        LabelledSpec(train=(lines,), valid=(lines,)),
        LabelledSpec(train=(quoted,), valid=(quoted,), quotes=True),
    ):
        assert [(each.label, each.texts) for each in spec.held_out("valid")] == expected


PAIRS = st.lists(
    st.tuples(st.sampled_from("abcdefgh "), st.sampled_from("rstuvwxyz")).map(lambda p: SentencePair(*p)),
    min_size=2,
    max_size=60,
)


@given(pairs=PAIRS, share=st.floats(0.01, 0.9))
@settings(max_examples=200, deadline=None)
def test_nothing_held_out_is_seen_in_training(pairs: list[SentencePair], share: float) -> None:
    train, held = split_off(pairs, share)
    assert sorted(train + held) == sorted(pairs)
    for side in (0, 1):
        assert {folded(pair[side]) for pair in train}.isdisjoint(folded(pair[side]) for pair in held)
    assert len(held) <= max(1, share * len(pairs) + 0.5)


@given(pairs=PAIRS, share=st.floats(0.01, 0.9), order=st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_the_share_depends_on_the_text_alone(pairs: list[SentencePair], share: float, order: object) -> None:
    assert split_off(pairs, share) == split_off(list(pairs), share)
    assert sorted(split_off(pairs, share)[1]) == sorted(split_off(sorted(pairs), share)[1])


@pytest.mark.parametrize(("count", "share"), [(20, 0.05), (200, 0.05), (1000, 0.1), (400, 0.25)])
def test_the_share_is_met(count: int, share: float, tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", sentences(0, count))
    spec = translation({"train": str(path), "valid": share})
    corpus = load_corpus(spec)
    assert len(corpus.valid) == round(count * share)
    assert f"{len(corpus.valid)} of them held out as valid" in corpus.summary
    assert load_held_out(spec, ["valid"]) == {"valid": corpus.valid}


def test_a_share_of_nothing_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", [("same", "gleich"), ("same", "ebenso")])
    with pytest.raises(DataError, match=r"data\.valid: 0\.05 of the 2 pairs .* cannot be held out"):
        load_corpus(translation({"train": str(path)}))


def corpus_of(
    tmp_path: Path, train: Sequence[Sequence[str]], overlap: str = "keep", **sets: object
) -> Corpus:
    data: dict[str, object] = {"train": str(write(tmp_path / "train.tsv", train))}
    for name, rows in sets.items():
        path = str(write(tmp_path / f"{name}.tsv", rows))  # pyright: ignore[reportArgumentType]
        data |= {"valid": path} if name == "valid" else {"test": {name: path}}
    return load_corpus(translation(data, overlap))


@pytest.mark.parametrize(
    ("overlap", "left", "said"),
    [
        ("keep", 100, "2 pairs and one side of 1 more stand in valid, too"),
        ("pairs", 98, "2 left out as they stand in a held-out set, too"),
        ("sides", 97, "3 left out as they stand in a held-out set, too"),
    ],
)
def test_what_sets_have_in_common_is_counted_and_dropped_by_choice(
    overlap: str, left: int, said: str, tmp_path: Path
) -> None:
    train = sentences(0, 100)
    valid = [
        *sentences(200, 230),
        train[0],
        (train[1][0].upper() + " ", train[1][1]),
        (train[2][0], "anders"),
    ]
    corpus = corpus_of(tmp_path, train, overlap, valid=valid)
    assert len(corpus.train) == left
    assert said in corpus.summary
    assert len(corpus.valid) == 33


@pytest.mark.parametrize(
    "copies",
    [
        sentences(0, 7),
        sentences(0, 1) * 7,
        sentences(43, 50),
        [*sentences(8, 11) * 2, *sentences(8, 9)],
    ],
)
def test_copies_are_counted(copies: list[tuple[str, str]], tmp_path: Path) -> None:
    train = [*sentences(0, 50), *copies]
    assert "7 are copies of others" in corpus_of(tmp_path, train, valid=sentences(90, 99)).summary
    data: dict[str, object] = {"train": str(tmp_path / "train.tsv"), "valid": str(tmp_path / "valid.tsv")}
    assert (
        "dropped: 7 repeated" in load_corpus(translation({**data, "cleaning": {"repeated": False}})).summary
    )


def test_a_test_set_inside_training_is_said(tmp_path: Path) -> None:
    train, valid, news = sentences(0, 100), sentences(200, 230), sentences(80, 110)
    assert "20 pairs stand in news, too" in corpus_of(tmp_path, train, valid=valid, news=news).summary
    held_out = {"valid": [(a, [b]) for a, b in valid], "news": [(a, [b]) for a, b in news]}
    (note,) = overlap_notes([SentencePair(*pair) for pair in train], held_out)
    assert note.startswith("20 training pairs stand in news, too (30 there)")


@pytest.mark.parametrize("count", [12, 100])
def test_sides_the_other_way_round_are_said(count: int, tmp_path: Path) -> None:
    swapped = [pair[::-1] for pair in sentences(200, 200 + count)]
    with pytest.warns(WhyformerNote, match=r"data\.valid: its sources look like the targets of data\.train"):
        corpus_of(tmp_path, sentences(0, 100), valid=swapped)
    russian = [(a, "Кошка сидит на крыше") for a, _ in sentences(200, 220)]
    with pytest.warns(WhyformerNote, match=r"data\.test\.x: its targets are in cyrillic script"):
        corpus_of(tmp_path, sentences(0, 100), valid=sentences(300, 320), x=russian)
    chinese = [(a, f"猫坐在屋顶上{a[-3:]}") for a, _ in sentences(0, 100)]
    with pytest.warns(WhyformerNote, match=r"data\.valid: its sources look like the targets"):
        corpus_of(tmp_path, chinese, valid=[pair[::-1] for pair in chinese[:30]])


@pytest.mark.parametrize(("equal", "count"), [(90, 100), (51, 100), (30, 30), (700, 1_000)])
@pytest.mark.parametrize("around", ["{}", "{} ", " {}"])
def test_columns_that_are_equal_are_said(equal: int, count: int, around: str, tmp_path: Path) -> None:
    pairs = [*((a, around.format(a)) for a, _ in sentences(0, equal)), *sentences(equal, count)]
    with pytest.warns(WhyformerNote, match=rf"both sides are equal in {equal} of {count:,} pairs"):
        corpus_of(tmp_path, pairs, valid=sentences(2_000, 2_010))


def test_text_encoded_twice_is_said(tmp_path: Path) -> None:
    broken = [(a, f"{b} schlÃ¤ft") for a, b in sentences(0, 100)]
    with pytest.warns(WhyformerNote, match=r"100 of 100 pairs look as if UTF-8 had been encoded twice"):
        corpus_of(tmp_path, broken, valid=sentences(200, 210))


def test_sound_data_are_read_without_a_word(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        corpus = corpus_of(tmp_path, sentences(0, 100), valid=sentences(200, 230), x=sentences(300, 330))
    assert corpus.summary == "100 pairs read, all kept"


@pytest.mark.parametrize(
    "label", ["pos ", " pos", "pos\u00a0", "\u3000pos", "\ufeffpos", "p\u200bos", "pos\u2009 "]
)
def test_white_space_makes_no_label(label: str, tmp_path: Path) -> None:
    assert trimmed_label(label) == "pos"
    rows = [(label, f"good {n}") for n in range(5)] + [("pos", f"fine {n}") for n in range(5)]
    path = write(tmp_path / "a.tsv", [*rows, *(("neg", f"bad {n}") for n in range(9))])
    spec = LabelledSpec(train=(path,), valid=(path,), labels=("neg ", "pos"))
    assert LabelledSpec(train=(path,)).find_labels() == ("neg", "pos")
    assert {example.label for example in spec.held_out("valid")} == {"neg ", "pos"}


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({"pos": 9, "neg": 9, "ngeative": 1}, "a single example has the label ngeative"),
        ({"pos": 9, "Pos": 2}, r"the labels Pos \(2\) and pos \(9\) differ in case or form alone"),
        ({"ｐｏｓ": 9, "pos": 2}, "differ in case or form alone"),
        ({"a": 1, "b": 1, "c": 5}, "a single example has the label a, b"),
    ],
)
def test_labels_that_are_likely_mistaken_are_said(counts: dict[str, int], said: str) -> None:
    assert re.search(said, "\n".join(label_notes(counts)))
    assert not list(label_notes({"pos": 9, "neg": 8}))


def test_notes_on_labels_are_said_in_training(tmp_path: Path) -> None:
    rows = [*(("pos", f"good {n}") for n in range(20)), *(("neg", f"bad {n}") for n in range(20))]
    path = write(tmp_path / "a.tsv", [*rows, ("psos", "odd one")])
    valid = write(tmp_path / "b.tsv", rows[:4])
    with pytest.warns(WhyformerNote, match="a single example has the label psos"):
        read = LabelledSpec(train=(path,), valid=(valid,)).load()
    assert read.summary == (
        "41 examples read: 37 to train on, 4 left out as their texts stand in valid, too; 4 in valid"
    )


@pytest.mark.parametrize(("overlap", "left"), [("keep", 35), ("drop", 33)])
def test_test_sets_inside_training_are_counted_in_every_task(overlap: str, left: int, tmp_path: Path) -> None:
    rows = [(("pos", "neg")[n % 2], f"text {n}") for n in range(40)]
    train, valid = write(tmp_path / "a.tsv", rows), write(tmp_path / "b.tsv", rows[:5])
    test = write(tmp_path / "c.tsv", [*rows[5:7], ("pos", "other")])
    sets = {"train": [train], "valid": [valid], "test": {"news": [test]}, "overlap": overlap}
    read = LabelledSpec.model_validate(sets).load()
    assert len(read.train) == left
    assert ("2 of them stand in news, too" in read.summary) == (overlap == "keep")
    for path, picked in ((train, rows), (valid, rows[:5]), (test, [*rows[5:7], ("pos", "other")])):
        path.write_text("\n\n".join(text for _, text in picked), encoding="utf-8")
    documents = DocumentsSpec.model_validate({**sets, "format": "text"}).load()
    assert len(documents.train) == left
    assert ("2 of them stand in news, too" in documents.summary) == (overlap == "keep")
