"""Training of streaming recognisers as the trainer sees it: signals, and how many words come out wrong.

B rows · T input frames · L encoder frames
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.utils.rnn import pad_sequence
from typing_extensions import override

from whyformer.attention.mask import Chunk, Rule
from whyformer.data.batches.planning import length_batches
from whyformer.decoding.ctc.search import CTCGreedySpec
from whyformer.lengths import grouping, output_count
from whyformer.models.streaming.ctc import StreamingCTC
from whyformer.nn.streaming.chunking import ChunkingSpec
from whyformer.tasks.streaming.measures.error_rate import word_error_rate
from whyformer.tasks.streaming.objective import SignalBatch, StreamingObjective
from whyformer.tasks.streaming.recognizer import batch_of
from whyformer.tasks.streaming.vocabulary import SymbolTable
from whyformer.training.ctc.joint import predictions_of
from whyformer.training.task import Probe


class Signal(NamedTuple):
    """Input frames (T,...) and the symbols that are to be recognised in them."""

    frames: NDArray[np.float32]
    text: tuple[int, ...]
    labels: tuple[int, ...] | None = None
    """Of each encoder frame, what it shows: a symbol, or 0 for nothing; None where that is not told."""


class SignalSource(Protocol):
    """Signals to train on; each is a pure function of the seed, the epoch and its index."""

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(examples,) input frames of each signal, about: what is drawn for an epoch may differ a little."""
        ...

    def text(self, epoch: int, index: int) -> tuple[int, ...]:
        """The symbols of a signal."""
        ...

    def signal(self, epoch: int, index: int) -> Signal:
        """The signal."""
        ...


class MadeSignals(SignalSource, ABC):
    """Signals that are made as they are asked for, and kept until they are handed out.

    What a signal says is asked for before the signal itself.
    """

    def __init__(self) -> None:
        self._made: dict[tuple[int, int], Signal] = {}

    @abstractmethod
    def make(self, epoch: int, index: int) -> Signal:
        """The signal, anew."""

    @override
    def text(self, epoch: int, index: int) -> tuple[int, ...]:
        return self._kept(epoch, index).text

    @override
    def signal(self, epoch: int, index: int) -> Signal:
        signal = self._kept(epoch, index)
        del self._made[epoch, index]
        return signal

    def _kept(self, epoch: int, index: int) -> Signal:
        if (epoch, index) not in self._made:
            self._made[epoch, index] = self.make(epoch, index)
        return self._made[epoch, index]


