"""Q30, why decoding is slow, what a cache saves, what a mistake costs (自回归解码：缓存与误差累积)."""

import torch
from torch import Generator
from typing_extensions import override

from whyformer.decoding.beam import BeamSpec
from whyformer.decoding.greedy import GreedySpec
from whyformer.decoding.search import search
from whyformer.special_tokens import EOS
from whyformer.why.lab.sequences import translation as toy
from whyformer.why.lab.training import RIGHT, TRAINING_COST, ToyTraining, training_cost
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

# What the decoder of a toy reads of its target.
TOYS = {
    toy.running_sum: (
        Text("sum, true prefix", "累加，真实前缀"),
        Text("sum, own prefix", "累加，自己的输出"),
    ),
    toy.backwards: (Text("reversal, true", "逆序，真实前缀"), Text("reversal, own", "逆序，自己的输出")),
}

# The arms of the search, and what is compared.
PLAIN, PENALTY = Text("no length penalty", "无长度惩罚"), Text("length penalty 0.6", "长度惩罚 0.6")
LOGITS = Text("logits, cached - whole", "logits：缓存 - 整体")
BATCHES = Text("outputs changed by the batch", "因批大小而改变的输出")

# What is measured.
LONGEST = 10
TIME = Figure(Text("Time of the step that writes token n", "写出第 n 个词元的时间"), Text("n", "n"),
    Text("ms", "毫秒"), "line", "xy")  # fmt: skip
DRIFT = Figure(Text("Right at each place of the target", "目标各位置的正确率"), Text("place", "位置"),
    RIGHT, "line", levels=(Level(10.0, Text("chance", "随机水平")),))  # fmt: skip
BEAMS = Figure(Text("Dates translated exactly", "日期翻译完全正确"), Text("beam", "束宽"), RIGHT, "line", "x")
SAME = Figure(Text("Differences", "差异"), Text("compared", "比较"), Text("", ""))


class Decoding(Experiment):
    """Steps of a model with random weights; toys that read what they wrote; beams of a small translator."""

    lengths: tuple[int, ...] = (1, 4, 16, 64, 128)
    """Target lengths at which steps are timed."""
    training: ToyTraining = ToyTraining(steps=900, test_every=5, rate=2e-3, test_examples=512)
    """Training of the toys; it ends as soon as 95 % are right, so that there are mistakes."""
    beams: tuple[int, ...] = (1, 4, 16)
    """Beams of the translator, which has to be trained once on a machine; none to leave it out."""

    @override
    def measure(self, seed: int) -> Measurements:
        torch.manual_seed(seed)
        times, apart = toy.step_cost(self.lengths)
        measured = Measurements({(SAME, toy.CACHED, LOGITS): apart})
        for length, arms in times.items():
            measured.update({(TIME, arm, length): ms for arm, ms in arms.items()})
        for write, (gold, own) in TOYS.items():
            torch.manual_seed(seed)
            model = toy.Writer(layers=1)
            log = self.training.run(model, toy.translation(write, LONGEST, LONGEST), seed, enough=95.0)
            measured.update(training_cost(gold, model, log))
            random = Generator().manual_seed(seed + 1_000_003)
            sentences, target = toy.translation(write, LONGEST, LONGEST)(random, 1024)
            with torch.no_grad():
                guesses = {
                    gold: model(sentences).argmax(dim=1),
                    own: toy.written_alone(model.model, sentences),
                }
            for arm, guess in guesses.items():
                share = (guess == target)[:, :LONGEST].float().mean(dim=0).tolist()
                measured.update({(DRIFT, arm, at): 100.0 * each for at, each in enumerate(share, start=1)})
            lengths = torch.randint(4, LONGEST + 1, (64,), generator=random).tolist()
            cut = [row[:length] for row, length in zip(sentences.tolist(), lengths, strict=False)]
            changed = [toy.changed_by_batch(model.model, way, cut) for way in (GreedySpec(), BeamSpec())]
            measured[SAME, gold, BATCHES] = float(sum(changed))
        for size in self.beams:
            small = toy.small_translator()
            source, _, target = small.examples(Generator().manual_seed(seed), 128)
            wanted = [tuple(row[: row.index(EOS)]) for row in target.tolist()]
            for arm, alpha in ((PLAIN, 0.0), (PENALTY, 0.6)):
                way = BeamSpec(size=size, length_penalty=alpha)
                found = search(small.model, source.tokens, source.layout, way)
                exact = sum(best[0].tokens == each for best, each in zip(found, wanted, strict=True))
                measured[BEAMS, arm, size] = 100.0 * exact / len(wanted)
        return measured


