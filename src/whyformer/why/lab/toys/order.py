"""Tasks about order: by offset, by position, by neither, learned at once; precedence; reversal; sorting.

B batch · L length · M model dimension · V vocabulary
"""

import math
from collections.abc import Sequence

import torch
from torch import Generator, Tensor
from torch.nn import functional as F
from typing_extensions import override

from whyformer.attention.mask import MaskRule
from whyformer.errors import DataError
from whyformer.position.positions import PositionSpec
from whyformer.why.lab.toys.reader import Reader, small_network, small_stack
from whyformer.why.lab.training import IGNORED, RIGHT, Draw, Examples
from whyformer.why.question import Figure, Measurements, Text

SHORTEST, LONGEST, BACK, PLACE = 8, 16, 3, 5
ORDINARY, VOCABULARY, WIDTH, HEADS = 16, 24, 64, 4

KINDS = 10
"""Symbols of sorting and exchange, and places in a sentence of theirs."""

LENGTH = Text("tokens in the test", "测试句的词元数")
RELATIVE = Figure(Text("Relative task: the token 3 back", "相对任务：前面第 3 个词元"), LENGTH, RIGHT, "heat")
ABSOLUTE = Figure(
    Text("Absolute task: the sixth token (index 5)", "绝对任务：第 6 个词元（下标 5）"), LENGTH, RIGHT, "heat"
)
BAG = Figure(
    Text("Control: find the one odd token, wherever it is", "对照任务：找出唯一的异类词元（与位置无关）"),
    LENGTH,
    RIGHT,
    "heat",
)
TOY_TASKS = (RELATIVE, ABSOLUTE, BAG)


class OrderReader(Reader):
    """An encoder that answers every task at every position, without feed-forward networks."""

    def __init__(self, schemes: tuple[PositionSpec, ...], layers: int) -> None:
        stack = small_stack(layers, heads=HEADS, positions=schemes)
        super().__init__(VOCABULARY, len(TOY_TASKS) * VOCABULARY, stack, WIDTH)

    @override
    def forward(self, tokens: Tensor, valid: Tensor | None = None) -> Tensor:
        """Tokens (B,L) -> scores (B,V,3,L)."""
        # (B,3·V,L) -> (B,3,V,L) -> (B,V,3,L)
        return super().forward(tokens, valid).unflatten(1, (len(TOY_TASKS), -1)).transpose(1, 2)


def sentences(random: Generator, count: int) -> Examples:
    """Sentences for the training, of one length that is drawn too."""
    return draw_sentences(random, count, int(torch.randint(SHORTEST, LONGEST + 1, (), generator=random)))


def draw_sentences(random: Generator, count: int, length: int) -> Examples:
    """Random tokens (B,L), an odd one among them; for each of the tasks what to say at every position."""
    tokens = torch.randint(ORDINARY, (count, length), generator=random)
    odd = torch.randint(ORDINARY, VOCABULARY, (count, 1), generator=random)
    tokens = tokens.scatter(1, torch.randint(length, (count, 1), generator=random), odd)
    back = F.pad(tokens[:, :-BACK], (BACK, 0), value=IGNORED)
    placed = tokens[:, PLACE : PLACE + 1]
    # 3 × (B,L) -> (B,3,L)
    return Examples(tokens, torch.stack([back, placed.expand_as(back), odd.expand_as(back)], dim=1))


@torch.no_grad()
def right_by_task(model: OrderReader, tests: Examples) -> list[float]:
    """Percent right in each task; NaN where the scheme refuses sentences of this length."""
    try:
        right = model(tests.sentences).argmax(dim=1) == tests.target
    except DataError:
        return [math.nan] * len(TOY_TASKS)
    # (B,3,L) -> (3,)
    asked = (tests.target != IGNORED).sum(dim=(0, 2))
    return (100.0 * right.sum(dim=(0, 2)) / asked).tolist()


def order_results(model: OrderReader, arm: Text, lengths: Sequence[int], seed: int) -> Measurements:
    """Percent right of an arm in each task, at each of the ``lengths``."""
    measured = Measurements()
    for length in lengths:
        tests = draw_sentences(Generator().manual_seed(seed), 128, length)
        for task, percent in zip(TOY_TASKS, right_by_task(model, tests), strict=True):
            measured[task, arm, length] = percent
    return measured


