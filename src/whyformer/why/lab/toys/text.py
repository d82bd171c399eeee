"""Texts of toy languages, toys of the model families that learn them, and the pieces of a real text.

B batch · L length · M model dimension · C classes · V vocabulary
"""

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain, pairwise
from math import log2
from pydoc_data.topics import topics
from random import Random
from typing import ClassVar, Literal

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from whyformer.attention.heads import HeadsSpec
from whyformer.attention.mask import Causal, Everything, Mask, Rule
from whyformer.attention.multihead import AttentionSpec
from whyformer.data.batches.masking import MaskingSpec
from whyformer.data.tokenizers.kinds import WordPiece
from whyformer.data.tokenizers.merges import Merge, SymbolCounts, SymbolPair, counted_words, learned_merges
from whyformer.data.tokenizers.pre_tokenization import Cutting
from whyformer.data.tokenizers.tokenizer import Tokenizer
from whyformer.models.elmo import ELMoSpec, OneWay
from whyformer.nn.context import NO_POSITIONS
from whyformer.position.absolute import LearnedSpec
from whyformer.position.layout import Layout
from whyformer.special_tokens import BOS
from whyformer.why.lab.toys.reader import Reader, small_network, small_stack
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


SYMBOLS, TRIPLE_LENGTH = 8, 6
JOINT_AT, COPY_AT = 1, 4
"""Where the tokens stand that are asked for, amid the two triples of a text."""
HIDDEN_SHARE = 0.15
"""Probability that a token is hidden from the toy of BERT; at least one is."""


def triples(random: Generator, count: int) -> Tensor:
    """Texts (B,L) of triples (a, a XOR b, b) and (c, c, d), where a, b, c and d are random."""
    a, b, c, d = torch.randint(SYMBOLS, (4, count), generator=random)
    return torch.stack([a, a ^ b, b, c, c, d], dim=1)


class ToyFamily(nn.Module, ABC):
    """A toy of one family: it learns texts by its own objective, and is then asked for one token."""

    dim: int
    """Components of a state."""

    @staticmethod
    @abstractmethod
    def lesson(texts: Tensor, random: Generator) -> Examples:
        """Examples that its own objective makes of ``texts`` (B,L)."""

    @classmethod
    def draw(cls, random: Generator, count: int) -> Examples:
        """Texts of triples as its own objective has them."""
        return cls.lesson(triples(random, count), random)

    @abstractmethod
    def states(self, texts: Tensor, at: int) -> Tensor:
        """States (B,M) of the token at ``at`` in ``texts`` (B,L), of which they know nothing."""

    @abstractmethod
    def onward(self, texts: Tensor, at: int) -> Tensor:
        """Scores (B,V) of the token at ``at`` of ``texts`` (B,L), if nothing is known from there on."""


class ToyBERT(ToyFamily):
    """Encoder that is taught the tokens that [MASK] stands for."""

    def __init__(self) -> None:
        super().__init__()
        self.dim = 48
        self.reader = placed_reader(Everything(), SYMBOLS, TRIPLE_LENGTH, self.dim, hidden=256)

    @override
    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (B,L) -> scores (B,V,L)."""
        return self.reader(tokens)

    @override
    @staticmethod
    def lesson(texts: Tensor, random: Generator) -> Examples:
        draw = torch.rand(texts.shape, generator=random)
        asked = (draw < HIDDEN_SHARE) | (draw == draw.amin(dim=1, keepdim=True))
        return Examples(texts.masked_fill(asked, SYMBOLS), texts.where(asked, IGNORED))

    @override
    def states(self, texts: Tensor, at: int) -> Tensor:
        asked = torch.arange(TRIPLE_LENGTH) == at
        return self.reader.hidden(texts.masked_fill(asked, SYMBOLS))[:, at]

    @override
    def onward(self, texts: Tensor, at: int) -> Tensor:
        return self(texts.masked_fill(torch.arange(TRIPLE_LENGTH) >= at, SYMBOLS))[:, :, at]


class ToyGPT(ToyFamily):
    """Decoder that is taught the next token."""

    def __init__(self) -> None:
        super().__init__()
        self.dim = 48
        self.reader = placed_reader(Causal(), SYMBOLS, TRIPLE_LENGTH, self.dim, hidden=256)

    @override
    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (B,L) -> scores (B,V,L) of each, from those before."""
        return self.reader(shifted(tokens))

    @override
    @staticmethod
    def lesson(texts: Tensor, random: Generator) -> Examples:
        return Examples(texts, texts)

    @override
    def states(self, texts: Tensor, at: int) -> Tensor:
        return self.reader.hidden(shifted(texts))[:, at]

    @override
    def onward(self, texts: Tensor, at: int) -> Tensor:
        return self(texts)[:, :, at]


