"""Q28, the whole Transformer from input to output (完整流程): parity with torch's, the marks, the time."""

import torch
from torch import Generator, Tensor
from typing_extensions import override

from whyformer.decoding.greedy import GreedySpec
from whyformer.decoding.search import search
from whyformer.special_tokens import EOS
from whyformer.why.lab.cost import milliseconds
from whyformer.why.lab.sequences import translation as toy
from whyformer.why.lab.training import IGNORED, TRAINING_COST, Examples, ToyTraining, training_cost
from whyformer.why.question import Bounds, Claim, Experiment, Figure, Measurements, Question, Text, Topic

# The arms of the training: what of the pipeline is left out.
WHOLE, UNSHIFTED = Text("whole pipeline", "完整流程"), Text("control: no right shift", "对照：不右移")
ENDLESS = Text("control: no end mark", "对照：无结束符")
TAUGHT, WRITTEN = Text("right when taught", "训练时逐词正确"), Text("sentences written right", "自己写对整句")

# Parity, and the stages of a translation.
HIDDEN, GRADIENT = Text("hidden states", "隐状态"), Text("gradient of the embeddings", "词向量的梯度")
OURS, BARE = Text("ours - torch's", "本库 - torch"), Text("the same without √d", "同上，词向量不乘 √d")
STAGES = TOKENS, ENCODER, STEPS, SEARCH, TEXT = (
    Text("text to tokens", "分词"), Text("encoder", "编码器"), Text("decoder steps", "解码各步"),
    Text("search", "搜索"), Text("tokens to text", "还原文本"),
)  # fmt: skip
TRANSLATING = Text("translating a date", "翻译一个日期")

# What is measured.
OVERFIT = Figure(Text("64 pairs learned by heart", "背下 64 对句子"), Text("what is counted", "计数对象"),
    Text("%", "%"), "bar")  # fmt: skip
SHARE = Figure(Text("Time of a translation", "翻译一句的时间"), Text("stage", "阶段"), Text("%", "%"), "bar")
PARITY = Figure(Text("Largest difference from torch.nn.Transformer", "与 torch.nn.Transformer 的最大差"),
    Text("of", "比较"), Text("", ""))  # fmt: skip


class Pipeline(Experiment):
    """Equal weights in two libraries; 64 pairs learned with and without the marks; a translation timed."""

    training: ToyTraining = ToyTraining(steps=400, test_every=25, rate=2e-3, batch=64, test_examples=64)
    """Training of each arm; it ends when every token is right."""
    translator: bool = True
    """Whether the small translator is timed, which has to be trained once on a machine."""

    @override
    def measure(self, seed: int) -> Measurements:
        measured = Measurements()
        for arm in (OURS, BARE):
            torch.manual_seed(seed)
            apart = toy.differences_from_torch(scaled=arm == OURS)
            measured.update(
                {(PARITY, arm, at): each for at, each in zip((HIDDEN, GRADIENT), apart, strict=True)}
            )
        for arm in (WHOLE, UNSHIFTED, ENDLESS):
            torch.manual_seed(seed)
            model, pairs = toy.Writer(layers=1), by_heart(arm, seed)
            log = self.training.run(model, lambda _random, _count, pairs=pairs: pairs, seed, enough=100.0)
            measured.update(training_cost(arm, model, log))
            wanted = by_heart(WHOLE, seed)
            right = (toy.written_alone(model.model, wanted.sentences) == wanted.target).all(dim=1)
            measured[OVERFIT, arm, TAUGHT] = log.final
            measured[OVERFIT, arm, WRITTEN] = 100.0 * float(right.float().mean())
        if self.translator:
            measured.update(stage_shares(seed))
        return measured