FIRST, SECOND, THIRD, ASKING = range(8, 12)


class PairReader(Reader):
    """Two layers that answer at the last token: does one token stand before another, and is a third there?"""

    def __init__(self, schemes: tuple[PositionSpec, ...], mask: MaskRule) -> None:
        super().__init__(ASKING + 1, 4, small_stack(2, HEADS, schemes, mask, small_network()), WIDTH)

    @override
    def forward(self, tokens: Tensor, valid: Tensor | None = None) -> Tensor:
        """Tokens (B,L) -> scores of no and yes (B,2), for both questions: (B,2,2)."""
        # (B,L,M) -> (B,M) -> (B,4) -> (B,2,2)
        return self.output(self.hidden(tokens, valid)[:, -1]).unflatten(1, (2, 2))


def pair_questions(shortest: int, longest: int) -> Draw:
    """Sentences of one length for all, at most ``longest`` tokens (B,L); no or yes to the two questions."""

    def draw(random: Generator, count: int) -> Examples:
        length = int(torch.randint(shortest, longest + 1, (), generator=random))
        tokens = torch.randint(FIRST, (count, length), generator=random)
        places = torch.rand(count, length - 1, generator=random).argsort(dim=1)[:, :3]
        there = torch.rand(count, generator=random) < 0.5
        third = torch.where(there, THIRD, tokens[:, 0])
        marks = torch.stack([torch.full_like(third, FIRST), torch.full_like(third, SECOND), third], dim=1)
        tokens = tokens.scatter(1, places, marks)
        tokens[:, -1] = ASKING
        return Examples(tokens, torch.stack([places[:, 0] < places[:, 1], there], dim=1).long())

    return draw


@torch.no_grad()
def pair_results(model: PairReader, length: int, seed: int) -> list[float]:
    """Percent right in the two questions; NaN where the scheme refuses sentences of this length."""
    tests = pair_questions(length, length)(Generator().manual_seed(seed), 1024)
    try:
        right = model(tests.sentences).argmax(dim=1) == tests.target
    except DataError:
        return [math.nan] * 2
    return (100.0 * right.float().mean(dim=0)).tolist()


def spread_of_dots(table: Tensor) -> float:
    """Largest difference between two PE(p)·PE(p + k) of the same k, in a ``table`` (L,M)."""
    products = [(table[: len(table) - k] * table[k:]).sum(dim=1) for k in range(33)]
    return max(float(each.max() - each.min()) for each in products)


@torch.no_grad()
def shuffling_error(model: PairReader) -> float:
    """Largest difference between states of shuffled tokens and shuffled states of the tokens."""
    tokens = torch.randint(8, (32, 16))
    order = torch.randperm(16)
    return float((model.hidden(tokens[:, order]) - model.hidden(tokens)[:, order]).abs().max())


def reversal(words: int, length: int, first: int = 0) -> Draw:
    """Sentences (B,L) of so many words, numbered from ``first``, and the same from back to front (B,L).

    No word says what to write in its own place: content and position are both needed.
    """

    def draw(random: Generator, count: int) -> Examples:
        tokens = torch.randint(first, first + words, (count, length), generator=random)
        return Examples(tokens, tokens.flip(1))

    return draw


def repetition(words: int, length: int, first: int = 0) -> Draw:
    """Sentences (B,L) of different words, one of them twice; at every place (B,L) the word to name is that.

    Places do not matter, so only content helps.
    """

    def draw(random: Generator, count: int) -> Examples:
        tokens = first + torch.rand(count, words, generator=random).argsort(dim=1)[:, :length]
        places = torch.rand(count, length, generator=random).argsort(dim=1)[:, :2]
        twice = tokens.gather(1, places[:, :1])
        return Examples(tokens.scatter(1, places[:, 1:], twice), twice.expand(count, length))

    return draw


def to_sort(random: Generator, count: int) -> Examples:
    """Symbols (B,L) in any order; the target is all of them, sorted."""
    symbols = torch.randint(KINDS, (count, KINDS), generator=random)
    return Examples(symbols, symbols.sort(dim=1).values)


def to_exchange(random: Generator, count: int) -> Examples:
    """Symbols (B,L), each to be exchanged for another one that depends on it alone."""
    symbols = torch.randint(KINDS, (count, KINDS), generator=random)
    return Examples(symbols, (3 * symbols + 1) % KINDS)
