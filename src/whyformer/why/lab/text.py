"""Texts with hidden tokens, and a model that fills them: hidden in the input, by causality, or in the scores.

B batch · L length · M model dimension · C classes
"""

from typing import Literal

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from whyformer.attention.heads import HeadsSpec
from whyformer.attention.mask import Causal, Everything, Mask, Rule
from whyformer.attention.multihead import AttentionSpec
from whyformer.nn.context import NO_POSITIONS
from whyformer.position.layout import Layout
from whyformer.why.lab.reader import small_stack
from whyformer.why.lab.training import IGNORED, Draw, Examples

WORDS = 8
"""Ordinary tokens, 0, 1, 2 …, of the texts here."""
MASK_ID = WORDS
"""The token that stands where one is hidden."""
CHANCE = 100.0 / WORDS
"""Percent right by guessing."""
CLOZE_LENGTH, CLOZE_WIDTH = 8, 32
Hiding = Literal["input", "causal", "scores", "residual"]
"""Where a token is kept from its own prediction; ``residual`` hides it in the scores alone."""


def mirrored_text(random: Generator, count: int, length: int, kept: float = 0.5) -> Tensor:
    """Texts (B,L) of random tokens, the second half the first one read backwards, but for some drawn anew.

    A token of the second half is ``kept`` with that probability; with 0 the text is noise.
    """
    texts = torch.randint(WORDS, (count, length), generator=random)
    half = length // 2
    copied = torch.rand(count, half, generator=random) < kept
    texts[:, length - half :] = texts[:, :half].flip(1).where(copied, texts[:, length - half :])
    return texts


def best_possible(kept: float = 0.5) -> float:
    """Percent right of the best guess at a hidden token of a mirrored text, which is its mirror image."""
    return 100.0 * kept + (1.0 - kept) * CHANCE


def one_hidden(texts: Tensor, instead: Tensor | int, random: Generator) -> Examples:
    """One token of each of ``texts`` (B,L) is asked for; ``instead`` of it another is read."""
    at = torch.randint(texts.shape[1], (len(texts), 1), generator=random)
    asked = torch.arange(texts.shape[1]) == at
    return Examples(torch.where(asked, instead, texts), texts.where(asked, IGNORED))


def fill_mirrored(length: int, kept: float, masked: bool) -> Draw:
    """Mirrored texts to fill: the one token that [MASK] stands for, or where nothing is ``masked`` all."""

    def draw(random: Generator, count: int) -> Examples:
        texts = mirrored_text(random, count, length, kept)
        return one_hidden(texts, MASK_ID, random) if masked else Examples(texts, texts)

    return draw


class OthersOnly(Rule):
    """A query may attend to every position but its own."""

    @override
    def allows(self, queries: Layout, keys: Layout) -> Tensor:
        return queries.position[:, :, None] != keys.position[:, None, :]


class ClozeModel(nn.Module):
    """Tells each token from the others, by attention alone; ``hiding`` keeps it from its own prediction."""

    def __init__(self, hiding: Hiding, layers: int) -> None:
        super().__init__()
        self.hiding: Hiding = hiding
        self.embedding = nn.Embedding(WORDS + 1, CLOZE_WIDTH)
        self.place = nn.Parameter(torch.randn(CLOZE_LENGTH, CLOZE_WIDTH))
        self.first = (
            AttentionSpec(heads=HeadsSpec(query=2)).build(CLOZE_WIDTH) if hiding == "scores" else None
        )
        layers -= self.first is not None
        mask = Causal() if hiding == "causal" else Everything()
        self.rest = small_stack(layers, heads=2, mask=mask).build(CLOZE_WIDTH) if layers else None
        self.output = nn.Linear(CLOZE_WIDTH, WORDS)

    @override
    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (B,L) -> scores (B,C,L)."""
        return self.read(self.embedding(tokens))

    def read(self, x: Tensor) -> Tensor:
        """Vectors of tokens (B,L,M) -> scores (B,C,L)."""
        layout = Layout.counting(*x.shape[:2])
        if self.hiding == "causal":  # the state before a token is asked for it
            x = F.pad(x[:, :-1], (0, 0, 1, 0))
        h = x + self.place
        if self.first is not None:  # what asks, and goes on as the residual, is the position alone
            asking, mask = self.place.expand_as(x), Mask(OthersOnly(), layout, layout)
            source = self.first.key_values(h, NO_POSITIONS, layout.position)
            h = asking + self.first(asking, source, mask, NO_POSITIONS)
        if self.rest is not None:
            rule = OthersOnly() if self.hiding in {"scores", "residual"} else None
            h = self.rest(h, layout, rule=rule)
        return self.output(h).transpose(1, 2)


def influence(model: ClozeModel, seed: int) -> float:
    """Mean norm of the gradient, by a token's own vector, of the score of what stands there."""
    tokens = mirrored_text(Generator().manual_seed(seed), 16, CLOZE_LENGTH)
    found: list[float] = []
    for at in range(CLOZE_LENGTH):
        own = model.embedding(tokens).detach().requires_grad_()
        masked = (torch.arange(CLOZE_LENGTH)[:, None] == at) & (model.hiding == "input")
        scores = model.read(torch.where(masked, model.embedding.weight[MASK_ID], own))
        [gradient] = torch.autograd.grad(scores[:, :, at].gather(1, tokens[:, at : at + 1]).sum(), own)
        found.append(float(gradient[:, at].norm(dim=-1).mean()))
    return sum(found) / len(found)