class StreamingTraining:
    """Trains a streaming recogniser on signals made as they are needed, under chunks drawn a batch.

    Args:
        source: signals to train on.
        valid: signals to choose by.
        symbols: those that signals are written in.
        objective: loss of a batch.
        chunking: law by which the chunks of a batch are drawn.
        rule: chunks that validation uses.
        stride: input frames of an encoder frame.
        seed: of the draws.
    """

    def __init__(
        self,
        source: SignalSource,
        valid: Sequence[Signal],
        symbols: SymbolTable,
        objective: StreamingObjective,
        *,
        chunking: ChunkingSpec,
        rule: Rule,
        stride: int,
        seed: int,
    ) -> None:
        self.objective = objective
        self._source = source
        self._valid = valid
        self._symbols = symbols
        self._chunking = chunking
        self._rule = rule
        self._stride = stride
        self._seed = seed

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(examples, 1) input frames, about."""
        return self._source.lengths[:, None]

    def predicted(self, indices: NDArray[np.int64], epoch: int) -> int:
        """Number of symbols of these examples, and an end for each."""
        return predictions_of([self._source.text(epoch, index) for index in indices.tolist()])

    def batch(self, indices: NDArray[np.int64], epoch: int, device: torch.device) -> SignalBatch:
        """The signals of ``indices`` as ``epoch`` has them, and chunks for them."""
        signals = [self._source.signal(epoch, index) for index in indices.tolist()]
        # One draw for a batch, by what the batch is: so a run that is resumed draws the same.
        longest = max(len(signal.frames) for signal in signals)
        frames = output_count(longest, grouping(self._stride))
        rule = self._chunking.rule(self._seed, epoch, int(indices[0]), frames=frames)
        return signal_batch(signals, rule, device)

    def probe(self, model: StreamingCTC) -> Probe:
        """Frames (1,T,...) that are made up, the states of the encoder, and what each may see."""
        encoder = model.encoder
        rule, length = Chunk(size=2, left_chunks=1), 5 * encoder.stride
        shape = self._valid[0].frames.shape[1:]
        frames = torch.randn(1, length, math.prod(shape), device=model.emit.weight.device).requires_grad_()
        hidden = encoder(frames.unflatten(2, shape), [length], rule=rule).hidden
        seen = (torch.arange(hidden.shape[1]) // rule.size + 1) * rule.size * encoder.stride
        sees = torch.arange(length) < seen[:, None]
        return Probe(frames, hidden, sees)

    def validate(
        self, model: StreamingCTC, device: torch.device, *, translate: bool | None
    ) -> dict[str, float]:
        """Loss and negative log-likelihood in nats per symbol; word error rate, greedy, in percent."""
        found = recognize_whole(model, self._valid, self._rule, self.objective, device)
        said, heard = (
            [self._symbols.decode(ids) for ids in texts]
            for texts in ([signal.text for signal in self._valid], found.texts)
        )
        return {"loss": found.loss, "nll": found.nll, "wer": 100 * word_error_rate(said, heard).rate}

    def better(self, new: dict[str, float], old: dict[str, float]) -> bool:
        """Compare by word error rate, and where that is equal by likelihood."""
        return (new["wer"], new["nll"]) < (old["wer"], old["nll"])

    def chosen_by(self, scores: dict[str, float]) -> str:
        """Name of the figure by which ``scores`` were found better than others."""
        return "wer"


def signal_batch(signals: Sequence[Signal], rule: Rule, device: torch.device) -> SignalBatch:
    """``signals`` side by side."""
    frames = batch_of([signal.frames for signal in signals]).to(device)
    lengths = tuple(len(signal.frames) for signal in signals)
    texts = tuple(signal.text for signal in signals)
    labels = [torch.tensor(signal.labels) for signal in signals if signal.labels is not None]
    told = pad_sequence(labels, batch_first=True, padding_value=-1).to(device) if labels else None
    return SignalBatch(frames, lengths, texts, rule, told)


class WholeReadings(NamedTuple):
    """Readings of whole signals: what masks allow is what a stream of the same chunks has."""

    texts: list[tuple[int, ...]]
    """Symbols by the likeliest alignment, in the order of the signals."""
    loss: float
    """The mean that training minimises, in nats per symbol."""
    nll: float
    """Negative log-probability of the true texts, in nats per symbol."""


@torch.no_grad()
def recognize_whole(
    model: StreamingCTC,
    signals: Sequence[Signal],
    rule: Rule,
    objective: StreamingObjective,
    device: torch.device,
    rows: int = 32,
) -> WholeReadings:
    """Read ``signals`` in one masked pass each, ``rows`` of them at a time, by the likeliest alignment."""
    texts: dict[int, tuple[int, ...]] = {}
    loss = nll = 0.0
    count = 0
    for indices in length_batches([len(signal.frames) for signal in signals], rows):
        batch = signal_batch([signals[index] for index in indices], rule, device)
        emissions = model(batch.frames, batch.lengths, rule)
        losses = objective.losses(model, emissions, batch)
        loss, nll = loss + float(losses.total), nll + float(losses.figures["nll"])
        count += losses.predictions
        for index, row, length in zip(
            indices, emissions.log_probs.cpu().numpy(), model.encoder.counts(batch.lengths), strict=True
        ):
            search = CTCGreedySpec().open()
            search.feed(row[:length])
            texts[index] = search.hypotheses(1)[0].ids
    return WholeReadings([texts[index] for index in range(len(signals))], loss / count, nll / count)
