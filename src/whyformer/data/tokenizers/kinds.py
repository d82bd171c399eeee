"""The kinds of tokenizer: what each is, what it promises, and how it is trained.

Training is deterministic: the same lines give the same file, byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import Field

from whyformer import special_tokens
from whyformer.data.tokenizers import pre_tokenization as cutting
from whyformer.data.tokenizers.imported import Imported
from whyformer.data.tokenizers.merges import Merge, counted_words, frequency, learned_merges, likelihood_gain
from whyformer.data.tokenizers.pre_tokenization import Cutting, Split
from whyformer.data.tokenizers.specials import BYTES, UNKNOWN_NAME, Specials
from whyformer.data.tokenizers.text.normalization import TextSpec
from whyformer.data.tokenizers.tokenizer import Tokenizer
from whyformer.data.tokenizers.training import alphabet, finished, gathered, learn, room_for
from whyformer.errors import TokenizerError
from whyformer.spec import Spec

if TYPE_CHECKING:
    from tokenizers.decoders import Decoder
    from tokenizers.models import Model


# No part of a longer WordPiece; the hash, so that no word, and no piece but its mark, begins with "##".
_STANDING_ALONE = (cutting.UNSPACED_CHARACTER, cutting.HASH)


class _Trained(Spec):
    """Base of all kinds."""

    lowercase: bool = False
    """Turn text into lower case, in training and in use; its case is then lost."""
    text: TextSpec = TextSpec()
    """Normal form of text, in training and in use: characters, white space, what is invisible."""
    nfc: bool = False
    """Older name of ``text: {unicode: nfc}``, which is the default now: true composes characters where
    ``text.unicode`` says none."""
    specials: Specials = ()
    """Names of extra special tokens, for instance ``[MASK]``; their ids follow the four base ones."""

    def _cutting(self, *patterns: str, space_in_front: bool = True) -> Cutting:
        return Cutting(patterns, self._text, lowercase=self.lowercase, space_in_front=space_in_front)

    @property
    def _text(self) -> TextSpec:
        composed = self.nfc and self.text.unicode == "none"
        return self.text.model_copy(update={"unicode": "nfc"}) if composed else self.text

    def _reserved(self, *, byte_fallback: bool) -> list[str]:
        """The pieces that are not learned, in the order of their ids."""
        return [*special_tokens.NAMES, *self.specials, *(BYTES if byte_fallback else ())]

    def _finished(self, model: Model, cut: Cutting, lines: Iterable[str], *to_text: Decoder) -> Tokenizer:
        spec = self.model_copy(update={"text": self.text.decided("fold")}).model_dump(mode="json")
        return finished(model, cut, spec, lines, to_text=to_text)

    def for_documents(self) -> Self:
        """The same for documents, whose lines mean something, where the recipe does not say otherwise."""
        return self.model_copy(update={"text": self.text.decided("plain")})


class _Subword(_Trained):
    """Base of the kinds that learn pieces of words."""

    vocabulary: int = Field(default=8000, ge=1)
    """Maximum number of pieces, special tokens and bytes included; a small text may yield fewer."""
    split: Split = "words"
    """Where pieces must end: ``words`` for raw text, ``spaces`` for text already tokenised."""
    coverage: float = Field(default=0.9995, gt=0, le=1)
    """Share of the training text's characters that are pieces of their own; the rarest are left out."""

    def _prepared(self, lines: Iterable[str], *patterns: str) -> tuple[list[str], Cutting, list[str]]:
        """The text, how it is cut, and its characters that are pieces."""
        text = gathered(lines)
        spelled = cutting.spelled_special_pattern(self.specials)
        cut = self._cutting(cutting.word_pattern(self.split), *patterns, spelled)
        return text, cut, alphabet(text, cut, self.coverage)


class BPE(_Subword):
    """Byte-pair encoding: start from characters, merge the most frequent neighbours, again and again.

    Encoding replays the merges in the order in which they were learned. With ``byte_fallback`` every
    text comes back unchanged; without it, an unknown character becomes one unknown token.
    Source: Sennrich, Haddow and Birch 2016, algorithm 1.
    """

    origin: ClassVar[str] = "Sennrich et al. 2016, algorithm 1"
    kind: Literal["bpe"] = "bpe"
    byte_fallback: bool = True
    """Spell characters that are no pieces as UTF-8 bytes (256 pieces) instead of the unknown token."""

    def train(self, lines: Iterable[str]) -> Tokenizer:
        """Learn the merges from ``lines``, which are held in memory.

        Raises:
            TokenizerError: no text, or ``vocabulary`` cannot hold its characters.
        """
        from tokenizers import models, trainers

        text, cut, characters = self._prepared(lines)
        reserved = self._reserved(byte_fallback=self.byte_fallback)
        trainer = trainers.BpeTrainer(
            vocab_size=room_for(characters, reserved, self.vocabulary),
            min_frequency=2,  # a pair seen once tells nothing about other text
            initial_alphabet=characters,
            limit_alphabet=len(characters),
            show_progress=False,
        )
        learned = learn(models.BPE(), trainer, text, cut, only=characters)
        model = models.BPE(
            vocab=_numbered([*reserved, *_by_id(learned["vocab"])]),
            merges=[(left, right) for left, right in learned["merges"]],
            unk_token=UNKNOWN_NAME,
            byte_fallback=self.byte_fallback,
        )
        return self._finished(model, cut, text, _bytes_to_text())

    def merges(self, lines: Iterable[str]) -> Iterator[Merge]:
        """Yield the merges that :meth:`train` learns, and those that a larger vocabulary would add.

        Raises:
            TokenizerError: no text.
        """
        text, cut, characters = self._prepared(lines)
        return learned_merges(counted_words(text, cut, characters), frequency)


