"""Position schemes to compare, prose to test language models at other lengths, and scaled embeddings.

B batch · L length · N pieces · V vocabulary
"""

import inspect
from collections.abc import Mapping
from functools import cache
from pydoc_data.topics import topics

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from whyformer.attention.mask import Causal
from whyformer.nn.embedding import EmbeddingSpec, TokenEmbedding, token_logits
from whyformer.position import absolute, alibi, rotary, shaw, t5
from whyformer.position.absolute import LearnedSpec, SinusoidalSpec
from whyformer.position.alibi import AlibiSpec
from whyformer.position.attention_shape import AttentionShape
from whyformer.position.layout import Layout
from whyformer.position.positions import PositionSpec
from whyformer.position.rotary import RotarySpec
from whyformer.position.shaw import ShawKeysSpec, ShawValuesSpec
from whyformer.position.t5 import T5Spec
from whyformer.tap import attach
from whyformer.why.arms import ALIBI, LEARNED, NO_POSITION, ROTARY, SHAW, SINUSOIDAL, T5
from whyformer.why.lab.toys.reader import Reader, small_network, small_stack
from whyformer.why.lab.training import Draw, Examples, ToyTraining
from whyformer.why.question import Figure, Measurements, Text

MIXED = Text("sinusoidal + Shaw", "正弦 + Shaw")
OFFSETS, _SHAW = (SHAW, T5, ROTARY, ALIBI), (ShawKeysSpec(), ShawValuesSpec())
SCHEMES: dict[Text, tuple[PositionSpec, ...]] = {
    NO_POSITION: (),
    SINUSOIDAL: (SinusoidalSpec(),),
    # More rows than the training has positions, as tables have, and fewer than the longest test.
    LEARNED: (LearnedSpec(longest=32),),
    SHAW: _SHAW,
    T5: (T5Spec(),),
    ROTARY: (RotarySpec(),),
    ALIBI: (AlibiSpec(),),
    MIXED: (SinusoidalSpec(), *_SHAW),
}
_FILES = tuple(module.__name__ for module in (absolute, rotary, alibi, t5, shaw))

CHARACTERS = 96
"""Printable ASCII, line ends among it; whatever else occurs reads as one more."""
SHORT_TEXT = 32
"""Characters that a language model sees at once in its training."""
TEXT_LOSS = Figure(
    Text("Language model trained on 32 characters: test loss", "只用 32 个字符训练的语言模型：测试损失"),
    Text("characters in the test", "测试时的字符数"),
    Text("nats a character", "奈特/字符"),
    "line",
    "x",
)
HELD_OUT = 0.1
"""Share at the end of the prose that no training sees."""


@cache
def manual() -> Tensor:
    """Python's own manual as every Python has it, (N,) numbers of characters."""
    text = "\n".join(topics[name] for name in sorted(topics))
    codes = torch.tensor([ord(each) for each in text]) - 31
    # A line end is 0, the blank 1.
    return torch.where((codes > 0) & (codes < CHARACTERS - 1), codes, (codes + 31 != 10) * (CHARACTERS - 1))


def next_characters(length: int) -> Draw:
    """Pieces (B,L) of the prose and the character after each of theirs (B,L)."""

    def draw(random: Generator, count: int) -> Examples:
        text = manual()
        last = int(len(text) * (1.0 - HELD_OUT)) - length
        # (B,1) + (L+1,) -> (B,L+1)
        piece = text[torch.randint(last, (count, 1), generator=random) + torch.arange(length + 1)]
        return Examples(piece[:, :-1], piece[:, 1:])

    return draw


@torch.no_grad()
def loss_with_context(model: Reader, length: int, seed: int, count: int = 96, asked: int = 16) -> float:
    """Nats a character, of the last characters of held-out pieces; the same ones whatever the ``length``."""
    text, random = manual(), Generator().manual_seed(seed)
    start = int(len(text) * (1.0 - HELD_OUT)) + length
    ends = torch.randint(max(start, len(text) * 19 // 20), len(text) - 1, (count, 1), generator=random)
    # (N,1) + (L+1,) -> (N,L+1)
    piece = text[ends - length + torch.arange(length + 1)]
    # (N,V,L) -> (N,V,asked)
    scores = model(piece[:, :-1])[..., -asked:]
    return float(F.cross_entropy(scores, piece[:, -asked:]))


def text_losses(
    schemes: Mapping[Text, tuple[PositionSpec, ...]], training: ToyTraining, seed: int
) -> Measurements:
    """Losses of a causal language model with each of ``schemes``, up to eight times as far as trained."""
    measured = Measurements()
    for arm, positions in schemes.items():
        torch.manual_seed(seed)
        stack = small_stack(2, 4, positions, Causal(), small_network())
        model = Reader(CHARACTERS, CHARACTERS, stack)
        training.run(model, next_characters(SHORT_TEXT), seed)
        for times in (1, 2, 4, 8):
            length = times * SHORT_TEXT
            measured[TEXT_LOSS, arm, length] = loss_with_context(model, length, seed)
    return measured


def lines_of_code(schemes: tuple[PositionSpec, ...]) -> int:
    """Lines of specs and modules, with the bases of their own but not those of all schemes."""
    shape = AttentionShape(d_model=64, heads=4, dim=16)
    built = [part for scheme in schemes for part in (scheme, scheme.build(shape))]
    parts = {part for each in built for part in type(each).__mro__ if part.__module__ in _FILES}
    return sum(len(inspect.getsource(part).splitlines()) for part in parts)


WORD_WIDTH, CONTENT_WORDS, SENTENCE, FIRST_WORD = 64, 24, 8, 4


def toy_embedding(*, scale: bool, normal: bool = False) -> EmbeddingSpec:
    """Vectors of variance 1/d, tied to the output; or, where ``normal``, of variance 1, and not tied."""
    deviation, tie = (1.0, "none") if normal else (None, "output")
    return EmbeddingSpec(scale=scale, deviation=deviation, tie=tie, dropout=0.0)


class WordReader(nn.Module):
    """One pre-norm layer between the library's token embedding and its output table."""

    def __init__(self, spec: EmbeddingSpec, positions: bool) -> None:
        super().__init__()
        self.table = TokenEmbedding(FIRST_WORD + CONTENT_WORDS, WORD_WIDTH, spec)
        self.output = (
            self.table
            if spec.tie == "output"
            else TokenEmbedding(FIRST_WORD + CONTENT_WORDS, WORD_WIDTH, spec)
        )
        schemes = (SinusoidalSpec(),) if positions else ()
        self.stack = small_stack(1, 4, schemes, feed_forward=small_network()).build(WORD_WIDTH)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (B,L) -> scores (B,V,L)."""
        layout = Layout(torch.arange(tokens.shape[1]).expand_as(tokens))
        hidden = self.stack(self.stack.embed(self.table(tokens), layout), layout)
        return token_logits(hidden, self.output.weight).transpose(1, 2)

    @torch.no_grad()
    def share(self, tokens: Tensor) -> float:
        """Percentage of the energy of what enters the stack that comes from ``tokens`` (B,L)."""
        words = self.table(tokens).square().sum()
        return float(
            100.0 * words / (words + self.stack.added(SENTENCE, WORD_WIDTH).square().sum() * len(tokens))
        )

    @torch.no_grad()
    def spread(self, tokens: Tensor) -> float:
        """Standard deviation of the scores of the first layer."""
        scores: list[Tensor] = []
        with attach(self.stack, "blocks.0.attention.taps.scores", lambda _, seen: scores.append(seen)):
            self(tokens)
        return float(scores[0].std())
