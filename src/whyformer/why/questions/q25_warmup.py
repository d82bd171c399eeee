"""Q25, warm-up (学习率预热): what it saves, in which model, and whether Adam's second moment is the cause."""

import torch
from typing_extensions import override

from whyformer.nn.residual.placement import PlacementSpec, PostNormSpec, PreNormSpec
from whyformer.training.optimization.schedule import LinearDecay
from whyformer.why.arms import POST_NORM, PRE_NORM
from whyformer.why.lab.depth import DepthLog, DepthTraining, deep_reader, depth_cost, letter_entropy
from whyformer.why.lab.training import TRAINING_COST
from whyformer.why.question import Bounds, Claim, Experiment, Figure, Measurements, Question, Text, Topic

PLACES: dict[Text, PlacementSpec] = {POST_NORM: PostNormSpec(), PRE_NORM: PreNormSpec()}
MOMENTS = Text("post-LN, moments estimated first", "Post-LN，先估计二阶矩")
FREQUENCIES = Text("letter frequencies alone", "只用字符频率")
WARMUP, NATS = Text("steps of warm-up", "预热步数"), Text("nats a character", "奈特/字符")
RATES = (2.5e-3, 3.5e-3, 5e-3)
TITLES = {rate: Text(f"Loss at the end, rate {rate:g}", f"结束时的损失，学习率 {rate:g}") for rate in RATES}
LOSS = {rate: Figure(TITLES[rate], WARMUP, NATS, "line", reference=FREQUENCIES) for rate in RATES}
STEP, SIZE = Text("step", "步"), Text("update / weights", "更新量 / 权重")
UPDATE = Figure(Text("Post-LN, rate 0.005: updates", "Post-LN，学习率 0.005：更新"), STEP, SIZE, "line", "y")
NONE, WARM = Text("no warm-up", "不预热"), Text("warm-up", "预热")


class Warmup(Experiment):
    """Both places of the norm at three peak rates, with and without warm-up, then linear decay as in BERT."""

    places: dict[Text, PlacementSpec] = PLACES
    """The placement of each arm."""
    rates: tuple[float, ...] = RATES
    """Peak rates."""
    warmups: tuple[int, ...] = (0, 80)
    """Steps of warm-up."""
    training: DepthTraining = DepthTraining(steps=160)
    """Training of each model of six layers."""

    @override
    def measure(self, seed: int) -> Measurements:
        measured = Measurements()
        for arm, place in self.places.items():
            measured.update(depth_cost(arm, place, 6, self.training.steps))
        for rate in self.rates:
            for arm, place in self.places.items():
                for warmup in self.warmups:
                    log = self._train(place, rate, warmup, seed)
                    measured[LOSS[rate], arm, warmup] = log.final
                    if arm == POST_NORM and rate == 5e-3 and warmup in (0, self.warmups[-1]):
                        name = WARM if warmup else NONE
                        measured.update({(UPDATE, name, step): size for step, size in log.updates.items()})
            measured.update({(LOSS[rate], FREQUENCIES, steps): letter_entropy() for steps in self.warmups})
            looked = self._train(self.places[POST_NORM], rate, 0, seed, idle=50)
            measured[LOSS[rate], MOMENTS, 0] = looked.final
        return measured

    def _train(self, place: PlacementSpec, rate: float, warmup: int, seed: int, idle: int = 0) -> DepthLog:
        """Train a model; before that, ``idle`` steps at rate 0 in which Adam only looks."""
        torch.manual_seed(seed)
        schedule, steps = LinearDecay(peak=rate, warmup=warmup), self.training.steps
        training = self.training.model_copy(update={"steps": steps + idle})

        def rate_of(step: int) -> float:
            return schedule.rate(step - idle, steps) if step > idle else 0.0

        return training.run(deep_reader(place, layers=6), rate_of, seed)


def best_warm(seen: Measurements, arm: Text) -> tuple[float, float]:
    """The lowest loss of an arm with warm-up, and its rate."""
    return min((loss, rate) for rate in RATES for steps, loss in seen.line(LOSS[rate], arm).items() if steps)


def need(seen: Measurements, arm: Text) -> float:
    """Nats that an arm loses without warm-up at the rate that is best with it."""
    loss, rate = best_warm(seen, arm)
    return seen[LOSS[rate], arm, 0] - loss


def recovered(seen: Measurements) -> float:
    """Nats of that loss that vanish where Adam knows its second moments from the start."""
    _, rate = best_warm(seen, POST_NORM)
    return seen[LOSS[rate], POST_NORM, 0] - seen[LOSS[rate], MOMENTS, 0]


def best_of_rates(seen: Measurements, arm: Text) -> float:
    """Nats that warm-up gains where both are shown at their best rates."""
    return min(seen[LOSS[rate], arm, 0] for rate in RATES) - best_warm(seen, arm)[0]


CLAIMS = (
    Claim(
        "post",
        Text(
            "post-LN: loss without warm-up − with, same rate (nats)",
            "Post-LN：不预热 − 预热的损失，同一学习率（奈特）",
        ),
        lambda seen: need(seen, POST_NORM),
        Bounds(low=0.3),
        Bounds(low=0.05),
    ),
    Claim(
        "moments",
        Text("nats of it that moments estimated first recover", "其中先估计二阶矩能挽回的奈特数"),
        recovered,
        # A half and a fifth of the 0.3 nats above; a share of what was lost explodes where that is little.
        Bounds(low=0.15),
        Bounds(low=0.06),
    ),
    Claim(
        "tuned",
        Text("post-LN: the same, each at its best rate", "Post-LN：各取最好的学习率时之差"),
        lambda seen: best_of_rates(seen, POST_NORM),
        Bounds(low=0.05),
    ),
    Claim(
        "pre",
        Text(
            "pre-LN: loss without warm-up − with, same rate (nats)",
            "Pre-LN：不预热 − 预热的损失，同一学习率（奈特）",
        ),
        lambda seen: need(seen, PRE_NORM),
        Bounds(high=0.1),
        control=True,
    ),
)

QUESTION = Question(
    number=25,
    title=Text("Why does BERT warm up the learning rate?", "BERT 为什么要用学习率 warm-up？"),
    topic=Topic("senior", "training", (12, 11), "warmup warm-up learning rate Adam 预热 学习率 调度"),
    claims=CLAIMS,
    figures=(LOSS[5e-3], LOSS[3.5e-3], LOSS[2.5e-3], UPDATE, TRAINING_COST),
    experiment=Warmup(),
    numbers={
        "first_cold": lambda seen: 100 * seen[UPDATE, NONE, 1],
        "first_warm": lambda seen: 100 * seen[UPDATE, WARM, 1],
        "warm_loss": lambda seen: best_warm(seen, POST_NORM)[0],
        "cold_loss": lambda seen: need(seen, POST_NORM) + best_warm(seen, POST_NORM)[0],
        "worse": lambda seen: -recovered(seen),
        "frequencies": lambda seen: seen[LOSS[5e-3], FREQUENCIES, 0],
    },
    seeds=range(6, 16),
)
