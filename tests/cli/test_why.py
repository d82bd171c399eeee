"""``whyformer why``: the list, one answer, all of them, and how they are found again."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import Result

from why.conftest import CHINESE, ENGLISH, markdown
from why.toy import FAILS, QUESTION, claim
from whyformer.errors import TrainingError
from whyformer.why import catalogue, measuring, published
from whyformer.why.book import prose
from whyformer.why.question import Question
from whyformer.why.results import Provenance, SeedResult, measure_seed

Program = Callable[..., Result]


@pytest.fixture(autouse=True)
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The seeds that were measured; two toy questions, and nothing published."""
    calls: list[int] = []
    folder = tmp_path / "prose"
    folder.mkdir()
    for stem in ("q98", "q99"):
        (folder / f"{stem}.en.md").write_text(markdown(ENGLISH), encoding="utf-8")
        (folder / f"{stem}.zh.md").write_text(markdown(CHINESE), encoding="utf-8")
    monkeypatch.setattr(prose, "FOLDER", folder)
    other = replace(
        QUESTION,
        number=98,
        title=QUESTION.title._replace(en="Which masks?", zh="哪些掩码？"),
        topic=QUESTION.topic._replace(rank="senior", words="点积 dot product"),
    )
    monkeypatch.setattr(catalogue, "QUESTIONS", {98: other, 99: QUESTION})
    monkeypatch.setattr(published, "published_folder", lambda: tmp_path / "published")
    plans: list[tuple[object, ...]] = []

    def start(unit: measuring._Unit) -> tuple[object, object]:
        """As a process of its own would, but in this one."""
        results = unit.plan.results
        receiving, sending = measuring.Pipe(duplex=False)
        try:
            calls.append(unit.seed)
            path = results.path(unit.seed)
            sending.send(measure_seed(results.question.experiment, results.provenance, unit.seed, path))
        except TrainingError as error:
            sending.send(str(error))
        plans.append((sending,))
        return receiving, _NoProcess()

    monkeypatch.setattr(measuring, "_start", start)
    return calls


class _NoProcess:
    exitcode = 0

    def join(self) -> None: ...

    def terminate(self) -> None: ...


@pytest.fixture
def why(whyformer: Program, tmp_path: Path) -> Program:
    return lambda *arguments: whyformer("why", *arguments, "--out", tmp_path / "out")


