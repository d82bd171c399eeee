"""What holds for every question of the catalogue."""

import json
from collections import Counter
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import pytest

from whyformer.why import questions
from whyformer.why.catalogue import QUESTIONS
from whyformer.why.question import Question

ALL = pytest.mark.parametrize("question", QUESTIONS.values(), ids=lambda question: question.stem)
FILES = sorted(Path(questions.__file__).parent.glob("q*.py"))


def test_there_are_thirty():
    assert [*QUESTIONS] == [*range(1, 31)]
    assert [int(path.name[1:3]) for path in FILES] == [*QUESTIONS]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_question_is_read_in_one_go(path: Path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 150


@ALL
def test_a_question_can_fail(question: Question):
    controls = [claim for claim in question.claims if claim.control]
    assert controls
    assert len(controls) < len(question.claims)
    assert any(claim.tolerated is not None for claim in question.claims), "nothing could refute it"


@ALL
def test_names_are_its_own(question: Question):
    names = [*(claim.key for claim in question.claims), *question.numbers]
    assert [name for name, count in Counter(names).items() if count > 1] == []
    assert {*question.topic.related} <= {*QUESTIONS} - {question.number}
    assert question.figures[0].mark is not None, "the first figure is the decisive one"


@ALL
def test_a_fresh_process_can_be_told_of_it(question: Question):
    assert ForkingPickler.dumps(question.experiment)


@ALL
def test_settings_can_be_written_down(question: Question):
    assert json.loads(json.dumps(question.experiment.settings())) == question.experiment.settings()


@ALL
def test_texts_are_in_both_languages(question: Question):
    texts = [question.title, *(claim.text for claim in question.claims)]
    texts += [figure.title for figure in question.figures]
    assert all(text.en.strip() and text.zh.strip() for text in texts)
    assert not [text.en for text in texts if any("\u4e00" <= letter <= "\u9fff" for letter in text.en)]
