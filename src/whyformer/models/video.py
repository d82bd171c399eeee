"""Recognition of video: a streaming encoder of tubelets, CTC over events, and a label for what is seen.

B rows · L encoder frames · M model dimension · V symbols, blank included
"""

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from whyformer.models.streaming.ctc import StreamingCTC
from whyformer.models.streaming.encoder import StreamingEncoderSpec
from whyformer.nn.streaming.tubelet import TubeletSpec
from whyformer.spec import Spec


class VideoSpec(Spec):
    """A recogniser of what passes in a video, the encoder of which could as well hear."""

    kind: Literal["video"] = "video"
    encoder: StreamingEncoderSpec = StreamingEncoderSpec(front=TubeletSpec())
    """Network that turns pictures into states, chunk by chunk."""
    dropout: float = Field(default=0.1, ge=0.0, lt=1.0)
    """Probability that a component of a state is dropped in training before it is read."""

    def build(self, symbols: int) -> "VideoModel":
        """The model for ``symbols``, blank among them."""
        return VideoModel(self, symbols)


class VideoModel(StreamingCTC):
    """A streaming encoder with two readers of its states: CTC for the events, and one for what is seen now.

    CTC says each event once, somewhere; a label says of every frame what it shows, 0 for nothing.
    """

    def __init__(self, spec: VideoSpec, symbols: int) -> None:
        super().__init__(spec.encoder.build(), spec.encoder.d_model, symbols, spec.dropout)
        self.tell = nn.Linear(spec.encoder.d_model, symbols)
        nn.init.xavier_uniform_(self.tell.weight)
        nn.init.zeros_(self.tell.bias)

    def label_log_probs(self, hidden: Tensor) -> Tensor:
        """Log-probabilities (…,V) in fp32 of what each frame shows, from states (…,M)."""
        return self.tell(self.dropout(hidden)).float().log_softmax(-1)
