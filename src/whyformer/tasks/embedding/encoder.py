"""Readers of texts for pretrained models: the states of every token in each layer.

B batch · L length · M model dimension
"""

from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
from torch import Tensor, nn

from whyformer.data.batches.batch import Batch
from whyformer.data.batches.word_windows import Windows
from whyformer.data.corpora.detection.blank import is_blank
from whyformer.data.tokenizers.imported import prompt_tokens, separators
from whyformer.data.tokenizers.tokenizer import Tokenizer
from whyformer.models.backbone import BackboneSpec
from whyformer.models.bert import BERT, BERTSpec
from whyformer.models.elmo import ELMo, ELMoSpec
from whyformer.models.gpt import GPT, GPTSpec
from whyformer.special_tokens import BOS, EOS
from whyformer.tasks.bad_lines import BadLines, unreadable

TextOrPair = tuple[str, ...]
"""One text, or two that are read together; texts that share a call are all of one sort."""
ModelT_contra = TypeVar("ModelT_contra", bound=nn.Module, contravariant=True)


class Reading(NamedTuple):
    """States of some texts in all layers."""

    layers: list[Tensor]
    """States (B,L,M) of each layer, the embeddings first."""
    valid: Tensor
    """(B,L) bool, True where a token is real."""


class Encoder(Protocol[ModelT_contra]):
    """Prepares texts for models of one kind."""

    @property
    def longest(self) -> int | None:
        """Maximum number of tokens of a text or pair, special tokens included; None if there is no bound."""
        ...

    def lengths(self, texts: Sequence[TextOrPair]) -> list[int]:
        """Number of tokens of each text or pair, special tokens included."""
        ...

    def encode(self, model: ModelT_contra, texts: Sequence[TextOrPair]) -> Reading:
        """Read ``texts`` as they stand in one batch; of what is too long, the beginning."""
        ...

    def note_unseen(self, texts: Sequence[TextOrPair]) -> None:
        """Say once which characters of ``texts`` were never seen in training."""
        ...


class TokenEncoder:
    """Reader for models of tokens: ``<s> text </s>`` or ``<s> text </s> second </s>``.

    A model that reads from left to right was never trained to read past EOS, so it gets none; the state of
    the last word stands for the text.
    """

    def __init__(self, spec: BERTSpec | GPTSpec, tokenizer: Tokenizer) -> None:
        self.longest: int | None = spec.longest
        self._tokenizer = tokenizer
        self._reads_both_ways = isinstance(spec, BERTSpec)
        self._between = [EOS] * separators(tokenizer)
        self._close = [EOS] if self._reads_both_ways else []

    def lengths(self, texts: Sequence[TextOrPair]) -> list[int]:
        """Number of tokens of each text or pair, special tokens included."""
        return [len(ids) for ids in self._framed(texts)]

    def encode(self, model: BERT | GPT, texts: Sequence[TextOrPair]) -> Reading:
        """Read ``texts`` as they stand in one batch; of what is too long, the beginning."""
        rows = Batch.of(self._framed(texts, self.longest), model.embedding.weight.device)
        layout = rows.layout
        if isinstance(model, BERT):
            ends = (rows.tokens == EOS).long()
            # (B,L), 1 behind the first EOS: the second text
            types = 1 if model.token_type is None else model.token_type.num_embeddings
            second = (ends.cumsum(dim=1) - ends).clamp_max(min(1, types - 1))
            embedded = model.embed(rows.tokens, layout, second)
        else:
            embedded = model.embed(rows.tokens, layout)
        return Reading(model.stack.layers(embedded, layout), rows.valid)

    def note_unseen(self, texts: Sequence[TextOrPair]) -> None:
        """Say once which characters of ``texts`` were never seen in training."""
        self._tokenizer.note_unseen([*chain.from_iterable(texts)])

    def _framed(self, texts: Sequence[TextOrPair], longest: int | None = None) -> list[list[int]]:
        """The texts with their marks, cut to ``longest`` tokens."""
        columns = [self._tokenizer.encode_all(side) for side in zip(*texts, strict=True)]
        framed: list[list[int]] = []
        for sides in zip(*columns, strict=True):
            if longest is not None:
                marks = 1 + len(self._between) * (len(sides) - 1) + len(self._close)
                sides = _fitted(sides, longest - marks)
            first, *others = sides
            ids = [BOS, *first] if self._reads_both_ways else prompt_tokens(self._tokenizer, first)
            for other in others:
                ids += [*self._between, *other]
            framed.append([*ids, *self._close])
        return framed


