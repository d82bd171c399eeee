"""A question that is answered at once, for tests."""

from typing_extensions import override

from whyformer.why.question import (
    Bounds,
    Claim,
    Experiment,
    Figure,
    Level,
    Measurements,
    Question,
    Text,
    Topic,
)

SIZE, ARM, OTHER = Text("size", "大小"), Text("arm", "甲组"), Text("other", "乙组")
LINE = Figure(
    Text("line", "线"),
    SIZE,
    Text("%", "%"),
    "line",
    "xy",
    reference=OTHER,
    levels=(Level(2.0, Text("two", "二")),),
)
HEAT = Figure(Text("heat", "热图"), SIZE, Text("%", "%"), "heat")


class Toy(Experiment):
    """The seed comes back."""

    step: float = 1.0

    @staticmethod
    def measured(seed: int) -> Measurements:
        measured = Measurements({(LINE, arm, at): float(at + seed) for arm in (ARM, OTHER) for at in (1, 2)})
        measured[HEAT, ARM, Text("here", "此处")] = 40.0 + seed
        return measured

    @override
    def measure(self, seed: int) -> Measurements:
        return self.measured(seed)


def claim(
    expected: Bounds, tolerated: Bounds | None = None, *, control: bool = False, at: float = 1
) -> Claim:
    return Claim(
        "it", Text("it", "它"), lambda measured: measured[LINE, ARM, at], expected, tolerated, control
    )


HOLDS, FAILS, OPEN = Bounds(low=0.0), Bounds(low=9.0), Bounds(low=3.0)
QUESTION = Question(
    99,
    Text("Why?", "为何？"),
    Topic("junior", "attention", words="toy 玩具"),
    (claim(HOLDS),),
    (LINE, HEAT),
    Toy(),
    numbers={"heat": lambda measured: measured[HEAT, ARM, Text("here", "此处")]},
    seeds=range(1, 4),
)
