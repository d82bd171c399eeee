"""Q06, the masks (mask 机制): a model that learns to reverse words, without one mask, the other, or both.

B batch · T target length · V vocabulary
"""

import torch
from torch import Generator, Tensor
from torch.nn import functional as F
from typing_extensions import override

from whyformer.attention.mask import Causal
from whyformer.special_tokens import EOS, PAD
from whyformer.why.lab.masks import LONGEST_WORD, Reverser, draw_words, reversed_words
from whyformer.why.lab.training import IGNORED, RIGHT, TRAINING_COST, Examples, ToyTraining, training_cost
from whyformer.why.question import Bounds, Claim, Experiment, Figure, Measurements, Question, Text, Topic

# The arms: which masks a model has.
BOTH, NEITHER = Text("both masks", "两种掩码都有"), Text("no mask", "两种都没有")
NO_CAUSAL, NO_PADDING = Text("no causal mask", "没有因果掩码"), Text("no padding mask", "没有填充掩码")
ARMS = {BOTH: (True, True), NO_CAUSAL: (False, True), NO_PADDING: (True, False), NEITHER: (False, False)}

# What is measured.
TEST, FORCED = Text("test", "测试方式"), Text("teacher-forced", "教师强制")
FREE, PADDED = Text("free-running", "自由生成"), Text("free-running, 8 pads more", "自由生成，多 8 个填充")
HIDDEN = Text("teacher-forced, later letters hidden", "教师强制，遮住后面的字符")
ANOTHER = Text("teacher-forced, another's source", "教师强制，源词换成别的词")
WORDS = Figure(Text("Words reversed without a fault", "整个单词反转正确"), TEST, RIGHT, "bar")
TOKENS = Figure(Text("Letters right", "单个字符正确"), TEST, RIGHT)
LARGEST, DATA = Text("largest, logits", "logits 的最大变化"), Text("what", "项目")
CHANGES = Figure(Text("Change of the output", "输出的变化"), DATA, LARGEST)
MORE = Text("mixed lengths, 8 pads more", "长短不一，多 8 个填充")
EQUAL = Text("equal lengths, padding mask on or off", "长度相等，填充掩码开或关")


class Masks(Experiment):
    """Four models that differ in their masks alone, trained until they are right by teacher forcing."""

    arms: dict[Text, tuple[bool, bool]] = ARMS
    """Whether each has the causal mask, and the padding mask."""
    training: ToyTraining = ToyTraining(steps=1500, test_every=25, rate=3e-3, test_examples=256)
    """Training of each arm; it ends at 99.9 % right, where words hardly get better."""

    @override
    def measure(self, seed: int) -> Measurements:
        measured = Measurements()
        for arm, (causal, padding) in self.arms.items():
            torch.manual_seed(seed)
            model = Reverser(causal, padding)
            log = self.training.run(model, draw_words, seed, enough=99.9)
            measured.update(training_cost(arm, model, log))
            tests = draw_words(Generator().manual_seed(seed + 2_000_003), 512)
            self._test(arm, model.eval(), tests, measured)
        return measured

    @torch.no_grad()
    def _test(self, arm: Text, model: Reverser, tests: Examples, measured: Measurements) -> None:
        source, fed = tests.sentences.unbind(dim=1)
        more = F.pad(source, (0, 8), value=PAD)
        logits = model.score(source, fed)
        forced, another = logits.argmax(dim=-1), model.score(source.roll(1, 0), fed).argmax(dim=-1)
        own, model.model.decoder.rule = model.model.decoder.rule, Causal()
        hidden, model.model.decoder.rule = model.score(source, fed).argmax(dim=-1), own
        asked = tests.target != IGNORED
        for test, said in ((FORCED, forced), (FREE, model.write(source)), (PADDED, model.write(more))):
            right = ((said == tests.target) | ~asked).all(dim=1)
            measured[WORDS, arm, test] = percent_true(right)
        # The end is not fed, so it cannot be copied.
        letters = asked & (tests.target != EOS)
        for test, said in ((FORCED, forced), (HIDDEN, hidden), (ANOTHER, another)):
            measured[TOKENS, arm, test] = percent_true((said == tests.target)[letters])
        measured[CHANGES, arm, MORE] = logit_change(model.score(more, fed)[asked], logits[asked])
        longest = torch.full((len(source), 1), LONGEST_WORD)
        source, fed = reversed_words(source.clamp_min(4), longest).sentences.unbind(dim=1)
        before, model.padding = model.score(source, fed), not model.padding
        measured[CHANGES, arm, EQUAL] = logit_change(model.score(source, fed), before)