class ToyELMo(ToyFamily):
    """Two recurrent language models, one a direction, which share embedding and output."""

    def __init__(self) -> None:
        super().__init__()
        width = 46  # as many parameters as the others
        self.dim = 2 * width
        self.embedding = nn.Embedding(SYMBOLS + 1, width)
        spec = ELMoSpec(d_model=width, layers=1, dropout=0.0)
        self.forwards, self.backwards = OneWay(spec), OneWay(spec)
        self.output = nn.Linear(width, SYMBOLS)

    @override
    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (B,L) -> scores (B,V,2,L) of each, from those before and from those after."""
        return self.output(torch.stack(self.sides(tokens), dim=1)).permute(0, 3, 1, 2)

    def sides(self, texts: Tensor) -> tuple[Tensor, Tensor]:
        """States (B,L,M) of each token of ``texts`` (B,L), from those before and from those after."""
        valid = torch.ones_like(texts, dtype=torch.bool)
        before = self.forwards(self.embedding(shifted(texts)), valid)[-1]
        after = self.backwards(self.embedding(shifted(texts.flip(1))), valid)[-1]
        return before, after.flip(1)

    @override
    @staticmethod
    def lesson(texts: Tensor, random: Generator) -> Examples:
        return Examples(texts, torch.stack([texts, texts], dim=1))

    @override
    def states(self, texts: Tensor, at: int) -> Tensor:
        return torch.cat([side[:, at] for side in self.sides(texts)], dim=-1)

    @override
    def onward(self, texts: Tensor, at: int) -> Tensor:
        return self(texts)[:, :, 0, at]


class ReadOut(nn.Module):
    """Classifier of the token asked for, on the frozen states of a model: linear, or a network."""

    def __init__(self, model: ToyFamily, at: int, hidden: int = 0) -> None:
        super().__init__()
        self._states = partial(model.states, at=at)  # no part of what is trained
        sizes = (model.dim, hidden, SYMBOLS) if hidden else (model.dim, SYMBOLS)
        layers = [nn.Linear(*pair) for pair in pairwise(sizes)]
        self.layers = nn.Sequential(layers[0], *(each for more in layers[1:] for each in (nn.ReLU(), more)))

    @override
    def forward(self, texts: Tensor) -> Tensor:
        """Texts (B,L) -> scores (B,V)."""
        with torch.no_grad():
            states = self._states(texts)
        return self.layers(states)


@torch.no_grad()
def dependence(model: ToyFamily, at: int, random: Generator) -> list[float]:
    """How far the state at ``at`` moves where one token is another: each one's share, in percent."""
    texts = triples(random, 256)
    states = model.states(texts, at)
    others = [with_token(texts, place, (texts[:, place] + 1) % SYMBOLS) for place in range(TRIPLE_LENGTH)]
    moved = torch.stack([(model.states(other, at) - states).norm(dim=1).mean() for other in others])
    return (100.0 * moved / moved.sum()).tolist()


@torch.no_grad()
def joint_share(model: ToyFamily, random: Generator) -> float:
    """Percent of the variance of the state amid (a, m, b) that is no sum of an effect of a and one of b."""
    a, b = torch.cartesian_prod(torch.arange(SYMBOLS), torch.arange(SYMBOLS)).T
    grid = triples(random, 1).expand(len(a), -1)
    grid = with_token(with_token(grid, JOINT_AT - 1, a), JOINT_AT + 1, b)
    # (64,M) -> (8,8,M), by a and by b
    states = model.states(grid, JOINT_AT).double().unflatten(0, (SYMBOLS, SYMBOLS))
    centred = states - states.mean(dim=(0, 1))
    joint = centred - centred.mean(dim=0, keepdim=True) - centred.mean(dim=1, keepdim=True)
    return 100.0 * float(joint.square().sum() / centred.square().sum())


