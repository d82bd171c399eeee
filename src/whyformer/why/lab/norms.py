"""Norms under test: models that a norm or the residual is taken out of, and what depends on batch mates.

B batch · L length · M model dimension · C classes
"""

import math
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from whyformer.attention.mask import Causal
from whyformer.dropout import Dropout
from whyformer.nn.residual.norm import MaskedBatchNorm, MaskedBatchNormSpec, NoNormSpec, NormSpec
from whyformer.nn.residual.placement import Depth, NewNorm, PreNorm, PreNormSpec, ResidualSum
from whyformer.position.layout import Layout
from whyformer.why.lab.toys.reader import Reader
from whyformer.why.lab.training import IGNORED, Examples
from whyformer.why.question import Figure, Text

PADDING, NORM_SYMBOLS, MOST_TOKENS = 0, 16, 16

WAVES = 6
"""Classes of ``tones``."""

WHAT, CHANGE = Text("what was changed", "改动了什么"), Text("largest change", "最大变化")
INFLUENCE = Figure(Text("What else moves a token's output", "词元的输出还受什么影响"), WHAT, CHANGE, "bar")
LATER, MATES = Text("later token", "后面的词元"), Text("batch mates", "同批句子")
PADS, COPIES = Text("padding", "填充"), Text("control: copies", "对照：份数")
USED = Text("control: in use", "对照：推理模式")


class PaddedBatchNormSpec(MaskedBatchNormSpec):
    """Normalise every component over all positions of the batch, those of padding included."""

    @override
    def build(self, d_model: int) -> "PaddedBatchNorm":
        return PaddedBatchNorm(d_model, self.epsilon, self.momentum)


class PaddedBatchNorm(MaskedBatchNorm):
    """Batch norm that takes padding for tokens."""

    @override
    def forward(self, input: Tensor, valid: Tensor | None = None) -> Tensor:
        return super().forward(input)


class NoResidualSpec(PreNormSpec):
    """Leave the residual out."""

    @override
    def build(self, norm: NewNorm, dropout: Dropout, join: ResidualSum, depth: Depth) -> "NoResidual":
        return NoResidual(norm(), dropout, join)


class NoResidual(PreNorm):
    """x <- dropout(f(norm(x)))."""

    @override
    def leave(self, x: Tensor, branch: Tensor, valid: Tensor | None) -> Tensor:
        return self.residual(self.dropout(branch))


class PaddedReader(Reader):
    """A reader of sentences that are filled up with padding."""

    @override
    def forward(self, tokens: Tensor, valid: Tensor | None = None) -> Tensor:
        return super().forward(tokens, tokens != PADDING if valid is None else valid)


class LossByMode(NamedTuple):
    """Loss on the same batches, in nats."""

    evaluation: float
    """Normalised by running averages, where the norm has some; the smaller one is the better model."""
    training: float
    """Normalised by what the batch itself shows."""


@torch.no_grad()
def loss_by_mode(model: nn.Module, tests: Examples, batch: int) -> LossByMode:
    """Mean loss of ``model`` on ``tests``, ``batch`` sentences at a time; running averages change by it."""
    losses: list[float] = []
    for training in (False, True):
        model.train(training)
        parts = zip(tests.sentences.split(batch), tests.target.split(batch), strict=True)
        sums = [
            F.cross_entropy(model(sentences), target, ignore_index=IGNORED, reduction="sum")
            for sentences, target in parts
        ]
        losses.append(float(torch.stack(sums).sum() / (tests.target != IGNORED).sum()))
    return LossByMode(training=losses[1], evaluation=losses[0])


def topical_sentences(random: Generator, count: int) -> Examples:
    """Sentences (B,L) of 4 to 16 tokens, each with four symbols of its own as texts have their words.

    The target is the first token, at every position.
    """
    topic = 1 + torch.rand(count, NORM_SYMBOLS, generator=random).argsort(dim=1)[:, :4]
    tokens = topic.gather(1, torch.randint(4, (count, MOST_TOKENS), generator=random))
    real = torch.arange(MOST_TOKENS) < torch.randint(4, MOST_TOKENS + 1, (count, 1), generator=random)
    first = tokens[:, :1].expand_as(tokens) - 1
    return Examples(tokens.where(real, torch.tensor(PADDING)), first.where(real, torch.tensor(IGNORED)))


