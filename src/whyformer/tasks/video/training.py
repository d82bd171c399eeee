"""Training of a watcher: the events by CTC, and what every frame shows by cross-entropy.

B rows · L encoder frames · V symbols, blank included
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F
from typing_extensions import override

from whyformer.attention.mask import Rule
from whyformer.data.batches.planning import length_batches
from whyformer.models.streaming.ctc import Emissions, StreamingCTC
from whyformer.models.video import VideoModel
from whyformer.tasks.streaming.objective import SignalBatch, StreamingObjective
from whyformer.tasks.streaming.training import Signal, StreamingTraining, signal_batch
from whyformer.training.objective import Losses

_UNTOLD = -1  # label behind the end of a row


@dataclass(frozen=True)
class WatchingObjective(StreamingObjective):
    """The loss of CTC, and ``label_weight`` times the cross-entropy of the labels, summed over frames."""

    label_weight: float

    @override
    def losses(self, model: StreamingCTC, emissions: Emissions, batch: SignalBatch) -> Losses:
        found = super().losses(model, emissions, batch)
        if batch.labels is None or not self.label_weight:
            return found
        assert isinstance(model, VideoModel), "signals with labels are videos"
        log_probs = model.label_log_probs(emissions.hidden)
        labels = F.nll_loss(
            log_probs.flatten(0, 1), batch.labels.flatten(), ignore_index=_UNTOLD, reduction="sum"
        )
        figures = {**found.figures, "labels": labels.detach()}
        return found._replace(figures=figures).plus(self.label_weight * labels)


class WatchingTraining(StreamingTraining):
    """Training of a watcher, whose validation also tells how often a frame's label is right."""

    @override
    def validate(
        self, model: StreamingCTC, device: torch.device, *, translate: bool | None
    ) -> dict[str, float]:
        """As of any stream, and ``labels``: the share of frames in percent whose label is right."""
        figures = super().validate(model, device, translate=translate)
        assert isinstance(model, VideoModel), "a watcher is trained"
        return {**figures, "labels": 100 * label_accuracy(model, self._valid, self._rule, device)}


@torch.no_grad()
def label_accuracy(
    model: VideoModel, signals: Sequence[Signal], rule: Rule, device: torch.device, rows: int = 32
) -> float:
    """The share of the frames of ``signals`` whose label is right, each signal in one masked pass."""
    right = told = 0
    for indices in length_batches([len(signal.frames) for signal in signals], rows):
        batch = signal_batch([signals[index] for index in indices], rule, device)
        labels: Tensor | None = batch.labels
        assert labels is not None, "held-out videos have labels"
        hidden = model(batch.frames, batch.lengths, rule).hidden
        right += int((model.label_log_probs(hidden).argmax(-1) == labels).sum())
        told += int((labels != _UNTOLD).sum())
    return right / told