@torch.no_grad()
def judged_right(model: ToyGPT, random: Generator) -> float:
    """Percent of texts that are likelier whole than with any other token amid the first triple."""
    texts = triples(random, 1024)
    every = [with_token(texts, JOINT_AT, torch.full_like(texts[:, 0], other)) for other in range(SYMBOLS)]
    unlikely = [F.cross_entropy(model(each), each, reduction="none").sum(dim=1) for each in every]
    return 100.0 * float((torch.stack(unlikely).argmin(dim=0) == texts[:, JOINT_AT]).double().mean())


@torch.no_grad()
def texts_written(model: ToyFamily, count: int, random: Generator) -> Tensor:
    """Texts (B,L) that ``model`` writes, each token drawn by its probability given those before."""
    texts = torch.zeros(count, TRIPLE_LENGTH, dtype=torch.int64)
    for at in range(TRIPLE_LENGTH):
        likely = model.onward(texts, at).softmax(dim=1)
        texts[:, at] = torch.multinomial(likely, 1, generator=random).squeeze(1)
    return texts


def fitting(texts: Tensor) -> float:
    """Percent of the triples in ``texts`` (B,L) that are as they should be."""
    a, m, b, c, again, _ = texts.T
    return 100.0 * float(torch.stack([m == a ^ b, again == c]).double().mean())


def with_token(texts: Tensor, at: int, token: Tensor) -> Tensor:
    """Texts (B,L) with ``token`` (B,) at ``at``."""
    return torch.where(torch.arange(texts.shape[1]) == at, token[:, None], texts)


def shifted(tokens: Tensor) -> Tensor:
    """Tokens (B,L), each one place later, after the token that begins a text."""
    return F.pad(tokens[:, :-1], (1, 0), value=SYMBOLS)


class ShortFormWordPiece(WordPiece):
    """WordPiece that merges the pair with the highest count(ab) / (count(a) count(b)), as is often told."""

    origin: ClassVar[str] = "a common description of WordPiece"

    @override
    def _merges(self, text: list[str], cut: Cutting, characters: list[str]) -> Iterator[Merge]:
        def ratio(counts: SymbolCounts, pair: SymbolPair) -> float:
            return counts.pairs[pair] / (counts.symbols[pair[0]] * counts.symbols[pair[1]])

        return learned_merges(counted_words(text, cut, characters, mark="##"), ratio, mark="##")


def paragraphs() -> list[str]:
    """Paragraphs of prose from the manual that comes with Python, each once."""
    found = (" ".join(part.split()) for name in sorted(topics) for part in re.split(r"\n\s*\n", topics[name]))
    return [*dict.fromkeys(part for part in found if len(part) > 60 and part[0].isupper())]


def without_morphology(texts: Sequence[str], random: Random) -> list[str]:
    """The same texts with all their letters shuffled: words keep their lengths and nothing else."""
    letters = [letter for letter in "".join(texts) if letter.isalpha()]
    random.shuffle(letters)
    drawn = iter(letters)
    return ["".join(next(drawn) if letter.isalpha() else letter for letter in text) for text in texts]


def learned_pieces(tokenizer: Tokenizer) -> set[str]:
    """Pieces of more than one character, without the mark of what continues a word."""
    pieces = (tokenizer.pieces[id].removeprefix("##") for id in tokenizer.learned_ids)
    return {piece for piece in pieces if len(piece) > 1}


def bits_a_character(tokenizer: Tokenizer, texts: Sequence[str], held_out: int) -> float:
    """Surprise of the first ``held_out`` texts to a bigram model of the others, in bits a character.

    The model discounts each count by 0.75 and gives what is saved to the frequency of the token alone, and
    what that saves in turn to all pieces alike (Ney, Essen and Kneser 1994).
    """
    spare = 0.75
    encoded = [[BOS, *tokens] for tokens in tokenizer.encode_all(texts)]
    learnt = encoded[held_out:]
    singles = Counter(chain.from_iterable(text[1:] for text in learnt))
    pairs = Counter(chain.from_iterable(pairwise(text) for text in learnt))
    firsts = Counter(chain.from_iterable(text[:-1] for text in learnt))
    followers = Counter(one for one, _ in pairs)
    total, floor = singles.total(), spare * len(singles) / singles.total() / len(tokenizer.pieces)
    bits = 0.0
    for one, other in chain.from_iterable(pairwise(text) for text in encoded[:held_out]):
        likely = max(singles[other] - spare, 0.0) / total + floor
        if count := firsts[one]:
            likely = (max(pairs[one, other] - spare, 0.0) + spare * followers[one] * likely) / count
        bits -= log2(likely)
    return bits / sum(map(len, texts[:held_out]))


