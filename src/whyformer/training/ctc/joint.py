"""Joint loss of connectionist temporal classification and attention decoders over one encoder.

B rows · L frames · V symbols, of which 0 is the blank
"""

import warnings
from collections.abc import Sequence
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from whyformer.errors import WhyformerNote
from whyformer.models.streaming.rescorer import Rescorer
from whyformer.position.layout import Padding
from whyformer.spec import Spec
from whyformer.training.ctc.losses import ctc_losses
from whyformer.training.loss import SmoothingSpec
from whyformer.training.objective import Losses, token_cross_entropy


class JointLossSpec(Spec):
    """Weights of the parts: w·CTC + (1 - w)·((1 - r)·L2R + r·R2L), each a sum over the texts of a batch."""

    origin: ClassVar[str] = "Watanabe et al. 2017; both directions: Wu et al. 2021 (arXiv 2106.05642)"
    ctc: float = Field(default=0.3, gt=0.0, le=1.0)
    """Weight w of the loss over alignments; without decoders it is 1, whatever stands here."""
    reverse: float = Field(default=0.3, ge=0.0, lt=1.0)
    """Weight r of the decoder from right to left; without one it is 0."""
    delay_penalty: float = Field(default=0.0, ge=0.0)
    """Nats a frame that a symbol gains by coming earlier."""
    decoders: SmoothingSpec = SmoothingSpec()
    """Loss of the decoders' predictions."""


def predictions_of(texts: Sequence[Sequence[int]]) -> int:
    """Number of predictions in ``texts``, by which losses are divided: their symbols, and an end for each.

    So that silence, which has no symbols, counts as well.
    """
    return sum(map(len, texts)) + len(texts)


def joint_losses(
    spec: JointLossSpec,
    log_probs: Tensor,
    lengths: Sequence[int],
    texts: Sequence[Sequence[int]],
    *,
    rescorer: Rescorer | None = None,
    memory: tuple[Tensor, Padding] | None = None,
) -> Losses:
    """Losses of a batch; predictions are the symbols of its texts and their ends.

    A text that does not fit its frames costs nothing in CTC; a note says so, and ``impossible`` counts them.
    The decoders learn from it like from any other, since it fits them.

    Args:
        spec: the weights.
        log_probs: (B,L,V).
        lengths: (B) frames of each row.
        texts: (B) symbols of each row, 1 to V-1.
        rescorer: the decoders, if there are any.
        memory: what they read: hidden states (B,L,M) and which are real.

    Returns:
        Sums; ``nll`` is that of CTC without penalty or weight, ``left_to_right`` and ``right_to_left`` those
        of the decoders.
    """
    found = ctc_losses(log_probs, lengths, texts, spec.delay_penalty)
    if found.impossible:
        # Without numbers, so that it is said once.
        warnings.warn(
            "some texts need more frames than their signals have, so they teach CTC nothing; leave them out, "
            "or take a smaller stride.",
            WhyformerNote,
            stacklevel=2,
        )
    ctc = found.losses.sum()
    nll = ctc.detach()
    if spec.delay_penalty:
        with torch.no_grad():
            nll = ctc_losses(log_probs, lengths, texts).losses.sum()
    figures = {"nll": nll, "impossible": nll.new_tensor(float(len(found.impossible)))}
    predictions = predictions_of(texts)
    if rescorer is None or memory is None:
        return Losses(ctc, predictions, figures)
    smoothing = spec.decoders.label_smoothing
    reverse = spec.reverse if rescorer.right_to_left is not None else 0.0
    left = _decoder_losses(rescorer, memory, texts, smoothing, reverse=False)
    figures["left_to_right"] = left.figures["nll"]
    decoders = left.total * (1.0 - reverse)
    if rescorer.right_to_left is not None:
        right = _decoder_losses(rescorer, memory, texts, smoothing, reverse=True)
        figures["right_to_left"] = right.figures["nll"]
        decoders = decoders + right.total * reverse
    return Losses(spec.ctc * ctc + (1.0 - spec.ctc) * decoders, predictions, figures)


def _decoder_losses(
    rescorer: Rescorer,
    memory: tuple[Tensor, Padding],
    texts: Sequence[Sequence[int]],
    smoothing: float,
    *,
    reverse: bool,
) -> Losses:
    read = rescorer(*memory, texts, reverse=reverse)
    return token_cross_entropy(*rescorer.scored(read.hidden), read.gold, smoothing)
