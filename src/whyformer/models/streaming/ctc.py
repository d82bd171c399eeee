"""A streaming encoder whose frames emit symbols, or blank, by connectionist temporal classification.

B rows · T input frames · L encoder frames · M model dimension · V symbols, blank included
"""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn
from typing_extensions import override

from whyformer.attention.mask import Rule
from whyformer.decoding.ctc.sums import frame_log_probabilities
from whyformer.dropout import Dropout
from whyformer.models.streaming.encoder import EncoderState, StreamingEncoder
from whyformer.models.streaming.rescorer import Rescorer
from whyformer.position.layout import Layout


class Emissions(NamedTuple):
    """States of the encoder, and what each of its frames emits."""

    hidden: Tensor
    """(B,L,M)."""
    layout: Layout
    """Frames: where they stand, and which are real."""
    log_probs: Tensor
    """(B,L,V) in fp32, over the symbols with blank at 0."""


class StreamingCTC(nn.Module):
    """An encoder, whole or in pieces, and the symbols that its frames emit (Graves et al. 2006)."""

    def __init__(self, encoder: StreamingEncoder, d_model: int, symbols: int, dropout: float) -> None:
        super().__init__()
        self.encoder = encoder
        self.rescorer: Rescorer | None = None
        """Decoders that judge whole texts, in models that have some."""
        self.dropout = Dropout(dropout)
        self.emit = nn.Linear(d_model, symbols)
        nn.init.xavier_uniform_(self.emit.weight)
        nn.init.zeros_(self.emit.bias)

    @override
    def forward(
        self, frames: Tensor, lengths: Sequence[int], rule: Rule, state: EncoderState | None = None
    ) -> Emissions:
        """Recognise ``frames`` (B,T,...), of which the first ``lengths`` of each row are real.

        With a ``state`` they are the next piece of each row, and the state moves on.
        """
        hidden, layout = self.encoder(frames, lengths, rule=rule, state=state)
        return Emissions(hidden, layout, frame_log_probabilities(self.emit(self.dropout(hidden))))