def placed_reader(mask: Everything | Causal, classes: int, length: int, width: int, hidden: int) -> Reader:
    """One layer that knows positions as well as tokens: both begin with vectors of variance 1."""
    positions = (LearnedSpec(longest=length),)
    stack = small_stack(1, positions=positions, mask=mask, feed_forward=small_network(hidden))
    reader = Reader(classes + 1, classes, stack, width)
    nn.init.normal_(next(reader.stack.positions.parameters()))
    return reader


def cloze_encoder() -> Reader:
    """One layer over mirrored texts and [MASK]."""
    return placed_reader(Everything(), WORDS, CLOZE_LENGTH, CLOZE_WIDTH, hidden=64)


class TokenTagger(nn.Module):
    """Linear classifier of every token by a copy of ``model``, which is ``frozen`` or learns too."""

    def __init__(self, model: Reader, frozen: bool) -> None:
        super().__init__()
        self.reader = cloze_encoder()
        self.reader.load_state_dict(model.state_dict())
        self.reader.requires_grad_(not frozen)
        self.tag = nn.Linear(CLOZE_WIDTH, WORDS)

    @override
    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (B,L) -> scores (B,V,L)."""
        return self.tag(self.reader.hidden(tokens)).transpose(1, 2)


def chosen_by(rule: MaskingSpec) -> Draw:
    """Mirrored texts some of whose tokens, at least one, are asked for and read as ``rule`` has it."""

    def draw(random: Generator, count: int) -> Examples:
        texts = mirrored_text(random, count, CLOZE_LENGTH)
        lot, action = torch.rand(2, *texts.shape, generator=random)
        asked = (lot < rule.share) | (lot == lot.amin(dim=1, keepdim=True))
        other = torch.randint(WORDS, texts.shape, generator=random)
        read = torch.where(action < rule.mask + rule.random, other, texts).masked_fill(
            action < rule.mask, MASK_ID
        )
        return Examples(torch.where(asked, read, texts), texts.where(asked, IGNORED))

    return draw


def token_tags(mirrored: bool) -> Draw:
    """Texts without [MASK]; each token is tagged by itself, or by the token that stands opposite."""

    def draw(random: Generator, count: int) -> Examples:
        texts = mirrored_text(random, count, CLOZE_LENGTH)
        return Examples(texts, texts.flip(1) if mirrored else texts)

    return draw


@torch.no_grad()
def state_shift(model: Reader, seed: int) -> float:
    """Mean distance, 1 - cosine, of states of the same tokens with another token masked and with none."""
    texts = mirrored_text(Generator().manual_seed(seed + 78), 1024, CLOZE_LENGTH)
    masked = torch.arange(CLOZE_LENGTH) == 1
    likeness = torch.cosine_similarity(
        model.hidden(texts), model.hidden(texts.masked_fill(masked, MASK_ID)), dim=-1
    )
    return float((1.0 - likeness)[:, ~masked].mean())


@torch.no_grad()
def impossible_pairs(bert: ToyBERT, random: Generator) -> tuple[float, float, float]:
    """Percent of the pairs (c, c), drawn as ``bert`` deems likely, that are none.

    Both at once, one after the other, and where one is known.
    """
    texts = triples(random, 4096)
    first, second = COPY_AT - 1, COPY_AT
    place = torch.arange(TRIPLE_LENGTH)
    holes = texts.masked_fill((place == first) | (place == second), SYMBOLS)

    def drawn(read: Tensor, at: int) -> Tensor:
        return torch.multinomial(bert(read)[:, :, at].softmax(dim=1), 1, generator=random).squeeze(1)

    one, other = drawn(holes, first), drawn(holes, second)
    after = drawn(with_token(holes, first, one), second)
    known = drawn(with_token(holes, first, texts[:, first]), second)
    broken = torch.stack([one != other, one != after, known != texts[:, second]]).double().mean(dim=1)
    apart, in_turn, alone = (100.0 * broken).tolist()
    return apart, in_turn, alone
