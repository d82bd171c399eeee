"""Q15, how the two self-attentions differ (两种自注意力有何区别): a mask, and what it makes possible.

B batch · L length · M model dimension
"""

from collections.abc import Callable

import torch
from torch import Tensor
from typing_extensions import override

from whyformer.attention.mask import Causal, Everything, MaskRule
from whyformer.nn.stack import Stack
from whyformer.position.layout import Layout
from whyformer.why.arms import DECODER, ENCODER
from whyformer.why.lab.cost import milliseconds
from whyformer.why.lab.toys.reader import small_network, small_stack
from whyformer.why.question import Bounds, Claim, Experiment, Figure, Measurements, Question, Text, Topic

FREED = Text("decoder, mask removed", "解码器，去掉掩码")  # the control
StackRun = Callable[[Tensor], Tensor]

# What is measured.
INPUT, SHARE = Text("input", "输入"), Text("% of the row's largest", "占该行最大值的百分比")
HEATS = {
    ENCODER: Figure(Text("Encoder: influence on outputs", "编码器：输入对输出的影响"), INPUT, SHARE, "heat"),
    DECODER: Figure(Text("Decoder: influence on outputs", "解码器：输入对输出的影响"), INPUT, SHARE, "heat"),
}
LENGTH, MS = Text("length n", "长度 n"), Text("milliseconds", "毫秒")
GROWING = Figure(Text("One more token, at length n", "长度为 n 时再来一个词元"), LENGTH, MS, "line", "xy")
INPUTS, WHAT = Text("inputs", "输入"), Text("what", "项目")
CELLS = Figure(Text("Jacobian of two layers", "两层的雅可比矩阵"), INPUTS, Text("norm", "范数"))
MOST, LEAST = Text("later, largest", "后面的，最大"), Text("later, least", "后面的，最小")
BEFORE = Text("own and earlier, least", "自己和前面的，最小")
STATES = Figure(Text("Difference of states", "状态之差"), WHAT, Text("largest", "最大绝对值"))
APPENDED, OTHERWISE = (
    Text("after one more token", "追加一个词元之后"),
    Text("from the encoder's", "与编码器相比"),
)
CACHED = Text("from a cache, not anew", "用缓存而不重算")
SHOWN, WIDTH, LAYERS = 8, 64, 2


class SelfAttentions(Experiment):
    """The same weights in a stack that reads and in one that writes."""

    lengths: tuple[int, ...] = (8, 32, 128, 512)
    """Lengths at which one more token comes."""
    turns: int = 5
    """Turns of each timing, of which the fastest counts."""

    @override
    def measure(self, seed: int) -> Measurements:
        encoder, decoder = (first_stack(rule, seed) for rule in (Everything(), Causal()))
        x, measured = torch.randn(1, max(self.lengths) + 1, WIDTH), Measurements()
        stacks: dict[Text, StackRun] = {
            ENCODER: lambda x: encoder(x, Layout.counting(*x.shape[:2])),
            DECODER: lambda x: decoder(x, Layout.counting(*x.shape[:2])),
            FREED: lambda x: decoder(x, Layout.counting(*x.shape[:2]), rule=Everything()),
        }
        for arm, stack in stacks.items():
            jacobian = influence_of_later(stack, x[:, :SHOWN])
            later = torch.ones_like(jacobian, dtype=torch.bool).triu(1)
            measured[CELLS, arm, MOST] = float(jacobian[later].max())
            measured[CELLS, arm, LEAST] = float(jacobian[later].min())
            measured[CELLS, arm, BEFORE] = float(jacobian[~later].min())
            for i, row in enumerate(100.0 * jacobian / jacobian.amax(dim=1, keepdim=True)):
                if arm in HEATS:
                    name = Text(f"output {i + 1}", f"输出 {i + 1}")
                    measured.update({(HEATS[arm], name, j + 1): float(cell) for j, cell in enumerate(row)})
            with torch.no_grad():
                states, longer = stack(x[:, :64]), stack(x[:, :65])
                measured[STATES, arm, APPENDED] = largest_entry(longer[:, :64] - states)
                measured[STATES, arm, OTHERWISE] = largest_entry(states - stacks[ENCODER](x[:, :64]))
        self._grow(encoder, decoder, x, measured)
        return measured

    @torch.no_grad()
    def _grow(self, encoder: Stack, decoder: Stack, x: Tensor, measured: Measurements) -> None:
        """One more token: the encoder reads everything again, the decoder only the new one."""
        for length in self.lengths:
            cache, layout = decoder.new_cache(), Layout.counting(1, length + 1)
            decoder(x[:, :length], layout.cut(slice(length)), cache=cache)
            whole = decoder(x[:, : length + 1], layout)[:, -1:]
            works = {
                ENCODER: lambda x=x[:, : length + 1], layout=layout: encoder(x, layout),
                DECODER: lambda x=x[:, length : length + 1], cache=cache: decoder(
                    x, Layout.counting(1, 1, start=cache.seen), cache=cache
                ),
            }
            measured[STATES, DECODER, CACHED] = largest_entry(works[DECODER]() - whole)
            for arm, taken in milliseconds(works, self.turns).items():
                measured[GROWING, arm, length] = taken