class Unigram(_Subword):
    """Unigram language model: start from many substrings, drop those that the text misses least.

    Encoding finds the most probable sequence of pieces. With ``byte_fallback`` every text comes back
    unchanged; without it, a run of unknown characters becomes one unknown token.
    Source: Kudo 2018, section 3.2.
    """

    origin: ClassVar[str] = "Kudo 2018, section 3.2"
    kind: Literal["unigram"] = "unigram"
    byte_fallback: bool = True
    """Spell characters that are no pieces as UTF-8 bytes (256 pieces) instead of the unknown token."""

    def train(self, lines: Iterable[str]) -> Tokenizer:
        """Learn the pieces and their probabilities from ``lines``, which are held in memory.

        Raises:
            TokenizerError: no text, or ``vocabulary`` cannot hold its characters.
        """
        from tokenizers import models, trainers

        text, cut, characters = self._prepared(lines)
        reserved = self._reserved(byte_fallback=self.byte_fallback)
        trainer = trainers.UnigramTrainer(
            vocab_size=room_for(characters, reserved, self.vocabulary),
            initial_alphabet=characters,
            show_progress=False,
        )
        learned = learn(models.Unigram(), trainer, text, cut, only=characters)
        model = models.Unigram(
            # Reserved pieces are never looked up: no text can spell them (see cutting).
            vocab=[*((name, 0.0) for name in reserved), *_ties_apart(learned["vocab"])],
            unk_id=special_tokens.UNK,
            byte_fallback=self.byte_fallback,
        )
        return self._finished(model, cut, text, _bytes_to_text())


class WordPiece(_Subword):
    """WordPiece: each word is cut greedily into the longest known pieces; ``##`` marks a continuation.

    A word with an unknown character, or of more than 100 characters, becomes one unknown token; all other
    text comes back unchanged. Characters of scripts without spaces stand alone.
    Source: Schuster and Nakajima 2012, section 3; Devlin et al. 2019 for the ``##`` mark.
    """

    origin: ClassVar[str] = "Schuster and Nakajima 2012, section 3"
    kind: Literal["wordpiece"] = "wordpiece"
    criterion: Literal["likelihood", "frequency"] = "likelihood"
    """Neighbours that are merged next: those that most raise the likelihood of a unigram model of the text,
    as in the paper, or the most frequent ones, as in BPE and the trainer of the tokenizers library."""

    def train(self, lines: Iterable[str]) -> Tokenizer:
        """Learn the pieces from ``lines``, which are held in memory.

        Raises:
            TokenizerError: no text, or ``vocabulary`` cannot hold its characters, each in two forms.
        """
        from tokenizers import Regex, decoders, models

        text, cut, characters = self._prepared(lines, *_STANDING_ALONE)
        # What opens a word in this text may continue one in the next: both forms must be known.
        continuing = cutting.without("|".join(_STANDING_ALONE), characters)
        single = [*characters, *(f"##{character}" for character in continuing)]
        reserved = self._reserved(byte_fallback=False)
        room = room_for(single, reserved, self.vocabulary) - len(single)
        learned = (merge.merged for merge in islice(self._merges(text, cut, characters), room))
        model = models.WordPiece(vocab=_numbered([*reserved, *single, *learned]), unk_token=UNKNOWN_NAME)
        return self._finished(model, cut, text, decoders.Replace(Regex("^##"), ""), _unknown_word_to_text())

    def merges(self, lines: Iterable[str]) -> Iterator[Merge]:
        """Yield the merges that :meth:`train` learns, and those that a larger vocabulary would add.

        Raises:
            TokenizerError: no text.
        """
        return self._merges(*self._prepared(lines, *_STANDING_ALONE))

    def _merges(self, text: list[str], cut: Cutting, characters: list[str]) -> Iterator[Merge]:
        score = likelihood_gain if self.criterion == "likelihood" else frequency
        return learned_merges(counted_words(text, cut, characters, mark="##"), score, mark="##")


