"""The objective of streaming recognisers: CTC, under the chunks that a batch was dealt.

B rows · T input frames · V symbols, blank included
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from whyformer.attention.mask import Rule
from whyformer.models.streaming_ctc import Emissions, StreamingCTC
from whyformer.training.ctc import ctc_losses
from whyformer.training.objective import Losses


class SignalBatch(NamedTuple):
    """Signals side by side, and what is to be recognised in them."""

    frames: Tensor
    """(B,T,...) input frames; behind the end of a row zeros."""
    lengths: tuple[int, ...]
    """(B) real input frames of each row."""
    texts: tuple[tuple[int, ...], ...]
    """(B) symbols of each row."""
    rule: Rule
    """Chunks that frames see: those of this batch."""

    @property
    def predictions(self) -> int:
        """Number of predictions: every symbol, and the end of every row."""
        return predictions_of(self.texts)


def predictions_of(texts: Sequence[Sequence[int]]) -> int:
    """Number of predictions in ``texts``, by which losses are divided: their symbols, and an end for each.

    So that silence, which has no symbols, counts as well.
    """
    return sum(map(len, texts)) + len(texts)


def encoder_lengths(model: StreamingCTC, lengths: Sequence[int]) -> list[int]:
    """Frames of the encoder for input frames of these ``lengths``."""
    return [-(-length // model.encoder.stride) for length in lengths]


@dataclass(frozen=True)
class CTCObjective:
    """Negative log-probability of the texts, summed over their alignments (Graves et al. 2006, equation 12)."""

    delay_penalty: float = 0.0
    """Nats that an alignment gains for each frame that a symbol comes earlier; see ``training.ctc.delayed``."""

    def __call__(self, model: StreamingCTC, batch: SignalBatch) -> Losses:
        """The sums over the texts of ``batch``."""
        emissions = model(batch.frames, batch.lengths, batch.rule)
        return self.losses(model, emissions, batch)

    def losses(self, model: StreamingCTC, emissions: Emissions, batch: SignalBatch) -> Losses:
        """The sums where the ``emissions`` for ``batch`` are known."""
        lengths = encoder_lengths(model, batch.lengths)
        found = ctc_losses(emissions.log_probs, lengths, batch.texts, self.delay_penalty)
        total = found.losses.sum()
        if self.delay_penalty:
            with torch.no_grad():
                nll = ctc_losses(emissions.log_probs.detach(), lengths, batch.texts).losses.sum()
        else:
            nll = total.detach()
        return Losses(total, batch.predictions, {"nll": nll})