def put_in(question: Question, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(catalogue.QUESTIONS, question.number, question)


def test_the_list_is_by_rank_and_says_what_is_known(why: Program):
    assert why().stdout.splitlines() == ["Junior", " ·  99  Why?", "Senior", " ·  98  Which masks?"]
    why(99)
    told = why("--lang", "zh")
    assert told.stdout.splitlines() == [
        "初级",
        " ✓  99  为何？",
        "        结果是 3.0。",
        "高级",
        " ·  98  哪些掩码？",
    ]
    record = json.loads(why("--json").stdout)
    assert [each["verdict"] for each in record] == [None, "supported"]
    assert [each["source"] for each in record] == [None, "own"]


def test_an_answer_is_told_saved_and_read_back_in_another_language(
    why: Program, measured: list[int], tmp_path: Path
):
    first = why(99)
    assert "Verdict: supported by the experiment ✓ (3 seeds; 1 of 1 claims hold)" in first.stdout
    assert "Measured on " in first.stdout
    assert "3 of 3 seeds measured" in first.stderr
    assert measured == [1, 2, 3]
    second = why(99, "--lang", "zh")
    assert "结论：实验支持 ✓（3 个种子；1 条命题中 1 条成立）" in second.stdout
    assert measured == [1, 2, 3]
    assert {path.suffix for path in (tmp_path / "out").iterdir() if path.is_file()} == {
        ".json",
        ".html",
        ".png",
    }
    record = json.loads(why(99, "--json", "--seeds", 4).stdout)
    assert (record["seeds"], record["origin"]["date"][:2]) == ([1, 2, 3, 4], "20")
    assert measured == [1, 2, 3, 4]
    why(99, "--again")
    assert measured == [1, 2, 3, 4, 1, 2, 3]


def test_another_budget_lies_by_itself(why: Program, measured: list[int], tmp_path: Path):
    why(99)
    why(99, "--budget", 0.5)
    assert measured == [1, 2, 3, 1, 2, 3]
    assert (tmp_path / "out" / "budget-0.5" / "q99" / "seed-1.json").exists()
    why(99)
    assert measured == [1, 2, 3, 1, 2, 3]
    assert "·  98" in why("--budget", 0.5).stdout


def test_all_go_on_where_one_fails(why: Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    class Slow(type(QUESTION.experiment)):
        def measure(self, seed: int):
            raise TrainingError("the machine is too slow.")

    put_in(replace(catalogue.QUESTIONS[98], experiment=Slow()), monkeypatch)
    told = why("--all")
    assert told.exit_code == 1
    assert "error: Q98: seed 1: the machine is too slow." in told.stderr
    assert " ✓  99  Why?" in told.stdout
    assert (tmp_path / "out" / "q99.json").exists()
    # What cannot be told is a failure of that question too.
    (prose.FOLDER / "q99.en.md").unlink()
    told = why("--all", "--json")
    assert told.exit_code == 1
    assert "error: Q99: " in told.stderr
    alone = why(98)
    assert (alone.exit_code, alone.stderr.splitlines()[-1]) == (
        2,
        "error: Q98: seed 1: the machine is too slow.",
    )


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("mask", "98"),
        ("掩码", "98"),
        ("掩膜", "98"),
        ("MASKS which", "98"),
        ("点乘", "98"),
        ("点积", "98"),
        ("Dot-Product", "98"),
        ("dot product", "98"),
        ("why", "99"),
        ("玩具 toy", "99"),
        ("perhaps", "98 99"),
        ("nothing", ""),
    ],
)
def test_it_is_found_by_words(why: Program, query: str, expected: str):
    told = why("--search", query, "--json").stdout
    assert sorted(str(each["number"]) for each in json.loads(told)) == expected.split()


def test_where_nothing_is_found_the_nearest_is_offered(why: Program):
    assert why("--search", "produkt").stdout.splitlines() == [
        "No question has all of these words: produkt.",
        "Perhaps: product",
    ]


def test_published_results_are_told_where_there_are_no_own(
    why: Program, tmp_path: Path, measured: list[int], monkeypatch: pytest.MonkeyPatch
):
    provenance = Provenance.here(QUESTION).model_copy(update={"experiment": "of another code"})
    for seed in (1, 2, 3):
        numbers = QUESTION.experiment.run(seed)
        result = SeedResult.of(numbers, provenance, seed, 1.0).model_copy(update={"code": "abc"})
        path = tmp_path / "published" / "q99" / f"seed-{seed}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(result.model_dump_json(), encoding="utf-8")
    assert [each["source"] for each in json.loads(why("--json").stdout)] == [None, "published"]
    assert measured == []
    # Nor do they stand in for another budget.
    assert [each["source"] for each in json.loads(why("--json", "--budget", 2).stdout)] == [None, None]
    put_in(replace(QUESTION, claims=(claim(FAILS, tolerated=FAILS),)), monkeypatch)
    assert " ✗  99  Why?\n" in why().stdout
    assert "It is" not in why().stdout  # the headline was written for another verdict
    found = published.published(QUESTION)
    assert found is not None
    assert found.origin is not None
    assert found.origin.commit == "abc"


@pytest.mark.parametrize(
    "arguments", [(99, "--all"), (99, "--search", "x"), (99, "--site", "x"), ("--search", "x", "--all")]
)
def test_what_does_not_go_together_is_refused(why: Program, arguments: tuple[object, ...]):
    told = why(*arguments)
    assert told.exit_code == 2
    assert "leave" in told.stderr


def test_a_book_of_nothing_is_refused(why: Program, tmp_path: Path):
    told = why("--site", tmp_path / "book")
    assert told.exit_code == 2
    assert "measure some first, as by `whyformer why --all`" in told.stderr


def test_an_unknown_question_is_a_sentence(why: Program):
    told = why(77)
    assert told.exit_code == 2
    assert "there is no question 77; there are: 98, 99." in told.stderr
