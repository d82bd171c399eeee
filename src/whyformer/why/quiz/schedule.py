"""Schedule of Leitner's boxes: a question that was known moves up a box and rests longer; a weak one returns.

Sebastian Leitner, So lernt man lernen, 1972.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Literal, get_args

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from whyformer.why.question import Rank
from whyformer.why.quiz.cards import Card

PAUSES = (0, 1, 3, 7, 21)
"""Days until a question of each box is due again, from the first box on."""
KNOWN, WEAK = 0.75, 0.5
"""Shares of the points: from the first on a question moves up a box, below the second it returns to box 1."""
LATEST = 20
"""Shares that are kept of each question."""
Grasp = Literal["weak", "learning", "known"]
_KNOWN_BOX = 4
_RANKS: tuple[Rank, ...] = get_args(Rank)
# From all days between them one can count on, in whichever zone.
_EARLIEST, _LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)


class Standing(BaseModel):
    """How well one question was answered so far."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    asked: int = Field(ge=1)
    """How often."""
    shares: tuple[Annotated[float, Field(ge=0, le=1)], ...] = Field(min_length=1, max_length=LATEST)
    """Shares of its points that the latest answers had, from 0 to 1, the last one last."""
    last: AwareDatetime = Field(ge=_EARLIEST, le=_LATEST)
    """Time of the last answer."""
    box: int = Field(ge=1, le=len(PAUSES))

    def days_left(self, now: datetime) -> int:
        """Days until it is asked again, 0 if it is due; a last answer in the future counts as one of now."""
        today, last = now.astimezone().date(), min(self.last, now).astimezone().date()
        return max(0, PAUSES[self.box - 1] - (today - last).days)

    @property
    def grasp(self) -> Grasp:
        """Box in a word."""
        if self.box == 1:
            return "weak"
        return "known" if self.box >= _KNOWN_BOX else "learning"


def after_answer(before: Standing | None, share: float, now: datetime) -> Standing:
    """The standing of a question once an answer had this ``share`` of its points.

    It moves up only if it was due: what was read a moment ago is no knowledge.
    """
    box = 1 if before is None else before.box
    if share >= KNOWN and (before is None or not before.days_left(now)):
        box = min(box + 1, len(PAUSES))
    elif share < WEAK:
        box = 1
    shares = () if before is None else before.shares
    asked = 0 if before is None else before.asked
    return Standing(asked=asked + 1, shares=(*shares, share)[-LATEST:], last=now, box=box)


def next_cards(
    cards: Iterable[Card], standings: Mapping[int, Standing], count: int, now: datetime
) -> list[Card]:
    """The next ``count`` questions.

    First come those that are due, the weakest first; then new ones, by rank; then those that would be due
    soonest.
    """

    def order(card: Card) -> tuple[float, ...]:
        standing = standings.get(card.number)
        if standing is None:
            return 1, _RANKS.index(card.rank), card.number
        weakness = standing.box, standing.shares[-1], standing.last.timestamp(), card.number
        days = standing.days_left(now)
        return (2, days, *weakness) if days else (0, *weakness)

    return sorted(cards, key=order)[:count]
