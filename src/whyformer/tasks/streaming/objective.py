"""The objective of streaming recognisers: CTC, under the chunks that a batch was dealt.

B rows · T input frames · V symbols, blank included
"""

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from whyformer.attention.mask import Rule
from whyformer.models.streaming.ctc import Emissions, StreamingCTC
from whyformer.training.ctc.joint import JointLossSpec, joint_losses
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
    labels: Tensor | None = None
    """(B,L) what each encoder frame shows, -1 behind the end of a row; None where that is not told."""


@dataclass(frozen=True)
class StreamingObjective:
    """The joint loss of CTC and, if the model has them, of decoders that rescore."""

    spec: JointLossSpec

    def __call__(self, model: StreamingCTC, batch: SignalBatch) -> Losses:
        """The sums over the texts of ``batch``."""
        return self.losses(model, model(batch.frames, batch.lengths, batch.rule), batch)

    def losses(self, model: StreamingCTC, emissions: Emissions, batch: SignalBatch) -> Losses:
        """The sums where the ``emissions`` for ``batch`` are known."""
        return joint_losses(
            self.spec,
            emissions.log_probs,
            model.encoder.counts(batch.lengths),
            batch.texts,
            rescorer=model.rescorer,
            memory=(emissions.hidden, emissions.layout),
        )
