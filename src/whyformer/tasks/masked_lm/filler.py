"""The filler: a text with holes in, what fits them out.

B batch · L length · N holes of a batch · V vocabulary
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor

from whyformer.data.batches.batch import Batch
from whyformer.data.batches.masking import MASK
from whyformer.data.batches.planning import map_by_length
from whyformer.data.tokenizers.tokenizer import Tokenizer
from whyformer.engines.cores import in_turns
from whyformer.errors import DecodingError
from whyformer.models.bert import BERT
from whyformer.nn.embedding import token_logits
from whyformer.special_tokens import BOS, EOS, NAMES, UNK
from whyformer.tasks.bad_lines import unreadable

_OTHER_NAMES = ("<mask>", "<MASK>", "[mask]")
"""Names of the mask token in other toolkits, such as RoBERTa's."""


@dataclass(frozen=True)
class Guess:
    """A piece that may stand in a hole."""

    text: str
    """Text of the piece as it reads there, with the space in front if it begins a word."""
    token: str
    """The same, readable."""
    probability: float
    """Probability among all pieces, special tokens left out."""


@dataclass(frozen=True)
class Filled:
    """A text, and what may stand in its holes."""

    text: str
    """Text with the likeliest piece in every hole."""
    holes: list[list[Guess]]
    """Likeliest pieces of each hole, best first."""