def first_stack(rule: MaskRule, seed: int) -> Stack:
    """A stack whose weights depend on ``seed`` alone."""
    torch.manual_seed(seed)
    return small_stack(LAYERS, mask=rule, feed_forward=small_network()).build(WIDTH).eval()


def influence_of_later(stack: StackRun, x: Tensor) -> Tensor:
    """Norms (L,L) of the derivatives of each output's vector for each input's vector of ``x`` (1,L,M)."""
    jacobian = torch.autograd.functional.jacobian(stack, x)
    assert isinstance(jacobian, Tensor)
    # (1,L,M,1,L,M) -> (L,L)
    return jacobian[0, :, :, 0].norm(dim=(1, 3))


def largest_entry(x: Tensor) -> float:
    """Largest absolute number of ``x``."""
    return float(x.abs().max())


CLAIMS = (
    Claim("causal", Text("decoder: largest influence of a later input", "解码器：后面输入的最大影响"),
          lambda measured: measured[CELLS, DECODER, MOST],
          expected=Bounds(high=1e-7), tolerated=Bounds(high=1e-7)),
    Claim("both_sides", Text("encoder: least influence of a later input", "编码器：后面输入的最小影响"),
          lambda measured: measured[CELLS, ENCODER, LEAST],
          expected=Bounds(low=1e-4), tolerated=Bounds(low=1e-7)),
    Claim("kept", Text("decoder: change of earlier states by one more token",
          "解码器：追加词元后，前面状态的变化"),
          lambda measured: measured[STATES, DECODER, APPENDED],
          expected=Bounds(high=1e-5), tolerated=Bounds(high=1e-5)),
    Claim("changed", Text("encoder: the same change", "编码器：同样的变化"),
          lambda measured: measured[STATES, ENCODER, APPENDED], expected=Bounds(low=1e-3)),
    Claim("cached", Text("decoder: new state, from the cache − from all", "解码器：用缓存与全部重算的差"),
          lambda measured: measured[STATES, DECODER, CACHED], expected=Bounds(high=1e-5)),
    Claim("cheaper", Text("one more token, n = 512: time of encoder / decoder",
          "n = 512 时追加一个词元的时间：编码器 / 解码器"),
          lambda measured: measured[GROWING, ENCODER, 512] / measured[GROWING, DECODER, 512],
          expected=Bounds(low=5.0)),
    Claim("same", Text("decoder without its mask − encoder", "去掉掩码的解码器与编码器之差"),
          lambda measured: measured[STATES, FREED, OTHERWISE],
          expected=Bounds(high=1e-6), control=True),
    Claim("freed", Text("decoder without its mask: least influence of a later input",
          "去掉掩码的解码器：后面输入的最小影响"),
          lambda measured: measured[CELLS, FREED, LEAST], expected=Bounds(low=1e-4), control=True),
)  # fmt: skip

QUESTION = Question(
    number=15,
    title=Text("How do decoder and encoder self-attention differ?", "Decoder 和 Encoder 自注意力有何区别？"),
    topic=Topic(
        "middle", "attention", related=(4, 6, 14, 30),
        words="decoder encoder masked self-attention causal cache 掩码 自注意力 因果 缓存",
    ),
    claims=CLAIMS, figures=(*HEATS.values(), GROWING, CELLS, STATES), experiment=SelfAttentions(),
)  # fmt: skip
