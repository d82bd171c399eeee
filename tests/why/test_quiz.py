"""The quiz: what it asks next, what it proposes, what it prints, and how a session goes."""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from why.quiz_answers import TUNED_BY, UNSEEN, Answer
from whyformer.errors import WhyformerError
from whyformer.language import LANGUAGES, Language, display_width
from whyformer.why.catalogue import QUESTIONS
from whyformer.why.published import published, published_folder
from whyformer.why.quiz.cards import SUMMARY, Card, read_cards, summary_text
from whyformer.why.quiz.guess import guess_points
from whyformer.why.quiz.layout import ScreenRow, used_width
from whyformer.why.quiz.record import RecordKeeper
from whyformer.why.quiz.schedule import PAUSES, Standing, after_answer, next_cards
from whyformer.why.quiz.score import score_rows
from whyformer.why.quiz.session import QuizSession, parse_choice
from whyformer.why.quiz.show import answer_rows, question_rows

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
CARDS = {card.number: card for card in read_cards()}
languages = pytest.mark.parametrize("lang", LANGUAGES)


# The summary.


def test_the_summary_says_what_is_published():
    found = filter(None, map(published, QUESTIONS.values()))
    now, kept = json.loads(summary_text(found)), json.loads((published_folder() / SUMMARY).read_text("utf-8"))
    assert [each["number"] for each in kept] == [*QUESTIONS]
    for fresh, old in zip(now, kept, strict=True):
        assert fresh.pop("values") == pytest.approx(old.pop("values"), rel=1e-5, abs=1e-9)
        for new_claim, old_claim in zip(fresh["claims"], old["claims"], strict=True):
            for name in ("mean", "low", "high"):
                assert new_claim.pop(name) == pytest.approx(old_claim.pop(name), rel=1e-5, abs=1e-9)
        assert fresh == old, "write it anew: .venv/bin/python docs/why/publish.py --summary"


@pytest.mark.parametrize("content", [None, b"", b"[{}]", b"\xff", b"{"])
def test_a_summary_that_cannot_be_read_is_a_sentence(content: bytes | None, tmp_path: Path):
    if content is not None:
        (tmp_path / "a").write_bytes(content)
    with pytest.raises(WhyformerError, match=r"a: missing or damaged; install Whyformer again\."):
        read_cards(tmp_path / "a")


@languages
def test_each_question_has_what_is_shown(lang: Language):
    for card in CARDS.values():
        assert all(card.model_answer(lang))
        assert 2 <= len(card.points(lang)) <= 9
        follow_ups = [card.follow_up(lang, turn) for turn in range(4)]
        assert follow_ups[0] == follow_ups[3]
        assert len({question for question, _ in follow_ups}) == 3
        assert all(question[-1] in "?？" and answer for question, answer in follow_ups)
        told = " ".join((*card.model_answer(lang), *card.points(lang), *card.context(lang)))
        assert not any(sign in told for sign in ("{{", "[^", "**", "nan"))


# Which question comes next.


def standing(box: int = 1, share: float = 0.5, days: float = 0, asked: int = 1) -> Standing:
    return Standing(asked=asked, shares=(share,), last=NOW - timedelta(days=days), box=box)


shares = st.floats(0, 1)


@given(st.integers(1, len(PAUSES)), shares, shares, st.floats(0, 40))
def test_more_points_never_lead_to_a_lower_box(box: int, one: float, other: float, days: float):
    before = standing(box, days=days)
    low, high = (after_answer(before, share, NOW).box for share in sorted((one, other)))
    assert 1 <= low <= high <= min(box + 1, len(PAUSES))


@given(st.lists(shares, min_size=1, max_size=60))
def test_all_answers_are_counted_and_the_latest_kept(answers: list[float]):
    now: Standing | None = None
    for share in answers:
        now = after_answer(now, share, NOW)
    assert now is not None
    assert now.asked == len(answers)
    assert now.shares == tuple(answers[-20:])


