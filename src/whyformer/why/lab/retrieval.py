"""The smallest task that needs attention: reading what stands beside a name.

B batch · K keys · M model dimension
"""

import torch
from torch import Generator, Tensor, nn

from whyformer.attention.heads import HeadsSpec
from whyformer.attention.mask import Everything, Mask
from whyformer.attention.multihead import AttentionSpec
from whyformer.attention.score import ScoreSpec
from whyformer.nn.context import NO_POSITIONS
from whyformer.position.layout import Layout
from whyformer.why.lab.training import Draw, Examples

RECALLED = 8
"""Symbols that a sentence of ``recall`` may begin with; as many others follow, and 0 is the question."""


class Retrieval(nn.Module):
    """One attention of one head, which reads what stands beside the name that is asked for.

    W_Q and W_K begin with variance 1/M, so that the components of queries and keys have variance 1.
    """

    NAMES, CLASSES, WIDTH = 64, 16, 64

    def __init__(self, score: ScoreSpec, dim: int) -> None:
        super().__init__()
        self.names = nn.Embedding(self.NAMES, self.WIDTH)
        self.values = nn.Embedding(self.CLASSES, self.WIDTH)
        heads = HeadsSpec(query=1, dim=dim, bias=False)
        self.attention = AttentionSpec(heads=heads, score=score).build(self.WIDTH)
        self.output = nn.Linear(self.WIDTH, self.CLASSES)
        for side in (self.attention.query, self.attention.key):
            assert isinstance(side, nn.Linear)
            nn.init.normal_(side.weight, std=self.WIDTH**-0.5)

    def forward(self, sentences: Tensor) -> Tensor:
        """Sentences (B,2K+1): K names, their K values, the name asked for -> scores (B,CLASSES)."""
        names, values, asked = sentences.tensor_split((sentences.shape[1] // 2, -1), dim=1)
        position = torch.arange(names.shape[1]).expand_as(names)
        queries, keys = Layout(position[:, :1]), Layout(position)
        # Two vectors of variance 1 -> one of variance 1
        source = (self.names(names) + self.values(values)) * 0.5**0.5
        memory = self.attention.key_values(source, NO_POSITIONS, position)
        mask = Mask(Everything(), queries, keys)
        # (B,1,M) -> (B,M)
        read = self.attention(self.names(asked), memory, mask, NO_POSITIONS).squeeze(1)
        return self.output(read)


def retrieval(keys: int) -> Draw:
    """Sentences of so many different names, each with a value; one of the names is asked for."""

    def draw(random: Generator, count: int) -> Examples:
        names = torch.rand(count, Retrieval.NAMES, generator=random).argsort(dim=1)[:, :keys]
        values = torch.randint(Retrieval.CLASSES, (count, keys), generator=random)
        which = torch.randint(keys, (count, 1), generator=random)
        sentences = torch.cat([names, values, names.gather(1, which)], dim=1)
        return Examples(sentences, values.gather(1, which).squeeze(1))

    return draw


def recall(delay: int) -> Draw:
    """Sentences (B,2+delay): a symbol, others of another kind, a question; the first one is to be named."""

    def draw(random: Generator, count: int) -> Examples:
        symbol = torch.randint(1, RECALLED + 1, (count, 1), generator=random)
        others = torch.randint(RECALLED + 1, 2 * RECALLED + 1, (count, delay), generator=random)
        return Examples(torch.cat([symbol, others, torch.zeros_like(symbol)], dim=1), symbol[:, 0] - 1)

    return draw
