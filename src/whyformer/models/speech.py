"""Speech recognition: a streaming encoder of filter banks, CTC, and perhaps a decoder that rescores.

V symbols, blank included
"""

from typing import Literal

from pydantic import Field

from whyformer.models.streaming.ctc import StreamingCTC
from whyformer.models.streaming.encoder import StreamingEncoderSpec
from whyformer.models.streaming.rescorer import RescorerSpec
from whyformer.spec import Spec


class SpeechSpec(Spec):
    """A speech recogniser in the form of U2 (Zhang et al. 2020): CTC streams, a decoder judges."""

    kind: Literal["speech"] = "speech"
    encoder: StreamingEncoderSpec = StreamingEncoderSpec()
    """Network that turns features into states, chunk by chunk."""
    rescorer: RescorerSpec | None = None
    """Attention decoder that judges whole hypotheses; null where CTC's score is all."""
    dropout: float = Field(default=0.1, ge=0.0, lt=1.0)
    """Probability that a component of a state is dropped in training before CTC reads it."""

    def build(self, symbols: int) -> "SpeechModel":
        """The model for ``symbols``, blank among them."""
        return SpeechModel(self, symbols)


class SpeechModel(StreamingCTC):
    """A streaming encoder with CTC, and the decoder that judges hypotheses if there is one."""

    def __init__(self, spec: SpeechSpec, symbols: int) -> None:
        super().__init__(spec.encoder.build(), spec.encoder.d_model, symbols, spec.dropout)
        if spec.rescorer is not None:
            self.rescorer = spec.rescorer.build(spec.encoder.d_model, symbols)