def _fitted(sides: Sequence[list[int]], room: int) -> list[list[int]]:
    """The beginnings of ``sides`` that have ``room`` together: what is longest is cut first."""
    kept = [*sides]
    while sum(map(len, kept)) > room:
        place = max(range(len(kept)), key=lambda index: len(kept[index]))
        others = sum(map(len, kept)) - len(kept[place])
        second = max((len(each) for index, each in enumerate(kept) if index != place), default=0)
        kept[place] = kept[place][: max(room - others, second - 1, 0)]
    return kept


class WordEncoder:
    """Reader for models of spelled words. They know no separator of texts: two are read as one."""

    longest: int | None = None

    def __init__(self, spec: ELMoSpec, tokenizer: Tokenizer) -> None:
        self._spec = spec
        self._tokenizer = tokenizer

    def lengths(self, texts: Sequence[TextOrPair]) -> list[int]:
        """Number of words of each text or pair, BOS and EOS included."""
        return self._windows(texts).lengths.tolist()

    def note_unseen(self, texts: Sequence[TextOrPair]) -> None:
        """Say nothing: words are spelled in bytes, of which none is new."""

    def encode(self, model: ELMo, texts: Sequence[TextOrPair]) -> Reading:
        """Read ``texts`` as they stand in one batch."""
        words, _ = self._windows(texts).batch(np.arange(len(texts)), model.output_weight.device)
        return Reading(model.layers(words), words.valid)

    def _windows(self, texts: Sequence[TextOrPair]) -> Windows:
        return Windows([" ".join(text) for text in texts], self._tokenizer, self._spec.characters, None)


def encoder(spec: BackboneSpec, tokenizer: Tokenizer) -> Encoder[Any]:
    """The reader of texts for models of ``spec``, and for no others."""
    return WordEncoder(spec, tokenizer) if isinstance(spec, ELMoSpec) else TokenEncoder(spec, tokenizer)


def usable_texts(
    encoder: Encoder[Any], texts: Sequence[TextOrPair], first: int, bad: BadLines
) -> tuple[list[int], list[int]]:
    """The indices of the lines that can be read, which are not blank, and their lengths.

    Args:
        encoder: reads them.
        texts: lines, each of one text or a pair.
        first: the caller's number of the first line.
        bad: what to do about lines that cannot be read.

    Raises:
        DecodingError: there is such a line, and the choice is to stop.
    """
    sound = [index for index, text in enumerate(texts) if _is_sound(text, first + index, bad)]
    kept = [texts[index] for index in sound]
    encoder.note_unseen(kept)
    lengths = dict(zip(sound, encoder.lengths(kept), strict=True))
    for index, length in lengths.items():
        if encoder.longest is not None and length > encoder.longest:
            number = first + index
            bad.cut_short(
                number,
                f"line {number} has {length:,} tokens with its marks, but the model reads "
                f"{encoder.longest:,} at most; shorten it.",
            )
    sound = [index for index in sound if first + index not in bad.left_out]
    return sound, [lengths[index] for index in sound]


def _is_sound(text: TextOrPair, number: int, bad: BadLines) -> bool:
    """Whether there is something to read on line ``number``, of which all can be read."""
    filled = [not is_blank(part) for part in text]
    if number in bad.left_out or not any(filled):
        return False
    for part in text:
        if (why := unreadable(part, number)) is not None:
            bad.leave_out(number, why)
            return False
    if not all(filled):
        bad.leave_out(number, f"line {number} holds an empty text; fill it in or remove the line.")
        return False
    return True