def percent_true(right: Tensor) -> float:
    """Percentage of True."""
    return 100.0 * float(right.float().mean())


def logit_change(logits: Tensor, before: Tensor) -> float:
    """Largest difference of logits (…,V); that of padding, which is never predicted, is left out."""
    return float((logits - before)[..., PAD + 1 :].abs().max())


CLAIMS = (
    Claim("forced", Text("no causal mask: letters right by teacher forcing (%)",
          "没有因果掩码：教师强制下的字符正确率（%）"),
          lambda measured: measured[TOKENS, NO_CAUSAL, FORCED], expected=Bounds(low=99.0)),
    Claim("free", Text("no causal mask: words right, free-running (%)",
          "没有因果掩码：自由生成的整词正确率（%）"),
          lambda measured: measured[WORDS, NO_CAUSAL, FREE],
          expected=Bounds(high=20.0), tolerated=Bounds(high=85.0)),
    Claim("ahead", Text("no causal mask, later letters hidden in the test: letters right (%)",
          "训练时没有因果掩码，测试时遮住后面：字符正确率（%）"),
          lambda measured: measured[TOKENS, NO_CAUSAL, HIDDEN], expected=Bounds(high=50.0)),
    Claim("reads", Text("both masks: letters right with another's source (%)",
          "两种掩码都有：换成别的源词后的字符正确率（%）"),
          lambda measured: measured[TOKENS, BOTH, ANOTHER], expected=Bounds(high=50.0)),
    Claim("works", Text("both masks: words right, free-running (%)",
          "两种掩码都有：自由生成的整词正确率（%）"),
          lambda measured: measured[WORDS, BOTH, FREE], expected=Bounds(low=85.0)),
    Claim("changes", Text("no padding mask: change of logits by 8 pads",
          "没有填充掩码：多 8 个填充时 logits 的变化"),
          lambda measured: measured[CHANGES, NO_PADDING, MORE],
          expected=Bounds(low=1e-2), tolerated=Bounds(low=1e-4)),
    Claim("keeps", Text("both masks: the same", "两种掩码都有：同上"),
          lambda measured: measured[CHANGES, BOTH, MORE], expected=Bounds(high=1e-4)),
    Claim("lost", Text("no padding mask: points lost on words by 8 pads",
          "没有填充掩码：多 8 个填充后整词正确率下降的百分点"),
          lambda measured: measured[WORDS, NO_PADDING, FREE] - measured[WORDS, NO_PADDING, PADDED],
          expected=Bounds(low=20.0)),
    Claim("equal", Text("equal lengths: change of logits, padding mask on or off",
          "长度相等：填充掩码开与关，logits 的变化"),
          lambda measured: max(measured[CHANGES, arm, EQUAL] for arm in ARMS),
          expected=Bounds(high=1e-5), control=True),
)  # fmt: skip

QUESTION = Question(
    number=6,
    title=Text("Which masks are there, and what are they for?", "Transformer 中有哪些 mask，各起什么作用？"),
    topic=Topic(
        "junior", "attention", related=(4, 7, 15, 16),
        words="padding mask causal sequence mask leak teacher forcing 填充掩码 因果掩码 序列掩码 信息泄露",
    ),
    claims=CLAIMS, figures=(WORDS, TOKENS, CHANGES, TRAINING_COST), experiment=Masks(),
    numbers={"alone": lambda measured: measured[WORDS, NO_PADDING, FREE],
             "copies": lambda measured: measured[TOKENS, NO_CAUSAL, ANOTHER]},
    seeds=range(6, 11),
)  # fmt: skip
