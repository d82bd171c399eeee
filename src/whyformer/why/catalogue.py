"""All questions, by number: whatever stands in ``questions/``."""

from importlib import import_module
from pkgutil import iter_modules

from whyformer.errors import WhyformerError
from whyformer.why import questions
from whyformer.why.question import Question

_FILES = sorted(module.name for module in iter_modules(questions.__path__))
_ALL: list[Question] = [import_module(f"{questions.__name__}.{name}").QUESTION for name in _FILES]
QUESTIONS: dict[int, Question] = {question.number: question for question in _ALL}


def find(number: int) -> Question:
    """The question of this number.

    Raises:
        WhyformerError: there is none.
    """
    if number not in QUESTIONS:
        known = ", ".join(map(str, QUESTIONS))
        raise WhyformerError(f"there is no question {number}; there are: {known}.")
    return QUESTIONS[number]