def slowdown(measured: Measurements, length: int) -> float:
    """Time of a step without a cache, as a multiple of that with one."""
    return measured[TIME, toy.AGAIN, length] / measured[TIME, toy.CACHED, length]


def lost(measured: Measurements, arms: tuple[Text, Text], at: int) -> float:
    """Points lost at a place of the target to mistakes before it."""
    gold, own = arms
    return measured[DRIFT, gold, at] - measured[DRIFT, own, at]


CLAIMS = (
    Claim("equal", LOGITS, lambda measured: measured[SAME, toy.CACHED, LOGITS],
        Bounds(high=1e-5), Bounds(high=1e-5)),
    Claim("ratio", Text("step time at 64: again / cached", "第 64 步的时间：重算 / 缓存"),
        lambda measured: slowdown(measured, 64), Bounds(low=3.0), Bounds(low=1.0)),
    Claim("grows", Text("the same, at 64 over at 4", "同上，第 64 步相对第 4 步"),
        lambda measured: slowdown(measured, 64) / slowdown(measured, 4), Bounds(low=1.5), Bounds(low=1.0)),
    Claim("changed", Text("outputs changed by the batch", "因批大小而改变的输出"),
        lambda measured: sum(measured[SAME, gold, BATCHES] for gold, _ in TOYS.values()),
        Bounds(high=0.0), Bounds(high=0.0)),
    Claim("drift", Text("sum, last place: points lost", "累加，末位：损失的百分点"),
        lambda measured: lost(measured, TOYS[toy.running_sum], LONGEST), Bounds(low=10.0), Bounds(low=3.0)),
    Claim("wide", Text("dates: beam 16 plain - beam 4 (points)", "日期：束宽 16 无惩罚 - 束宽 4（百分点）"),
        lambda measured: measured[BEAMS, PLAIN, 16] - measured[BEAMS, PENALTY, 4], Bounds(high=0.5)),
    Claim("first", Text("step time at 1: again / cached", "第 1 步的时间：重算 / 缓存"),
        lambda measured: slowdown(measured, 1), Bounds(high=1.3), Bounds(high=1.3), control=True),
    Claim("one", Text("sum, first place: points lost", "累加，首位：损失的百分点"),
        lambda measured: lost(measured, TOYS[toy.running_sum], 1), Bounds(-0.5, 0.5),
        Bounds(-0.5, 0.5), control=True),
)  # fmt: skip

QUESTION = Question(
    number=30,
    title=Text("Why is decoding slow, and what does a cache save?", "推理为何慢，缓存省多少？"),
    topic=Topic(
        "middle",
        "families",
        related=(4, 14, 28),
        words="KV cache beam exposure bias 缓存 束搜索",
    ),
    claims=CLAIMS,
    figures=(TIME, DRIFT, BEAMS, SAME, TRAINING_COST),
    experiment=Decoding(),
    numbers={
        "reversal": lambda measured: lost(measured, TOYS[toy.backwards], LONGEST),
        "greedy": lambda measured: measured[BEAMS, PLAIN, 1],
        "beam": lambda measured: measured[BEAMS, PENALTY, 4],
        "gold": lambda measured: measured[DRIFT, TOYS[toy.running_sum][0], LONGEST],
        "own": lambda measured: measured[DRIFT, TOYS[toy.running_sum][1], LONGEST],
    },
    seeds=range(6, 16),
)
