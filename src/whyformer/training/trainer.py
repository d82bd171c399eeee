"""The training loop.

Everything that happens in step n is a pure function of the recipe, the weights before it and n: the order
of the data comes from (seed, epoch), what a task draws for an example from (seed, epoch, example), dropout
from (seed, step). So a run that was killed resumes to the very weights it would have had, on the same
processor with the same number of threads.
"""

import math
import signal
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Generic, Literal

import torch

from whyformer.errors import TrainingError
from whyformer.machine import Precision
from whyformer.plots.panels import Curves
from whyformer.training.batches import Group, TrainingBatches
from whyformer.training.leak import check_no_leak
from whyformer.training.objective import ModelT
from whyformer.training.settings import TrainingSpec
from whyformer.training.step import TrainingStep
from whyformer.training.storage.checkpoint import average_weights, load_weights
from whyformer.training.storage.report import Report
from whyformer.training.storage.run import RunFolder
from whyformer.training.storage.state import Best, Progress, SingleFileStore, StateStore, Tally
from whyformer.training.task import TrainingTask


class Trainer(Generic[ModelT]):
    """Trains one model on one task into one run folder."""

    def __init__(
        self,
        model: ModelT,
        task: TrainingTask[ModelT],
        spec: TrainingSpec,
        run: RunFolder,
        device: torch.device,
        *,
        curves: Curves | None = None,
    ) -> None:
        self.batches = TrainingBatches(task.lengths, spec.batching, seed=spec.seed)
        self.spec = spec
        self.spec = spec.settled(self.total_steps)
        """Settings, with the warm-up that the number of steps decides."""
        self.step = TrainingStep(model, task, self.spec, device)
        self.model = self.step.model
        self.task = task
        self.run = run
        self.device = device
        self.curves = Curves() if curves is None else curves
        """Figures of the log that are drawn."""
        self.store: StateStore = SingleFileStore(run)
        self.progress = Progress()
        self._saved = 0

    @property
    def steps_per_epoch(self) -> int:
        """Number of steps of a pass over the data: the same for every pass, since lengths alone decide it."""
        return self.batches.steps_per_epoch

    @cached_property
    def total_steps(self) -> int | None:
        """Number of steps until the end, as far as steps or epochs decide it."""
        epochs = self.spec.epochs
        bounds = [self.spec.steps, None if epochs is None else epochs * self.steps_per_epoch]
        return min((bound for bound in bounds if bound is not None), default=None)

    def check(self) -> None:
        """Look before anything is written whether the model can be trained.

        Raises:
            TrainingError: an output of the model sees an input that it must not see.
        """
        check_no_leak(lambda: self.task.probe(self.model))

    def start(self, precision: Precision) -> None:
        """Write the first state of a new run."""
        self.progress.precision = self.step.precision = precision
        self._save()

    def resume(self) -> None:
        """Go back to the last saved state of the run folder.

        Raises:
            CheckpointError: the state is missing, damaged, or does not fit.
        """
        self.progress = self.store.load(self.model, self.step.optimizer)
        self.step.precision = self.progress.precision
        self._saved = self.progress.step

    def train(self) -> Progress:
        """Train to the end.

        Raises:
            TrainingError: the loss is not a number, or the user stopped the run; there is a state to resume
                from.
            WhyformerError: the disk is full.
        """
        with (
            Report(self.run, self.total_steps, self.progress.step, self.curves) as report,
            _stop_signals() as stopped,
        ):
            self._introduce(report)
            for group in self._groups_ahead():
                self._take(group, report)
                if self._validation_is_due():
                    self._validate(report)
                if stopped:
                    self._stop()
            if not self.progress.finished:
                self._finish(report)
        return self.progress

    def _introduce(self, report: Report) -> None:
        lengths = self.task.lengths
        waste = self.batches.padding_waste
        parameters = sum(parameter.numel() for parameter in self.model.parameters())
        report.say(
            f"{parameters:,} parameters; {len(lengths):,} examples, {int(lengths.sum()):,} tokens, "
            f"{self.steps_per_epoch:,} steps an epoch, {waste:.1%} padding; {self.device.type}, "
            f"{self.progress.precision}, {torch.get_num_threads()} threads, seed {self.spec.seed}"
        )
        if self.total_steps is not None and (fault := self.spec.schedule.warmup_fault(self.total_steps)):
            report.say(fault)
        if self.progress.step:
            report.say(f"going on after step {self.progress.step}")

    def _groups_ahead(self) -> Iterator[Group]:
        """The steps that are left; each wants to be taken before the next is asked for."""
        for epoch, position, group in self.batches.after(self.progress.epoch, self.progress.position):
            # Of an epoch that ended the position stays at its end until the next begins.
            if self._over():
                return
            self.progress.epoch, self.progress.position = epoch, position
            yield group

    def _over(self) -> bool:
        progress, minutes, patience = self.progress, self.spec.minutes, self.spec.validation.patience
        return (
            (self.total_steps is not None and progress.step >= self.total_steps)
            or (minutes is not None and progress.seconds >= 60 * minutes)
            or (patience is not None and progress.best.stale >= patience)
        )

    def _take(self, group: Group, report: Report) -> None:
        began, progress = time.perf_counter(), self.progress
        sums = self.step.gradient(group, progress.step + 1, progress.epoch)
        if not sums.finite:
            raise self._diverged("loss", progress.step + 1)
        # A finite gradient proves the weights of the step before sound: only now may they replace a state.
        if progress.step % self.spec.save_every == 0 and progress.step != self._saved:
            self._save()
        rate = self.step.update(progress.step + 1, self.total_steps)
        progress.step += 1
        progress.position += 1
        progress.finished = False
        seconds = time.perf_counter() - began
        progress.seconds += seconds
        progress.tally.add(sums.loss, sums.figures, sums.predictions, seconds)
        if progress.step % self.spec.log_every == 0:
            self._log(report, rate, sums.norm)

    def _log(self, report: Report, rate: float, norm: float) -> None:
        progress, tally = self.progress, self.progress.tally
        record = {
            "step": progress.step,
            "event": "train",
            "epoch": progress.epoch,
            "loss": tally.loss / tally.tokens,
            **{name: value / tally.tokens for name, value in tally.figures.items()},
            "learning_rate": rate,
            "gradient_norm": norm,
            "tokens_per_second": tally.tokens / tally.seconds,
            "seconds": progress.seconds,
        }
        progress.tally = Tally()
        report.entry(record)

    def _validation_is_due(self) -> bool:
        every = self.spec.validation.every
        if every is None:
            return self.progress.position == self.steps_per_epoch
        return self.progress.step % every == 0

    def _validate(self, report: Report) -> None:
        scores = self._measure(report, "valid")
        self.run.save_snapshot(self.model, self.progress.step, scores, self.spec.validation.average)
        if not self._keep_if_best(scores):
            self.progress.best.stale += 1
        self._save()

    def _measure(self, report: Report, event: Literal["valid", "average"]) -> dict[str, float]:
        """Validate as the model will be used: in fp32, whatever it is trained in."""
        began, step = time.perf_counter(), self.progress.step
        self.model.eval()
        with torch.no_grad():
            translate = step >= self.spec.validation.translate_from
            scores = self.task.validate(self.model, self.device, translate=translate)
        self.model.train()
        self.progress.seconds += time.perf_counter() - began
        if not math.isfinite(scores["loss"]):
            raise self._diverged("validation loss", step)
        report.entry({"step": step, "event": event, **scores, "seconds": self.progress.seconds})
        return scores

    def _keep_if_best(self, scores: dict[str, float]) -> bool:
        best = self.progress.best
        if best.scores and not self.task.better(scores, best.scores):
            return False
        self.progress.best = Best(scores, self.progress.step)
        self.run.save_weights(self.model, self.progress.step, scores)
        return True

    def _finish(self, report: Report) -> None:
        """Validate the last weights if that was not just done, then try the average of the snapshots."""
        if not self.run.snapshot(self.progress.step).exists():
            self._validate(report)
        snapshots = self.run.snapshots
        if len(snapshots) > 1:
            last = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}
            load_weights(self.model, average_weights(snapshots), snapshots[-1])
            self._keep_if_best(self._measure(report, "average"))
            self.model.load_state_dict(last)
        self.progress.finished = True
        self._save()

    def _save(self) -> None:
        self.store.save(self.model, self.step.optimizer, self.progress)
        self._saved = self.progress.step

    def _diverged(self, what: str, step: int) -> TrainingError:
        self.step.optimizer.zero_grad()
        return TrainingError(
            f"the {what} of step {step} is not a finite number; the state of step {self._saved} is kept in "
            f"{self.run.state}: check the data, or go on from there more gently, as in "
            f"`whyformer train {self.run.path} training.schedule.peak={self.spec.schedule.peak / 2:g} "
            "training.clip=1`."
        )

    def _stop(self) -> None:
        self._save()
        raise TrainingError(
            f"stopped after step {self.progress.step}, and everything is saved; "
            f"go on with `whyformer train {self.run.path}`."
        )


@contextmanager
def _stop_signals() -> Generator[list[int]]:
    """Collect Ctrl-C and polite requests to end, so that the loop can stop between two steps."""
    received: list[int] = []

    def note(number: int, _: object) -> None:
        # A second Ctrl-C is meant seriously.
        if received:
            raise KeyboardInterrupt
        received.append(number)

    # Only the main thread can hear signals.
    in_main = threading.current_thread() is threading.main_thread()
    signals = (signal.SIGINT, signal.SIGTERM) if in_main else ()
    before = {number: signal.signal(number, note) for number in signals}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