def by_heart(arm: Text, seed: int) -> Examples:
    """64 random sources with random targets, as the decoder of an arm reads and writes them."""
    random = Generator().manual_seed(seed)

    def write(symbols: Tensor, random: Generator) -> Tensor:
        return torch.randint(toy.SOURCE_SYMBOLS, symbols.shape, generator=random)

    sentences, target = toy.translation(write, 8, 8)(random, 64)
    if arm == UNSHIFTED:
        sentences = torch.cat([sentences[:, : target.shape[1]], target], dim=1)
    if arm == ENDLESS:
        target = target.masked_fill(target == EOS, IGNORED)
    return Examples(sentences, target)


def stage_shares(seed: int) -> Measurements:
    """Shares of the stages in the time that the small translator takes for one sentence, greedily."""
    small = toy.small_translator()
    model, tokenizers = small.model, small.translator.tokenizers
    pair = small.pairs[seed % len(small.pairs)]
    source, _, _ = small.sides([pair])
    ids = search(model, *source, GreedySpec())[0][0].tokens
    with torch.no_grad():
        cross = model.encode(*source)

    def first_keys() -> torch.Tensor:
        return model.encode(*source).layers[0].key

    times = milliseconds({
        TOKENS: lambda: torch.tensor(tokenizers.source.encode_all([pair.source])),
        ENCODER: first_keys,
        STEPS: lambda: toy.step_logits(model, lambda: cross, len(ids) + 1),
        SEARCH: lambda: torch.tensor(search(model, *source, GreedySpec())[0][0].tokens),
        TEXT: lambda: torch.tensor(len(tokenizers.target.decode(ids))),
    }, 9)  # fmt: skip
    times[SEARCH] -= times[ENCODER] + times[STEPS]
    whole = sum(times.values())
    return Measurements({(SHARE, TRANSLATING, stage): 100.0 * ms / whole for stage, ms in times.items()})


CLAIMS = (
    Claim("parity", Text("hidden states: ours - torch's", "隐状态：本库 - torch"),
        lambda measured: measured[PARITY, OURS, HIDDEN], Bounds(high=1e-5), Bounds(high=1e-5)),
    Claim("gradient", Text("gradient: ours - torch's, relative", "梯度：本库 - torch，相对差"),
        lambda measured: measured[PARITY, OURS, GRADIENT], Bounds(high=1e-5), Bounds(high=1e-5)),
    Claim("exact", Text("whole pipeline: of 64 sentences right", "完整流程：64 句中写对的"),
        lambda measured: 0.64 * measured[OVERFIT, WHOLE, WRITTEN], Bounds(low=64.0), Bounds(low=62.0)),
    Claim("steps", Text("share of the decoder's steps (%)", "解码各步所占时间（%）"),
        lambda measured: measured[SHARE, TRANSLATING, STEPS], Bounds(low=50.0)),
    Claim("unshifted", Text("no right shift: sentences right (%)", "不右移：写对的句子（%）"),
        lambda measured: measured[OVERFIT, UNSHIFTED, WRITTEN], Bounds(high=5), Bounds(high=5), control=True),
    Claim("endless", Text("no end mark: sentences right (%)", "无结束符：写对的句子（%）"),
        lambda measured: measured[OVERFIT, ENDLESS, WRITTEN], Bounds(high=5), Bounds(high=5), control=True),
    Claim("bare", Text("hidden states without √d: difference", "不乘 √d 时隐状态之差"),
        lambda measured: measured[PARITY, BARE, HIDDEN], Bounds(low=1e-2), Bounds(low=1e-2), control=True),
)  # fmt: skip

QUESTION = Question(
    number=28,
    title=Text("The Transformer's whole pipeline, from input to output", "Transformer 的完整流程"),
    topic=Topic("middle", "blocks", related=(14, 26, 30), words="pipeline right shift 流程 右移 结束符"),
    claims=CLAIMS,
    figures=(OVERFIT, SHARE, PARITY, TRAINING_COST),
    experiment=Pipeline(),
    numbers={
        "taught": lambda measured: measured[OVERFIT, UNSHIFTED, TAUGHT],
        "encoder": lambda measured: measured[SHARE, TRANSLATING, ENCODER],
        "tokens": lambda measured: measured[SHARE, TRANSLATING, TOKENS],
    },
)