class Filler:
    """A trained masked language model with its tokenizer.

    A hole is written [MASK], or as the model calls its own mask token, and is filled by one piece, which may
    be less than a word. Several holes of a text are filled independently: each as if the others stayed open.
    A space before a hole belongs to what fills it, if the tokenizer's pieces have spaces in front.

    >>> fill = whyformer.load("runs/bert-tiny")  # doctest: +SKIP
    >>> fill("I am very glad to [MASK] you.")  # doctest: +SKIP
    'I am very glad to see you.'
    """

    def __init__(self, model: BERT, tokenizer: Tokenizer) -> None:
        self.model = model.eval()
        self.tokenizer = tokenizer
        # In a vocabulary of characters a space is a piece, and may not be hidden with the next.
        self._mask_names = _mask_names(tokenizer)
        begin_words = any(piece.startswith(" ") and piece.strip() for piece in tokenizer.pieces)
        self._spaces = begin_words or tokenizer.takes_space(MASK)

    def __call__(self, text: str) -> str:
        """``text`` with the likeliest piece in every hole."""
        return self.fill([text], top=1)[0].text

    @torch.inference_mode()
    def fill(
        self, texts: Sequence[str], top: int = 5, *, batch: int = 64, special_tokens: bool = False
    ) -> list[Filled]:
        """Pieces that may stand in the holes of each text.

        Args:
            texts: each with one [MASK] or more.
            top: guesses for each hole.
            batch: texts side by side; it changes the speed, not the result.
            special_tokens: whether a special token's name in a text stands for the token, not for text.

        Raises:
            DecodingError: a text is no text, has no hole or is longer than the model reads, or the model has
                no head for hidden tokens.
            TokenizerError: the tokenizer was trained without [MASK].
        """
        parts, encoded = self._read(texts, 1, special_tokens)
        mask = self._mask

        def likeliest(order: list[int]) -> Iterator[Filled]:
            rows = Batch.of([encoded[index] for index in order], self.model.embedding.weight.device)
            counts = [len(parts[index]) - 1 for index in order]
            holes = self._probabilities(rows, mask).split(counts)
            return (self._filled(parts[index], each, top) for index, each in zip(order, holes, strict=True))

        return map_by_length(in_turns(self.model, likeliest), [len(ids) for ids in encoded], batch)

    def check(self, texts: Sequence[str], *, first: int = 1) -> None:
        """Refuse what ``fill`` cannot take; ``first`` is the number of the first text, for errors.

        Raises:
            DecodingError: see ``fill``.
            TokenizerError: the tokenizer was trained without [MASK].
        """
        _ = self._read(texts, first, special_tokens=False)

    @property
    def _mask(self) -> int:
        return self.tokenizer.special(self._mask_names[-1])

    def _read(
        self, texts: Sequence[str], first: int, special_tokens: bool
    ) -> tuple[list[list[str]], list[list[int]]]:
        """The parts between the holes of each text, and its tokens."""
        if self.model.masked is None:
            raise DecodingError(
                "this model has no head for hidden tokens; train one with masked in model.heads."
            )
        mask = self._mask
        parts = [self._parts(text, number) for number, text in enumerate(texts, start=first)]
        if not special_tokens:
            self.tokenizer.note_unseen([*chain.from_iterable(parts)])
        encoded = [
            self._encoded(each, mask, number, special_tokens)
            for number, each in enumerate(parts, start=first)
        ]
        return parts, encoded

    def _parts(self, text: str, number: int) -> list[str]:
        """Texts between the holes, without the spaces that go with what fills them."""
        if (why := unreadable(text, number)) is not None:
            raise DecodingError(why)
        holes = re.split("|".join(map(re.escape, self._mask_names)), text)
        *before, last = map(self.tokenizer.normalized, holes)
        if not before:
            raise DecodingError(
                f"text {number} has no {self._mask_names[-1]}; write it where a piece is to be filled in."
            )
        return [*(part.removesuffix(" ") if self._spaces else part for part in before), last]

    def _encoded(
        self, parts: Sequence[str], mask: int, number: int, special_tokens: bool = False
    ) -> list[int]:
        first, *others = parts
        if special_tokens:
            marked = self.tokenizer.encode_marked
            head, tails = marked(first), [marked(part, inside=True) for part in others]
        else:
            head, tails = self.tokenizer.encode_beginning(first), self.tokenizer.encode_inside(others)
        ids = [BOS, *head]
        for part in tails:
            ids += [mask, *part]
        if len(ids) >= self.model.longest:
            raise DecodingError(
                f"text {number} has {len(ids) - 1:,} tokens, but the model reads "
                f"{self.model.longest - 2:,} at most; shorten it."
            )
        return [*ids, EOS]

    def _probabilities(self, rows: Batch, mask: int) -> Tensor:
        """Probabilities (N,V) of the pieces in each hole; the holes of a text follow each other."""
        hidden = self.model(rows.tokens, rows.layout)
        # (B,L,M) -> (N,M)
        logits = token_logits(*self.model.scored(hidden[rows.tokens == mask])).float()
        logits[:, : self.tokenizer.ordinary_ids.start] = -torch.inf
        return logits.softmax(dim=1).cpu()

    def _filled(self, parts: Sequence[str], holes: Tensor, top: int) -> Filled:
        best = holes.topk(min(top, len(self.tokenizer.ordinary_ids)), dim=1)
        first, *others = parts
        text = first
        guesses: list[list[Guess]] = []
        for part, ids, probabilities in zip(others, best.indices.tolist(), best.values.tolist(), strict=True):
            opens = not text or text.endswith(" ")
            guesses.append([self._guess(*each, opens) for each in zip(ids, probabilities, strict=True)])
            text += guesses[-1][0].text + part
        return Filled(text, guesses)

    def _guess(self, id: int, probability: float, opens: bool) -> Guess:
        """The piece ``id`` as it reads behind a word, or where it ``opens`` a text, without a space."""
        text = self.tokenizer.decode([UNK, id]).removeprefix(NAMES[UNK])
        return Guess(text.removeprefix(" ") if opens else text, self.tokenizer.tokens([id])[0], probability)


def _mask_names(tokenizer: Tokenizer) -> list[str]:
    """How a hole may be written: our way, and last the mask token's own name in the tokenizer."""
    own = next((name for name in (MASK, *_OTHER_NAMES) if name in tokenizer.named_tokens), MASK)
    same = (name for name, id in tokenizer.named_tokens.items() if id == tokenizer.named_tokens.get(own))
    return [*dict.fromkeys([*same, *([] if own == MASK else [MASK])]), own]