class Word(_Trained):
    """Whole words: every frequent word is a piece, any other word one unknown token.

    Text whose words are all known comes back unchanged. Characters of scripts without spaces are words.
    """

    origin: ClassVar[str] = "a control"
    kind: Literal["word"] = "word"
    vocabulary: int = Field(default=32000, ge=1)
    """Maximum number of words, special tokens included; a small text may yield fewer."""
    split: Split = "words"
    """Where words end: ``words`` for raw text, ``spaces`` for text already tokenised."""
    least: int = Field(default=1, ge=1)
    """Times a word must occur in the training text to be known."""

    def train(self, lines: Iterable[str]) -> Tokenizer:
        """Count the words of ``lines``.

        Raises:
            TokenizerError: no text, or ``vocabulary`` has no room for a single word.
        """
        from tokenizers import models, trainers

        text = gathered(lines)
        cut = self._cutting(
            cutting.word_pattern(self.split),
            cutting.UNSPACED_CHARACTER,
            cutting.spelled_special_pattern(self.specials),
        )
        reserved = self._reserved(byte_fallback=False)
        if self.vocabulary <= len(reserved):
            raise TokenizerError(
                f"a vocabulary of {self.vocabulary} is too small: {len(reserved)} special tokens leave no "
                "room for a word; raise `vocabulary`."
            )
        trainer = trainers.WordLevelTrainer(
            vocab_size=self.vocabulary - len(reserved), min_frequency=self.least, show_progress=False
        )
        learned = learn(models.WordLevel(), trainer, text, cut)
        # A space that belongs to no word stands between two spaces, or before a script without spaces.
        pieces = list(dict.fromkeys([*reserved, " ", *_by_id(learned["vocab"])]))[: self.vocabulary]
        model = models.WordLevel(_numbered(pieces), unk_token=UNKNOWN_NAME)
        return self._finished(model, cut, text, _unknown_word_to_text())


class Character(_Trained):
    """Characters: each is a piece.

    With ``byte_fallback`` every text comes back unchanged; without it, an unknown character becomes one
    unknown token.
    """

    origin: ClassVar[str] = "a control"
    kind: Literal["character"] = "character"
    coverage: float = Field(default=1.0, gt=0, le=1)
    """Share of the training text's characters that are pieces; the rarest are left out."""
    byte_fallback: bool = True
    """Spell characters that are no pieces as UTF-8 bytes (256 pieces) instead of the unknown token."""

    def train(self, lines: Iterable[str]) -> Tokenizer:
        """Collect the characters of ``lines``.

        Raises:
            TokenizerError: no text.
        """
        from tokenizers import models

        cut = self._cutting(space_in_front=False)
        text = gathered(lines)
        characters = alphabet(text, cut, self.coverage)
        model = models.BPE(
            vocab=_numbered([*self._reserved(byte_fallback=self.byte_fallback), *characters]),
            merges=[],  # byte-pair encoding before its first merge
            unk_token=UNKNOWN_NAME,
            byte_fallback=self.byte_fallback,
        )
        return self._finished(model, cut, text, _bytes_to_text())


TokenizerSpec = Annotated[
    BPE | Unigram | WordPiece | Word | Character | Imported, Field(discriminator="kind")
]


def _numbered(pieces: Iterable[str]) -> dict[str, int]:
    return {piece: id for id, piece in enumerate(pieces)}


def _by_id(vocabulary: dict[str, int]) -> list[str]:
    return sorted(vocabulary, key=vocabulary.__getitem__)


def _ties_apart(pieces: list[tuple[str, float]]) -> list[tuple[str, float]]:
    """Take out of a Unigram vocabulary what differs between two trainings on the same text.

    The library sums in random order, so the last digits of scores differ; and characters that no surviving
    piece needs get the lowest score plus 0.0001 × their place in a random order. Here all single
    characters in that range get the lowest score, scores are rounded, and ties are sorted by text.
    """
    lowest = min(score for _, score in pieces)
    reach = lowest + 0.0001 * sum(len(piece) == 1 for piece, _ in pieces)
    even = [(piece, lowest if len(piece) == 1 and score <= reach else score) for piece, score in pieces]
    return sorted(((piece, round(score, 6)) for piece, score in even), key=lambda item: (-item[1], item[0]))


def _bytes_to_text() -> Decoder:
    from tokenizers import decoders

    return decoders.ByteFallback()


def _unknown_word_to_text() -> Decoder:
    """Give back the space that went with the unknown word."""
    from tokenizers import decoders

    return decoders.Replace(UNKNOWN_NAME, f" {UNKNOWN_NAME}")