def test_a_known_question_rests_longer_each_time_and_a_weak_one_returns_at_once():
    now, at, rests = None, NOW, list[int]()
    for _ in range(6):
        now = after_answer(now, 1.0, at)
        rests.append(now.days_left(at))
        at += timedelta(days=rests[-1])
    assert rests == [1, 3, 7, 21, 21, 21]
    assert after_answer(now, 0.4, at).days_left(at) == 0
    assert after_answer(now, 0.6, at).box == 5  # neither known nor weak: it stays


def test_an_answer_that_was_just_read_moves_no_question_up():
    assert after_answer(standing(2, days=0), 1.0, NOW).box == 2
    assert after_answer(standing(2, days=1), 1.0, NOW).box == 3


def test_a_clock_that_was_wrong_delays_nothing():
    assert standing(2, days=-500).days_left(NOW) == 1
    for year in (1900, 8999):
        odd = Standing(asked=1, shares=(0.5,), last=datetime(year, 6, 1, tzinfo=UTC), box=5)
        assert 0 <= odd.days_left(NOW) <= 21


def chosen(standings: dict[int, Standing], count: int = 30, cards: Iterable[Card] = CARDS.values()):
    return [card.number for card in next_cards(cards, standings, count, NOW)]


def test_new_questions_come_by_rank():
    ranks = [CARDS[number].rank for number in chosen({})]
    assert ranks == sorted(ranks, key=["junior", "middle", "senior"].index)
    assert chosen({}, 3) == [1, 2, 3]


def test_due_ones_come_first_the_weakest_before_all_and_resting_ones_last():
    standings = {
        1: standing(2, 0.8, days=1),
        2: standing(1, 0.25),
        3: standing(1, 0.0),
        4: standing(3, 0.8, days=0),
        5: standing(2, 0.8, days=0),
        6: standing(4, 1.0, days=30),
    }
    order = chosen(standings)
    assert order[:5] == [3, 2, 1, 6, 8]
    assert order[-2:] == [5, 4]
    assert sorted(order) == [*CARDS]


@given(
    st.dictionaries(st.sampled_from([*CARDS]), st.builds(standing, st.integers(1, 5), shares)),
    st.integers(1, 40),
)
def test_each_question_comes_once(standings: dict[int, Standing], count: int):
    order = chosen(standings, count)
    assert len(order) == len({*order}) == min(count, len(CARDS))


# What is proposed.


@pytest.mark.parametrize("answer", ["", " \n\t", "。，", "?", "\udcff", "0"])
@languages
def test_nothing_is_proposed_where_nothing_is_said(answer: str, lang: Language):
    assert [card.number for card in CARDS.values() if guess_points(answer, card, lang)] == []


@languages
@pytest.mark.parametrize(("answers", "found", "misled"), [(TUNED_BY, 0.7, 0.05), (UNSEEN, 0.65, 0.3)])
def test_of_answers_as_people_give_them_most_points_are_found_and_few_others(
    answers: list[Answer], found: float, misled: float, lang: Language
):
    right = wrong = total = 0
    for _, number, answer, had in (each for each in answers if each[0] == lang):
        proposed = {*guess_points(answer, CARDS[number], lang)}
        right, wrong, total = right + len(proposed & had), wrong + len(proposed - had), total + len(had)
    assert right >= found * total
    assert wrong <= misled * (right + wrong)


@pytest.mark.parametrize(
    ("lang", "number", "answer", "points"),
    [
        ("en", 1, TUNED_BY[0][2], [0, 1]),
        ("en", 14, "K and V of the memory are CACHED, as they are computed once.", [2]),
        ("en", 29, "two thirds of all parameters", [2]),
        ("zh", 29, "占一层参数的三分之二", [2]),
        ("zh", 10, "因果 mask 也提供顺序信息", [1]),
        ("en", 10, "因果掩码", []),
        ("en", 7, "I do not know.", []),
        ("zh", 7, "我不知道。", []),
    ],
)
def test_what_is_proposed(lang: Language, number: int, answer: str, points: list[int]):
    assert guess_points(answer, CARDS[number], lang) == points


