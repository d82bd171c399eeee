"""All questions, by number."""

from whyformer.errors import WhyformerError
from whyformer.why.question import Question
from whyformer.why.questions import q03_scale, q08_additive, q20_positions

QUESTIONS: dict[int, Question] = {
    module.QUESTION.number: module.QUESTION for module in (q03_scale, q08_additive, q20_positions)
}


def find(number: int) -> Question:
    """The question of this number.

    Raises:
        WhyformerError: there is none.
    """
    if number not in QUESTIONS:
        known = ", ".join(map(str, QUESTIONS))
        raise WhyformerError(f"there is no question {number}; there are: {known}.")
    return QUESTIONS[number]
