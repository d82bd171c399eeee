"""The smallest tasks that need attention: reading what stands beside a name, or beside several.

B batch · K keys · L length · S names asked for · C values · M model dimension
"""

import torch
from torch import Generator, Tensor, nn

from whyformer.attention.heads import HeadsSpec
from whyformer.attention.mask import Everything, Mask
from whyformer.attention.multihead import AttentionSpec
from whyformer.attention.score import ScoreSpec
from whyformer.nn.context import NO_POSITIONS
from whyformer.nn.stack import StackSpec
from whyformer.position.layout import Layout
from whyformer.why.lab.toys.reader import small_network, small_stack, with_block
from whyformer.why.lab.training import Draw, Examples
from whyformer.why.question import Level, Text

RECALLED = 8
"""Symbols that a sentence of ``recall`` may begin with; as many others follow, and 0 is the question."""


class Retrieval(nn.Module):
    """One attention of one head, which reads what stands beside the name that is asked for.

    W_Q and W_K begin with variance 1/M, so that the components of queries and keys have variance 1; those of
    queries can be made ``shrink`` times smaller.
    """

    NAMES, CLASSES, WIDTH = 64, 16, 64

    def __init__(self, score: ScoreSpec, dim: int, shrink: float = 1.0) -> None:
        super().__init__()
        self.names = nn.Embedding(self.NAMES, self.WIDTH)
        self.values = nn.Embedding(self.CLASSES, self.WIDTH)
        heads = HeadsSpec(query=1, dim=dim, bias=False)
        self.attention = AttentionSpec(heads=heads, score=score).build(self.WIDTH)
        self.output = nn.Linear(self.WIDTH, self.CLASSES)
        for side in (self.attention.query, self.attention.key):
            assert isinstance(side, nn.Linear)
            nn.init.normal_(side.weight, std=self.WIDTH**-0.5)
        with torch.no_grad():
            self.attention.query.weight.div_(shrink)

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


class Lookups(nn.Module):
    """Pairs of a name and a value; the last position names several, and says their values in this order."""

    NAMES, VALUES, PAIRS, WIDTH = 8, 8, 8, 64

    def __init__(self, lookups: int, heads: int, layers: int = 1, dim: int | None = None) -> None:
        super().__init__()
        self.lookups = lookups
        self.names, self.values = nn.Embedding(self.NAMES, self.WIDTH), nn.Embedding(self.VALUES, self.WIDTH)
        # A table for each place in the question, so that one vector holds its names in order
        self.asked = nn.Embedding(lookups * self.NAMES, self.WIDTH)
        attention = AttentionSpec(heads=HeadsSpec(query=heads, dim=dim))
        stack = with_block(small_stack(layers, feed_forward=small_network()), {"attention": attention})
        self.stack = stack.build(self.WIDTH)
        self.output = nn.Linear(self.WIDTH, lookups * self.VALUES)

    def forward(self, sentences: Tensor) -> Tensor:
        """Sentences (B,2K+S): K names, their K values, S names asked for -> scores (B,C,S)."""
        names, values, asked = sentences.tensor_split((self.PAIRS, 2 * self.PAIRS), dim=1)
        places = self.NAMES * torch.arange(self.lookups)
        # (B,S,M) -> (B,1,M), of variance 1 whatever S
        question = self.asked(asked + places).sum(dim=1, keepdim=True) * self.lookups**-0.5
        x = torch.cat([(self.names(names) + self.values(values)) * 0.5**0.5, question], dim=1)
        layout = Layout.counting(len(x), self.PAIRS + 1)
        # (B,L,M) -> (B,M) -> (B,C,S)
        last = self.stack(x, layout)[:, -1]
        return self.output(last).unflatten(1, (self.lookups, self.VALUES)).transpose(1, 2)


def lookup_examples(lookups: int) -> Draw:
    """Sentences for ``Lookups``."""

    def draw(random: Generator, count: int) -> Examples:
        names = torch.rand(count, Lookups.NAMES, generator=random).argsort(dim=1)[:, : Lookups.PAIRS]
        values = torch.randint(Lookups.VALUES, (count, Lookups.PAIRS), generator=random)
        which = torch.rand(count, Lookups.PAIRS, generator=random).argsort(dim=1)[:, :lookups]
        return Examples(torch.cat([names, values, names.gather(1, which)], dim=1), values.gather(1, which))

    return draw


class Partners(nn.Module):
    """Pairs of a name and a value; every position says the value of the name that its own one points to."""

    NAMES, VALUES, WIDTH = 12, 16, 64

    def __init__(self, stack: StackSpec) -> None:
        super().__init__()
        self.names, self.values = nn.Embedding(self.NAMES, self.WIDTH), nn.Embedding(self.VALUES, self.WIDTH)
        self.stack = stack.build(self.WIDTH)
        self.output = nn.Linear(self.WIDTH, self.VALUES)

    def forward(self, sentences: Tensor) -> Tensor:
        """Sentences (B,2K): K names, their K values -> scores (B,C,K)."""
        names, values = sentences.tensor_split(2, dim=1)
        x = (self.names(names) + self.values(values)) * 0.5**0.5
        return self.output(self.stack(x, Layout.counting(len(x), x.shape[1]))).transpose(1, 2)


TWO_OF_THREE = Level(100 * (2 + 1 / Partners.VALUES) / 3, Text("two of three", "三个对两个"))
"""The most that a preference which is no cycle can get right in cycles of three, with luck in the third."""


def partner_examples(cycle: int) -> Draw:
    """Sentences of all names, which point to each other in cycles of so many: 2 is mutual, 3 is not."""

    def draw(random: Generator, count: int) -> Examples:
        names = torch.rand(count, Partners.NAMES, generator=random).argsort(dim=1)
        values = torch.randint(Partners.VALUES, names.shape, generator=random)
        partners = names - names % cycle + (names + 1) % cycle
        # Where the partner stands: (B,K) by name, read by the partner's name
        where = names.argsort(dim=1).gather(1, partners)
        return Examples(torch.cat([names, values], dim=1), values.gather(1, where))

    return draw


def recall(delay: int) -> Draw:
    """Sentences (B,2+delay): a symbol, others of another kind, a question; the first one is to be named."""

    def draw(random: Generator, count: int) -> Examples:
        symbol = torch.randint(1, RECALLED + 1, (count, 1), generator=random)
        others = torch.randint(RECALLED + 1, 2 * RECALLED + 1, (count, delay), generator=random)
        return Examples(torch.cat([symbol, others, torch.zeros_like(symbol)], dim=1), symbol[:, 0] - 1)

    return draw