@languages
def test_a_model_answer_has_more_points_of_its_question_than_that_of_another(lang: Language):
    own = sum(len(guess_points(" ".join(card.model_answer(lang)), card, lang)) for card in CARDS.values())
    other = sum(
        len(guess_points(" ".join(CARDS[number % 30 + 1].model_answer(lang)), card, lang))
        for number, card in CARDS.items()
    )
    assert own > 5 * other > 0


@given(st.text(max_size=300))
def test_no_answer_is_too_odd_to_be_compared(answer: str):
    for lang in LANGUAGES:
        assert {*guess_points(answer, CARDS[3], lang)} <= {*range(4)}


# What the user ticks.


@pytest.mark.parametrize(
    ("line", "had"),
    [
        ("1 3", {0, 2}),
        ("1,3", {0, 2}),
        ("１、３", {0, 2}),
        ("3;1 3,", {0, 2}),
        ("2-4", {1, 2, 3}),
        ("all", {0, 1, 2, 3}),
        (" ALL. ", {0, 1, 2, 3}),
        ("全部。", {0, 1, 2, 3}),
        ("none", set()),
        ("没有", set()),
        ("0", set()),
    ],
)
def test_a_choice_is_understood(line: str, had: set[int]):
    assert parse_choice(line, 4) == had


@pytest.mark.parametrize(
    "line",
    ["5", "1 5", "-1", "1-", "4-2", "1.5", "one", "all 1", "1 none", "13", "0 1", "١", ",", "1\0"],
)
def test_what_is_no_choice_is_none(line: str):
    assert parse_choice(line, 4) is None


# What is printed.


def printed(rows: Iterable[ScreenRow]) -> list[str]:
    return ["".join(part.text for part in row) for row in rows]


@pytest.mark.parametrize("width", [40, 61, 80, 99, 100, 111, 120])
@languages
def test_every_line_fits(width: int, lang: Language):
    for card in CARDS.values():
        lines = printed(question_rows(card, standing(), (1, 10), lang, width))
        lines += printed(answer_rows(card, [0], lang, width))
        assert [line for line in lines if display_width(line) > width] == []


@pytest.mark.parametrize("width", [100, 120])
@languages
def test_points_stand_beside_the_answer_where_there_is_room(width: int, lang: Language):
    for card in CARDS.values():
        rows = [*answer_rows(card, [1], lang, width)]
        places = {display_width(row[0].text + row[1].text) for row in rows if len(row) == 3}
        assert len(places) == 1
        right = "\n".join(row[2].text for row in rows if len(row) == 3)
        assert [mark in right for mark in ("[ ] 1", "[x] 2", "[ ] 3", "[x] 3")] == [True, True, True, False]
        below = printed(answer_rows(card, [1], lang, width - 40))
        heads = [
            below.index(name)
            for name in (
                ["Model answer", "Evidence", "Key points"]
                if lang == "en"
                else ["参考答案", "实测证据", "要点"]
            )
        ]
        assert heads == sorted(heads)


@pytest.mark.parametrize("width", [24, 40, 60, 80, 120])
@languages
def test_the_score_is_a_table_at_any_width(width: int, lang: Language):
    standings = {number: standing(number % 5 + 1, 0.5, days=number, asked=number) for number in range(1, 16)}
    rows = printed(score_rows([*CARDS.values()], standings, NOW, lang, width))
    assert max(map(display_width, rows)) <= max(width, 26)
    table = [row for row in rows if row.startswith("  Q")]
    assert len(table) == 15
    if width >= 40:
        assert len({*map(display_width, table)}) == 1
    names = {"en": ["Weak", "On the way", "Known"], "zh": ["薄弱", "学习中", "已掌握"]}[lang]
    assert [row for row in rows if row in names] == names


@pytest.mark.parametrize(("columns", "used"), [(10, 24), (80, 80), (300, 120)])
def test_a_line_is_neither_endless_nor_nothing(columns: int, used: int):
    assert used_width(columns) == used


# A session.


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "kept"


class Desk:
    """A user whose lines are known; what they see is kept."""

    width = 80

    def __init__(self, *lines: str | None, interrupted: bool = False) -> None:
        self._lines = [*lines]
        self._interrupted = interrupted
        self.shown: list[str] = []

    def show(self, shown: Iterable[ScreenRow]) -> None:
        self.shown += printed(shown)

    def ask(self) -> str | None:
        if not self._lines and self._interrupted:
            raise KeyboardInterrupt
        return self._lines.pop(0) if self._lines else None

    @property
    def text(self) -> str:
        return "\n".join(self.shown)


