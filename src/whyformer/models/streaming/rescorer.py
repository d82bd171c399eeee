"""Rescorer: attention decoders over an encoder's hidden states that judge texts written by something else.

B batch · S encoder frames · R texts · T symbols of a text and its end · N real ones of them
M model dimension · V symbols of the search, blank included
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from pydantic import Field, model_validator
from torch import Tensor
from typing_extensions import override

from whyformer.attention.mask import Causal
from whyformer.attention.multihead import AttentionSpec
from whyformer.nn.cache import CrossCache
from whyformer.nn.embedding import EmbeddingSpec, OutputTable, TokenEmbedding
from whyformer.nn.stack import BlockSpec, Stack, StackSpec
from whyformer.position.layout import Layout, Padding
from whyformer.spec import Spec
from whyformer.special_tokens import BOS, EOS, NAMES, PAD

SYMBOL_OFFSET = len(NAMES) - 1
"""Difference of a symbol's id in the decoders and in the search: there, symbols 1 to V-1 follow the blank;
here they follow the special tokens, of which padding takes the blank's id 0."""


class RescorerSpec(Spec):
    """One attention decoder or two, which share the table of symbols."""

    decoder: StackSpec = StackSpec(layers=3, mask=Causal(), block=BlockSpec(cross_attention=AttentionSpec()))
    """Reads a text from left to right."""
    reverse_layers: int = Field(default=0, ge=0)
    """Layers of a second decoder like it, which reads from right to left; 0 for none."""
    embedding: EmbeddingSpec = EmbeddingSpec()
    """Embeddings of the symbols, also those that score them unless tie is none."""

    @model_validator(mode="after")
    def _fits_together(self) -> "RescorerSpec":
        if self.decoder.block.cross_attention is None:
            raise ValueError("decoder.block.cross_attention is missing: a decoder has to read the encoder")
        if not self.decoder.mask.causal:
            raise ValueError("decoder.mask lets a token see later ones, which leaks; use kind: causal")
        return self

    def build(self, d_model: int, symbols: int) -> "Rescorer":
        """The decoders for an encoder of ``d_model`` components and V ``symbols``, blank included."""
        return Rescorer(self, d_model, symbols)


class ReadTexts(NamedTuple):
    """Texts as a decoder has read them."""

    hidden: Tensor
    """(N,M) states that predict a symbol or the end."""
    gold: Tensor
    """(N,) int64, ids of what they predict, in the order of the texts."""
    lengths: tuple[int, ...]
    """Predictions of each text: one more than it has symbols."""


class Rescorer(OutputTable):
    """Decoders whose every prediction has read the encoder and the text on one side of it."""

    def __init__(self, spec: RescorerSpec, d_model: int, symbols: int) -> None:
        super().__init__()
        vocabulary = symbols + SYMBOL_OFFSET
        self.spec = spec
        self.embedding = TokenEmbedding(vocabulary, d_model, spec.embedding)
        self.make_output(vocabulary, d_model, spec.embedding)
        self.left_to_right = spec.decoder.build(d_model)
        self.right_to_left: Stack | None = None
        if spec.reverse_layers:
            backwards = spec.decoder.model_copy(update={"layers": spec.reverse_layers})
            self.right_to_left = backwards.build(d_model)

    @property
    @override
    def target_embedding(self) -> TokenEmbedding:
        return self.embedding

    @override
    def forward(
        self,
        memory: Tensor,
        layout: Padding,
        texts: Sequence[Sequence[int]],
        *,
        rows: Sequence[int] | None = None,
        reverse: bool = False,
    ) -> ReadTexts:
        """Read every text, each prediction knowing all before it.

        Args:
            memory: (B,S,M) the encoder's hidden states.
            layout: which of them are real, (B,S) or their layout.
            texts: (R) ids of the search, 1 to V-1; none is legal.
            rows: (R) which row of the memory each text belongs to; text i to row i if left out.
            reverse: from right to left.

        Raises:
            ValueError: there is no decoder from right to left.
        """
        stack = self.right_to_left if reverse else self.left_to_right
        if stack is None:
            raise ValueError("there is no decoder from right to left; set reverse_layers above 0")
        cross = stack.read(memory, Layout.of(layout))
        if rows is not None:
            cross.select(torch.tensor(list(rows), dtype=torch.int64, device=memory.device))
        return self._read(stack, cross, [tuple(text)[::-1] if reverse else tuple(text) for text in texts])

    def log_probabilities(
        self,
        memory: Tensor,
        layout: Padding,
        texts: Sequence[Sequence[int]],
        *,
        rows: Sequence[int] | None = None,
        reverse: bool = False,
    ) -> list[float]:
        """Log-probability of each of R texts, the sum over its symbols and its end; see ``forward``."""
        if not texts:
            return []
        read = self(memory, layout, texts, rows=rows, reverse=reverse)
        # (N,M) -> (N,V) -> (N,)
        scores = torch.log_softmax(self.logits(read.hidden), dim=-1, dtype=torch.float32)
        summands = scores.gather(1, read.gold[:, None]).squeeze(1)
        return torch.stack([part.sum() for part in summands.detach().split(read.lengths)]).tolist()

    def _read(self, stack: Stack, cross: CrossCache, texts: Sequence[tuple[int, ...]]) -> ReadTexts:
        device = cross.layout.position.device
        lengths = tuple(len(text) + 1 for text in texts)
        width = max(lengths, default=0)
        ids = [[symbol + SYMBOL_OFFSET for symbol in text] for text in texts]
        fill = [[PAD] * (width - length) for length in lengths]
        tokens = torch.tensor(
            [[BOS, *text, *pad] for text, pad in zip(ids, fill, strict=True)], device=device
        )
        gold = torch.tensor([[*text, EOS, *pad] for text, pad in zip(ids, fill, strict=True)], device=device)
        valid = torch.arange(width, device=device) < torch.tensor(lengths, device=device)[:, None]
        queries = Layout.right_padded(valid, lengths)
        # (R,T) -> (R,T,M)
        x = self.embedding.dropout(stack.embed(self.embedding(tokens), queries))
        hidden = stack(x, queries, cross=cross)
        return ReadTexts(hidden[valid], gold[valid], lengths)
