"""Sequence to sequence by recurrent networks, with which the Transformer is compared.

B batch · S source length · T target length · R hypotheses · M model dimension · V vocabulary
"""

from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from typing_extensions import override

from whyformer.attention.heads import HeadsSpec
from whyformer.attention.mask import EVERYTHING, Mask
from whyformer.attention.multihead import AttentionSpec
from whyformer.attention.score import AdditiveSpec
from whyformer.dropout import Dropout
from whyformer.models.encoder_decoder import EncoderDecoder, EncoderDecoderState
from whyformer.nn.cache import CrossCache
from whyformer.nn.context import NO_POSITIONS
from whyformer.nn.embedding import EmbeddingSpec
from whyformer.nn.recurrent.cells import CellSpec, LSTMSpec, Memory
from whyformer.position.layout import Layout, Padding
from whyformer.spec import Spec

_WEIGHTS = "attention.taps.weights"


class RecurrentSpec(Spec):
    """A recurrent encoder-decoder, with attention or without.

    The encoder reads both ways; the decoder starts from what it remembers (Sutskever et al. 2014). Attention
    looks with the decoder's state at the encoder's (Luong et al. 2015, section 3.1; without input feeding,
    so that training runs over whole sentences at once), by any score, such as that of Bahdanau et al. 2015.
    """

    kind: Literal["recurrent"] = "recurrent"
    d_model: int = Field(default=256, ge=2, multiple_of=2)
    """Components of a token's vector and of a state; each direction of the encoder has half of them."""
    embedding: EmbeddingSpec = EmbeddingSpec()
    """Token embeddings and what they share."""
    cell: CellSpec = LSTMSpec()
    """Recurrent cell."""
    layers: int = Field(default=2, ge=1)
    """Layers of the encoder, and of the decoder."""
    attention: AttentionSpec | None = AttentionSpec(heads=HeadsSpec(query=1), score=AdditiveSpec())
    """Attention of the decoder to the source; null: it has nothing but its first state."""
    dropout: float = Field(default=0.3, ge=0.0, lt=1.0)
    """Probability that a component between layers, or before the output, is dropped in training."""
    longest: int = Field(default=1024, ge=2)
    """Maximum number of tokens of a source or target sentence, special tokens included."""

    @model_validator(mode="after")
    def _attends(self) -> "RecurrentSpec":
        if self.attention is not None:
            self.attention.heads.head_dim(self.d_model)
            if fault := self.attention.across():
                raise ValueError(f"attention.{fault}")
        return self

    def build(self, source_vocabulary: int, target_vocabulary: int) -> "RecurrentTranslator":
        """The model, freshly initialised from torch's global random state.

        Raises:
            ValueError: source and target embeddings are tied, but the vocabularies differ in size.
        """
        return RecurrentTranslator(self, source_vocabulary, target_vocabulary)


class RecurrentState(EncoderDecoderState):
    """Memory of the decoder, and the source as its attention sees it."""

    def __init__(self, memory: Memory, cross: CrossCache, watch_attention: bool) -> None:
        super().__init__(watch_attention)
        self.memory = memory
        self.cross = cross

    @override
    def select(self, rows: Tensor) -> None:
        self.memory = tuple(part.index_select(1, rows) for part in self.memory)
        self.cross.select(rows)


class RecurrentTranslator(EncoderDecoder[RecurrentState]):
    """Recurrent encoder, recurrent decoder, and between them attention or only the last state."""

    def __init__(self, spec: RecurrentSpec, source_vocabulary: int, target_vocabulary: int) -> None:
        super().__init__(spec, source_vocabulary, target_vocabulary)
        self.spec = spec
        self.encoder = spec.cell.build(spec.d_model, spec.layers, spec.dropout, both_ways=True)
        self.decoder = spec.cell.build(spec.d_model, spec.layers, spec.dropout)
        # What the two directions remember is of another kind than what one decoder does.
        self.bridge = nn.Linear(spec.d_model, spec.d_model)
        self.attention = None if spec.attention is None else spec.attention.build(spec.d_model)
        self.combine = None if spec.attention is None else nn.Linear(2 * spec.d_model, spec.d_model)
        self.dropout = Dropout(spec.dropout)

    @override
    def forward(self, source: Tensor, source_valid: Padding, target: Tensor, target_valid: Padding) -> Tensor:
        state = self.start(source, source_valid)
        return self._write(target, Layout.of(target_valid), state)

    @override
    def start(self, source: Tensor, valid: Padding, watch_attention: bool = False) -> RecurrentState:
        table, layout = self.source_embedding, Layout.of(valid)
        states, memory = self.encoder.read(table.dropout(table(source)), layout)
        first = tuple(torch.tanh(self.bridge(part)) for part in memory)
        layers = []
        if self.attention is not None:
            layers.append(self.attention.key_values(self.dropout(states), NO_POSITIONS, layout.position))
        return RecurrentState(first, CrossCache(layers, layout), watch_attention)

    @override
    def step(self, tokens: Tensor, state: RecurrentState) -> Tensor:
        queries = Layout.counting(len(tokens), 1, device=tokens.device)
        with state.watching(self, _WEIGHTS):
            hidden = self._write(tokens[:, None], queries, state)
        # (R,1,M) -> (R,M)
        return self.logits(hidden[:, -1]) if state.scores_tokens else hidden[:, -1]

    def _write(self, tokens: Tensor, queries: Layout, state: RecurrentState) -> Tensor:
        """Feed ``tokens`` (B,T), advance ``state``; hidden states (B,T,M)."""
        table = self.target_embedding
        hidden, state.memory = self.decoder(table.dropout(table(tokens)), state.memory)
        if self.attention is not None and self.combine is not None:
            mask = Mask(EVERYTHING, queries, state.cross.layout)
            context = self.attention(hidden, state.cross.layers[0], mask, NO_POSITIONS)
            hidden = torch.tanh(self.combine(torch.cat([hidden, context], dim=-1)))
        return self.dropout(hidden)