def play(folder: Path, desk: Desk, count: int = 10, numbers: Sequence[int] = (1, 2, 3)) -> RecordKeeper:
    keeper = RecordKeeper(folder).read(to_write=True)
    QuizSession([CARDS[number] for number in numbers], keeper, desk, "en").play(count)
    return keeper


def test_weak_questions_come_again_in_the_next_session(folder: Path):
    play(folder, Desk("", "all", "", "1", "", "none"))
    desk = Desk("", "none", "", "none", "", "none")
    play(folder, desk)
    asked = [line[:3] for line in desk.shown if line.startswith("Q0")]
    assert asked == ["Q03", "Q02", "Q01"]


def test_what_is_guessed_is_taken_where_the_user_only_agrees(folder: Path):
    desk = Desk(TUNED_BY[0][2], "", "")
    assert play(folder, desk, 1).standings[1].shares == (0.5,)
    assert "Enter means 1 2." in " ".join(desk.shown)
    assert "[x] 2  Same parameters" in desk.text


def test_what_is_no_choice_is_asked_again(folder: Path):
    desk = Desk("x", "", "9", "two", "\x1b[2J", "2")
    assert play(folder, desk, 1).standings[1].shares == (0.25,)
    assert desk.text.count("is no choice here; type numbers from 1 to 4") == 3
    assert "\x1b" not in desk.text


@pytest.mark.parametrize("lines", [(), ("an answer",), ("an answer", ""), ("an answer", "", "9")])
@pytest.mark.parametrize("interrupted", [False, True])
def test_a_session_may_end_anywhere_and_keeps_what_was_scored(
    lines: tuple[str, ...], interrupted: bool, folder: Path
):
    desk = Desk("one", "", "1 2", *lines, interrupted=interrupted)
    try:
        play(folder, desk)
    except KeyboardInterrupt:
        assert interrupted
    assert [*RecordKeeper(folder).read(to_write=True).standings] == [1]
    assert desk.shown[-6:] == [
        "This session: 2 of 4 points (50%), questions: 1.",
        "Weakest:",
        "  Q01  2 of 4  Why several heads?",
        "`whyformer why 1` answers question 1 by its experiment.",
        "Asked again: 1 in the next session.",
        "`whyformer quiz --score` shows the whole record.",
    ]


def test_the_summary_has_the_three_weakest_and_when_to_come_back(folder: Path):
    desk = Desk(*("", "1", "", "none", "", "1 2 3", "", "all", "", "1 2"))
    play(folder, desk, numbers=(1, 2, 3, 4, 5))
    end = desk.shown[desk.shown.index("Weakest:") - 1 :]
    assert [line.split()[0] for line in end[2:5]] == ["Q02", "Q01", "Q05"]
    assert end[5:] == [
        "`whyformer why 2` answers question 2 by its experiment.",
        "Asked again: 3 in the next session, 2 tomorrow.",
        "`whyformer quiz --score` shows the whole record.",
    ]


def test_where_nothing_was_missed_or_nothing_asked_it_is_said(folder: Path):
    desk = Desk("", "all")
    play(folder, desk, 1)
    assert "No point was missed." in desk.shown
    desk = Desk()
    play(folder, desk, 1)
    assert desk.shown[-1] == "No question was scored; the record is as it was."


def test_endless_input_comes_to_an_end(folder: Path):
    desk = Desk(*["y"] * 10_000)
    play(folder, desk)
    assert "An answer has 200 lines at most; yours ends here." in desk.shown
    assert "There was no choice in 20 lines, so the session ends here." in desk.shown


def test_each_time_another_question_may_follow(folder: Path):
    told = list[str]()
    for _ in range(3):
        desk = Desk("", "all")
        play(folder, desk, 1, numbers=(1,))
        told.append(next(line for line in desk.shown if line.startswith("What may be asked next: ")))
    assert len({*told}) == 3
