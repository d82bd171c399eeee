"""Distillation: a teacher's translations become data on which a recipe trains a student at once."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from whyformer.config.recipe_files import recipe_text
from whyformer.data.corpora.cldr import CldrSpec
from whyformer.data.corpora.pair_files import Referenced, TextPairs
from whyformer.data.corpora.pairs.cleaning import Cleaning
from whyformer.data.corpora.parallel import Corpus, FilesSpec
from whyformer.data.store.pair_data import pair_corpus
from whyformer.data.tokenizers.pair import TokenizerPair
from whyformer.decoding.beam import BeamSpec
from whyformer.decoding.greedy import GreedySpec
from whyformer.decoding.overrides import SearchChoice
from whyformer.decoding.sampling import SamplingSpec
from whyformer.errors import CheckpointError, DataError, DecodingError, RecipeError
from whyformer.models.transformer import TransformerSpec
from whyformer.runs.distillation import distil
from whyformer.runs.distillation.distil import (
    DistillationOptions,
    TeacherExecution,
    distil_run,
    load_teacher,
)
from whyformer.runs.distillation.student import STUDENT, student_files
from whyformer.runs.distillation.teacher import Teacher, closeness_by, groups_of, one_line
from whyformer.runs.distillation.work import UNFINISHED
from whyformer.runs.load import load, open_run, read_recipe
from whyformer.runs.registry import load_any
from whyformer.runs.train import start_run
from whyformer.tasks.output import TextOutput
from whyformer.tasks.translation.scores.metrics import ScoringSpec
from whyformer.tasks.translation.task import TranslationRecipe, TranslationTask
from whyformer.tasks.translation.translator import Translator

FEW = ["data.pairs=400"]
GREEDY = DistillationOptions(SearchChoice("greedy"))
TORCH = TeacherExecution("cpu", engine="torch")


def translation(recipe: Path | str, *overrides: str) -> TranslationRecipe:
    """The recipe, which is one of translation."""
    loaded = load_any(str(recipe), overrides)
    assert isinstance(loaded, TranslationRecipe)
    return loaded


def corpus_behind(recipe: TranslationRecipe) -> Corpus:
    assert recipe.data is not None
    return pair_corpus(recipe.data)


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").removesuffix("\n").split("\n")


def test_each_training_source_stands_beside_what_the_teacher_makes_of_it(reverse_run: Path, tmp_path: Path):
    done = distil_run(reverse_run, tmp_path / "data", overrides=FEW)
    recipe = translation(reverse_run / "recipe.yaml", *FEW)
    corpus = corpus_behind(recipe)
    sources = [source for source, _ in corpus.train]
    translator = load(reverse_run, device="cpu")
    assert isinstance(translator, Translator)
    expected = translator.best(sources)
    assert (done.pairs, done.left_out) == (len(sources), {})
    assert lines(tmp_path / "data" / "train.source.txt") == sources
    assert lines(tmp_path / "data" / "train.target.txt") == expected
    assert not (tmp_path / "data" / UNFINISHED).exists()
    record = json.loads((tmp_path / "data" / "distillation.json").read_text())
    assert record["search"] == recipe.decoding.model_dump(mode="json")
    assert record["pairs"] == len(sources)


def test_the_student_has_the_teachers_tokens_settings_and_held_out_sets(reverse_run: Path, tmp_path: Path):
    done = distil_run(reverse_run, tmp_path / "data", GREEDY, overrides=FEW, execution=TORCH)
    teacher = translation(reverse_run / "recipe.yaml", *FEW)
    student = load_any(str(done.recipe), ["model.encoder.layers=2"], to_train=True)
    assert isinstance(student, TranslationRecipe)
    theirs, ours = corpus_behind(teacher), corpus_behind(student)
    assert (ours.valid, ours.test) == (theirs.valid, theirs.test)
    assert [source for source, _ in ours.train] == [source for source, _ in theirs.train]
    changed = {"data": teacher.data, "tokenizers": teacher.tokenizers}
    assert isinstance(teacher.model, TransformerSpec)
    model = teacher.model.model_copy(
        update={"encoder": teacher.model.encoder.model_copy(update={"layers": 2})}
    )
    assert student.model_copy(update=changed) == teacher.model_copy(update={"model": model})
    said: list[str] = []
    run = tmp_path / "student"
    trainer = start_run(
        str(done.recipe), ["training.steps=2", "training.schedule.warmup=1"], run, device="cpu",
        overwrite=False, say=said.append,
    )  # fmt: skip
    trainer.train()
    assert TokenizerPair.load(run).fingerprints == TokenizerPair.load(reverse_run).fingerprints
    # Once it is trained, it needs the teacher no more.
    recipe = run / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace(str(reverse_run), str(tmp_path / "gone")))
    assert load(run, device="cpu")("0 1 2") is not None


def test_the_true_pairs_stand_beside_if_they_are_wanted(reverse_run: Path, tmp_path: Path):
    options = DistillationOptions(SearchChoice("greedy"), with_originals=True)
    done = distil_run(reverse_run, tmp_path, options, overrides=FEW)
    theirs = corpus_behind(translation(reverse_run / "recipe.yaml", *FEW)).train
    ours = corpus_behind(translation(done.recipe)).train
    assert ours[len(theirs) :] == theirs
    assert [source for source, _ in ours[: len(theirs)]] == [source for source, _ in theirs]


class Scripted:
    """A translator that has its translations from a table."""

    def __init__(self, table: dict[str, list[TextOutput]]) -> None:
        self.table = table
        self.calls: list[list[str]] = []

    def translate(self, texts: Sequence[str], settings: object, **others: Any) -> list[list[TextOutput]]:
        self.calls.append([*texts])
        for number, text in enumerate(texts, start=others["first"]):
            if text not in self.table:
                others["bad"].leave_out(number, "too long")
        return [self.table.get(text, [output("")]) for text in texts]


def output(text: str, *, finished: bool = True) -> TextOutput:
    return TextOutput(text, 0.0, (), [], finished=finished)


def taught(
    table: dict[str, list[TextOutput]],
    pairs: list[tuple[str, str]],
    closeness: Callable[[str, str], float] | None = None,
) -> tuple[list[list[str] | None], dict[str, int]]:
    settings = BeamSpec(size=3, n_best=3)
    translator: Any = Scripted(table)
    teacher = Teacher(translator, settings, 8, closeness)
    found = teacher.taught(groups_of(pairs, settings), 1, lambda _: None)
    assert translator.calls == [[*dict.fromkeys(source for source, _ in pairs)]]
    return found.texts, found.left_out


def test_a_source_that_stands_often_is_translated_once_and_stays_often():
    pairs = [("a", "x"), ("b", "y"), ("a", "z")]
    assert taught({"a": [output("A")], "b": [output("B")]}, pairs) == ([["A", "A"], ["B"]], {})
    assert [group.places for group in groups_of(pairs, GreedySpec())] == [[0, 2], [1]]
    # By chance each has a draw of its own.
    assert [group.places for group in groups_of(pairs, SamplingSpec())] == [[0], [1], [2]]


@pytest.mark.parametrize("measure", ["bleu", "chrf"])
def test_the_closest_to_the_true_one_is_taken_for_each_pair(measure: Any):
    close = closeness_by(measure, ScoringSpec(tokenize="none"), [("x", "y")])
    beam = [output("one two three"), output("six seven eight"), output("six seven nine")]
    pairs = [("a", "six seven nine ten"), ("a", "one two three four"), ("a", "six seven eight"), ("a", "!")]
    # Where none is closer than others, the likeliest is taken.
    chosen = ["six seven nine", "one two three", "six seven eight", "one two three"]
    assert taught({"a": beam}, pairs, close) == ([chosen], {})


def test_what_is_no_translation_is_left_out_and_counted():
    table = {
        "cut": [output("on and on", finished=False)],
        "empty": [output(" "), output("", finished=False)],
        "second": [output("on and on", finished=False), output("good")],
    }
    pairs = [(source, "t") for source in ("cut", "empty", "second", "overlong", "cut")]
    texts, left_out = taught(table, pairs)
    assert texts == [None, None, ["good"], None]
    assert left_out == {
        "the translation has no end": 2,
        "the translation is empty": 1,
        "the model cannot take the source": 1,
    }


def test_no_text_is_more_than_a_line():
    assert one_line(" a\r\nb\0c ") == "a  b c"
    assert one_line("a\u2028b") == "a\u2028b"


def test_what_was_killed_goes_on_where_it_was(
    reverse_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(distil, "KEPT_AT_ONCE", 64)
    whole, data = tmp_path / "whole", tmp_path / "data"
    distil_run(reverse_run, whole, GREEDY, overrides=FEW, execution=TORCH)
    real, parts = Teacher.taught, list[int]()

    def dying(self: Teacher, groups: Any, first: int, advance: Any) -> Any:
        parts.append(first)
        if len(parts) == 3:
            raise KeyboardInterrupt
        return real(self, groups, first, advance)

    monkeypatch.setattr(Teacher, "taught", dying)
    with pytest.raises(KeyboardInterrupt):
        distil_run(reverse_run, data, GREEDY, overrides=FEW, execution=TORCH)
    assert [path.name for path in data.iterdir()] == [UNFINISHED]
    with pytest.raises(CheckpointError, match="beginning of another distillation"):
        distil_run(reverse_run, data, execution=TORCH, overrides=FEW)
    said: list[str] = []
    distil_run(reverse_run, data, GREEDY, overrides=FEW, execution=TORCH, say=said.append)
    assert parts[2:4] == [129, 129]
    assert any(line.startswith("128 of ") for line in said)
    for path in whole.iterdir():
        assert path.read_text() == (data / path.name).read_text()


def test_a_damaged_part_is_named(reverse_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def dying(*_: object) -> Any:
        (part := tmp_path / UNFINISHED / "part-00000.json").write_text("{")
        raise KeyboardInterrupt(part)

    monkeypatch.setattr(Teacher, "taught", dying)
    with pytest.raises(KeyboardInterrupt):
        distil_run(reverse_run, tmp_path, GREEDY, overrides=FEW, execution=TORCH)
    with pytest.raises(CheckpointError, match=r"part-00000.json: is damaged .* it is made again"):
        distil_run(reverse_run, tmp_path, GREEDY, overrides=FEW, execution=TORCH)


def test_what_was_killed_while_files_were_written_goes_on(
    reverse_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def dying(folder: Path, files: dict[str, str], _record: object) -> None:
        (folder / STUDENT).write_text(files[STUDENT])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(distil, "write_distillation", dying)
        with pytest.raises(KeyboardInterrupt):
            distil_run(reverse_run, tmp_path, GREEDY, overrides=FEW, execution=TORCH)
    done = distil_run(reverse_run, tmp_path, GREEDY, overrides=FEW, execution=TORCH)
    assert done.pairs == len(lines(tmp_path / "train.target.txt"))


def test_another_distillation_is_replaced_only_if_asked(reverse_run: Path, tmp_path: Path):
    both = DistillationOptions(SearchChoice("greedy"), with_originals=True)
    distil_run(reverse_run, tmp_path, both, overrides=FEW, execution=TORCH)
    with pytest.raises(
        CheckpointError, match="a distillation lies here already; replace it with --overwrite"
    ):
        distil_run(reverse_run, tmp_path, GREEDY, overrides=FEW, execution=TORCH)
    mine = tmp_path / "notes.txt"
    mine.write_text("mine")
    distil_run(reverse_run, tmp_path, GREEDY, overrides=FEW, execution=TORCH, overwrite=True)
    assert mine.read_text() == "mine"
    assert not (tmp_path / "original.source.txt").exists()


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_of_other_things_is_never_written_into(reverse_run: Path, tmp_path: Path, overwrite: bool):
    (tmp_path / UNFINISHED).mkdir()
    (tmp_path / UNFINISHED / "thesis.txt").write_text("mine")
    with pytest.raises(CheckpointError, match="neither empty nor a distillation; choose another --to"):
        distil_run(reverse_run, tmp_path, overwrite=overwrite)
    with pytest.raises(CheckpointError, match="neither empty nor a distillation"):
        distil_run(reverse_run, reverse_run, overwrite=overwrite)
    assert [path.name for path in (tmp_path / UNFINISHED).iterdir()] == ["thesis.txt"]


def test_who_cannot_teach_is_told_so(reverse_run: Path, counting_run: Path, tmp_path: Path):
    with pytest.raises(CheckpointError, match=r"this run .*use `whyformer generate"):
        distil_run(counting_run, tmp_path)
    one = DistillationOptions(SearchChoice("greedy"), closest="bleu")
    with pytest.raises(DecodingError, match=r"--closest bleu chooses among .* add --beam 5"):
        distil_run(reverse_run, tmp_path, one)
    with pytest.raises(RecipeError, match="only its data can be changed"):
        distil_run(reverse_run, tmp_path, overrides=["training.steps=3"])
    assert [*tmp_path.iterdir()] == []


def test_a_teacher_without_data_says_how_to_name_some(
    reverse_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    opened = open_run(reverse_run)
    imported = opened._replace(recipe=opened.recipe.model_copy(update={"data": None}))
    monkeypatch.setattr(distil, "open_run", lambda _run: imported)
    with pytest.raises(DataError, match=r"no training data to translate.*data.train=FILE data.valid=FILE"):
        distil_run(reverse_run, tmp_path)


def test_an_imported_run_teaches_on_data_that_are_named(reverse_run: Path, tmp_path: Path):
    run = tmp_path / "imported"
    shutil.copytree(reverse_run, run)
    recipe = read_recipe(run)
    (run / "recipe.yaml").write_text(recipe_text(recipe.model_copy(update={"data": None})))
    with pytest.raises(DataError, match="no training data to translate"):
        distil_run(run, tmp_path / "data", execution=TORCH)
    (tmp_path / "more.tsv").write_text("".join(f"{n} 0 1\t1 0 {n}\n" for n in (0, 1, 2, 3, 4)))
    files = [f"data={{kind: files, train: {tmp_path}/more.tsv, valid: {tmp_path}/more.tsv}}"]
    done = distil_run(run, tmp_path / "data", GREEDY, overrides=files, execution=TORCH)
    student = translation(done.recipe)
    assert isinstance(student.data, FilesSpec)
    assert corpus_behind(student).valid[0] == Referenced("0 0 1", ["1 0 0"])
    assert done.pairs == 5


def test_files_that_are_gone_are_told_with_their_keys(reverse_run: Path, tmp_path: Path):
    gone = [f"data={{kind: files, train: {tmp_path}/gone.tsv}}"]
    with pytest.raises(DataError, match=r"data.train.path: .*gone.tsv: no such file"):
        distil_run(reverse_run, tmp_path / "data", overrides=gone)


def test_the_engine_is_native_where_that_can_compute(reverse_run: Path, monkeypatch: pytest.MonkeyPatch):
    from whyformer.engines.native import library

    if library.missing() is None:
        assert load_teacher(reverse_run, TeacherExecution("cpu"))[1] == "native"
    monkeypatch.setattr(library, "missing", lambda _path: "it was not compiled.")
    assert load_teacher(reverse_run, TeacherExecution("cpu"))[1] == "torch"
    with pytest.raises(DecodingError, match="it was not compiled"):
        load_teacher(reverse_run, TeacherExecution("cpu", engine="native"))
    with pytest.raises(CheckpointError, match="gone"):
        load_teacher(reverse_run, TeacherExecution("cpu"), reverse_run / "gone.safetensors")


def corpus_of(folder: Path, share: float | None) -> tuple[FilesSpec, Corpus]:
    """Pairs in files, with some held out: as a share of them, or in a file of their own."""
    pairs = [(f"a{number} b", f"B {number}") for number in range(40)]
    pairs += [("same", f"one of {number}") for number in range(3)]
    for side, name in enumerate(("s", "t")):
        (folder / name).write_text("".join(f"{pair[side]}\n" for pair in pairs))
    files = TextPairs(source=folder / "s", target=folder / "t")
    spec = FilesSpec(
        train=files,
        valid=files if share is None else share,
        test={"mine": files},
        cleaning=Cleaning(ratio=5.0, repeated=False, overlap="keep"),
    )
    return spec, pair_corpus(spec)


@pytest.mark.parametrize("share", [0.2, None])
def test_held_out_sets_stay_what_they_are(reverse_run: Path, tmp_path: Path, share: float | None):
    recipe = read_recipe(reverse_run)
    assert isinstance(recipe, TranslationRecipe)
    spec, corpus = corpus_of(tmp_path, share)
    recipe = recipe.model_copy(update={"data": spec, "start": tmp_path})
    pairs = [(source, target.lower()) for source, target in corpus.train]
    for name, text in student_files(reverse_run, recipe, corpus, pairs, with_originals=False).items():
        (tmp_path / name).write_text(text)
    student = load_any(str(tmp_path / STUDENT))
    assert isinstance(student.data, FilesSpec)
    assert student.start is None
    assert (student.data.cleaning, student.data.test) == (spec.cleaning, spec.test)
    ours = pair_corpus(student.data)
    assert ours.valid == corpus.valid
    assert ours.train == pairs
    assert (tmp_path / "valid.jsonl").exists() == (share is not None)


def test_a_written_corpus_becomes_files_that_no_rule_shortens(reverse_run: Path, tmp_path: Path):
    recipe = read_recipe(reverse_run)
    assert isinstance(recipe, TranslationRecipe)
    recipe = recipe.model_copy(update={"data": CldrSpec(source="en", target="de")})
    pairs = [("a", "b" * 2000), ("c", "d")]
    several = [Referenced("s", ["x", "y"]), Referenced("t", ["z"])]
    corpus = Corpus(pairs, several, {"test": several[1:]}, "")
    for name, text in student_files(reverse_run, recipe, corpus, pairs, with_originals=False).items():
        (tmp_path / name).write_text(text)
    ours = corpus_behind(translation(tmp_path / STUDENT))
    assert (ours.train, ours.valid, ours.test) == (pairs, several, {"test": several[1:]})


def test_two_tokenizers_of_a_run_and_one_table_are_refused(tmp_path: Path):
    from whyformer.data.tokenizers.kinds import Word
    from whyformer.data.tokenizers.pair import SeparateTokenizers, TokenizersOfRun

    SeparateTokenizers(source=Word(), target=Word()).train(["a b"], ["c d"]).save(tmp_path)
    recipe = translation("reverse").model_copy(update={"tokenizers": TokenizersOfRun(run=tmp_path)})
    with pytest.raises(RecipeError, match=r"tokenizer for each side; use model.embedding.tie=output"):
        TranslationTask().prepare(recipe, None)