@torch.no_grad()
def influences(model: PaddedReader, random: Generator) -> dict[Text, float]:
    """Largest change of a sentence's states in training mode, by what else is changed."""
    tokens, others = topical_sentences(random, 8)[0], topical_sentences(random, 8)[0]
    mixed = torch.cat([tokens[:1], others[1:]])
    wider = torch.cat([tokens, torch.full_like(tokens, PADDING)], dim=1)
    whole = 1 + tokens[:1] % NORM_SYMBOLS  # no padding
    later = whole.clone()
    later[:, -1] = 1 + later[:, -1] % NORM_SYMBOLS

    def states(batch: Tensor) -> Tensor:
        """The first sentence's real tokens (L,M)."""
        return model.hidden(batch, batch != PADDING)[0][batch[0] != PADDING]

    def causal(batch: Tensor) -> Tensor:
        """All tokens but the last (L-1,M), none of which attends to a later one."""
        layout = Layout.counting(*batch.shape)
        embedded = model.stack.embed(model.embedding(batch), layout)
        return model.stack(embedded, layout, rule=Causal())[0, :-1]

    changes = {
        LATER: causal(later) - causal(whole),
        MATES: states(mixed) - states(tokens),
        PADS: states(wider) - states(tokens),
        COPIES: states(whole.expand(8, -1)) - states(whole),
    }
    model.eval()
    changes[USED] = states(mixed) - states(tokens)
    return {what: float(change.abs().max()) for what, change in changes.items()}


class Convolutions(nn.Module):
    """Convolutions, each with norm and ReLU, for signals (B,L,1); first weights as in He et al. 2015."""

    def __init__(self, norm: NormSpec, layers: int = 4, width: int = 16) -> None:
        super().__init__()
        sides = [1, *[width] * layers]
        self.layers = nn.ModuleList(nn.Conv1d(*pair, kernel_size=5, padding=2) for pair in pairwise(sides))
        self.norms = nn.ModuleList(norm.build(width) for _ in range(layers))
        self.output = nn.Linear(width, WAVES)
        for layer in self.layers:
            assert isinstance(layer, nn.Conv1d)
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    @override
    def forward(self, x: Tensor) -> Tensor:
        """Signals (B,L,1) -> scores (B,C)."""
        for layer, norm in zip(self.layers, self.norms, strict=True):
            # A convolution has the components before the positions.
            x = F.relu(norm(layer(x.transpose(1, 2)).transpose(1, 2)))
        return self.output(x.mean(dim=1))


def without_norms(model: Convolutions) -> Convolutions:
    """The same function as in evaluation mode, without norms: each is multiplied into its convolution."""
    plain = Convolutions(NoNormSpec(), len(model.layers))
    plain.output.load_state_dict(model.output.state_dict())
    with torch.no_grad():
        for layer, norm, into in zip(model.layers, model.norms, plain.layers, strict=True):
            assert isinstance(norm, MaskedBatchNorm)
            kept, (weight, bias) = norm.state_dict(), layer.parameters()
            gain = norm.weight / (kept["running_var"] + norm.eps).sqrt()
            shift = (bias - kept["running_mean"]) * gain + norm.bias
            into.load_state_dict({"weight": weight * gain[:, None, None], "bias": shift})
    return plain.eval()


def tones(random: Generator, count: int) -> Examples:
    """Signals (B,32,1) of one of six tones (B,), in any phase, loudness and offset, with noise."""
    kind = torch.randint(WAVES, (count,), generator=random)
    phase = torch.rand(count, 1, generator=random)
    wave = torch.sin(2 * math.pi * ((1 + 2 * kind[:, None]) * torch.arange(32) / 32 + phase))
    loud = 0.5 + 1.5 * torch.rand(count, 1, generator=random)
    noise = 0.3 * torch.randn(count, 32, generator=random)
    offset = torch.randn(count, 1, generator=random)
    return Examples((loud * (wave + noise) + offset)[:, :, None], kind)


@torch.no_grad()
def fold_error(model: Convolutions, signals: Tensor) -> float:
    """Largest difference of the outputs, with norms as in evaluation and without norms."""
    return float((model.eval()(signals) - without_norms(model)(signals)).abs().max())


@torch.no_grad()
def right_by_batch(model: nn.Module, tests: Examples, size: int) -> float:
    """Percent right where every ``size`` signals are normalised by what they show themselves."""
    scores = torch.cat([model.train()(part) for part in tests.sentences.split(size)])
    return 100.0 * float((scores.argmax(dim=1) == tests.target).float().mean())
