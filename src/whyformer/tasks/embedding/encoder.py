"""Readers of texts for pretrained models: the states of every token in each layer.

B batch · L length · M model dimension
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
from torch import Tensor, nn

from whyformer.data.batches.batch import Batch
from whyformer.data.batches.word_windows import Windows
from whyformer.data.tokenizers.tokenizer import Tokenizer
from whyformer.errors import DecodingError
from whyformer.models.backbone import BackboneSpec
from whyformer.models.bert import BERT, BERTSpec
from whyformer.models.elmo import ELMo, ELMoSpec
from whyformer.models.gpt import GPT, GPTSpec
from whyformer.special_tokens import BOS, EOS

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
        """Read ``texts``, none of them too long, as they stand in one batch."""
        ...


class TokenEncoder:
    """Reader for models of tokens: ``<s> text </s>`` or ``<s> text </s> second </s>``.

    A model that reads from left to right was never trained to read past EOS, so it gets none; the state of
    the last word stands for the text.
    """

    def __init__(self, spec: BERTSpec | GPTSpec, tokenizer: Tokenizer) -> None:
        self.longest: int | None = spec.longest
        self._tokenizer = tokenizer
        self._close = [EOS] if isinstance(spec, BERTSpec) else []

    def lengths(self, texts: Sequence[TextOrPair]) -> list[int]:
        """Number of tokens of each text or pair, special tokens included."""
        return [len(ids) for ids in self._framed(texts)]

    def encode(self, model: BERT | GPT, texts: Sequence[TextOrPair]) -> Reading:
        """Read ``texts``, none of them too long, as they stand in one batch."""
        rows = Batch.of(self._framed(texts), model.embedding.weight.device)
        layout = rows.layout
        if isinstance(model, BERT):
            ends = (rows.tokens == EOS).long()
            # (B,L), 1 behind the first EOS: the second text
            second = (ends.cumsum(dim=1) - ends).clamp_max(min(1, model.token_type.num_embeddings - 1))
            embedded = model.embed(rows.tokens, layout, second)
        else:
            embedded = model.embed(rows.tokens, layout)
        return Reading(model.stack.layers(embedded, layout), rows.valid)

    def _framed(self, texts: Sequence[TextOrPair]) -> list[list[int]]:
        sides = [self._tokenizer.encode_all(side) for side in zip(*texts, strict=True)]
        framed = [[BOS, *ids] for ids in sides[0]] if sides else []
        for second in sides[1:]:
            framed = [[*ids, EOS, *more] for ids, more in zip(framed, second, strict=True)]
        return [[*ids, *self._close] for ids in framed]


class WordEncoder:
    """Reader for models of spelled words. They know no separator of texts: two are read as one."""

    longest: int | None = None

    def __init__(self, spec: ELMoSpec, tokenizer: Tokenizer) -> None:
        self._spec = spec
        self._tokenizer = tokenizer

    def lengths(self, texts: Sequence[TextOrPair]) -> list[int]:
        """Number of words of each text or pair, BOS and EOS included."""
        return self._windows(texts).lengths.tolist()

    def encode(self, model: ELMo, texts: Sequence[TextOrPair]) -> Reading:
        """Read ``texts`` as they stand in one batch."""
        words, _ = self._windows(texts).batch(np.arange(len(texts)), model.output_weight.device)
        return Reading(model.layers(words), words.valid)

    def _windows(self, texts: Sequence[TextOrPair]) -> Windows:
        return Windows([" ".join(text) for text in texts], self._tokenizer, self._spec.characters, None)


def encoder(spec: BackboneSpec, tokenizer: Tokenizer) -> Encoder[Any]:
    """The reader of texts for models of ``spec``, and for no others."""
    return WordEncoder(spec, tokenizer) if isinstance(spec, ELMoSpec) else TokenEncoder(spec, tokenizer)


def checked_lengths(encoder: Encoder[Any], texts: Sequence[TextOrPair], first: int) -> list[int]:
    """The lengths of lines, of which the caller's number ``first`` is the first.

    Raises:
        DecodingError: one of them is empty, or longer than the model reads.
    """
    lengths = encoder.lengths(texts)
    for number, (text, length) in enumerate(zip(texts, lengths, strict=True), start=first):
        if not all(part.strip() for part in text):
            raise DecodingError(f"line {number} holds an empty text; fill it in or remove the line.")
        if encoder.longest is not None and length > encoder.longest:
            raise DecodingError(
                f"line {number} has {length:,} tokens with its marks, but the model reads "
                f"{encoder.longest:,} at most; shorten it."
            )
    return lengths
