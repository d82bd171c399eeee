"""The training loop.

Everything that happens in step n is a pure function of the recipe, the weights before it and n: the order
of the data comes from (seed, epoch), what a task draws for an example from (seed, epoch, example), dropout
from (seed, step, place of the batch in the step). So a run that was killed resumes to the very weights it
would have had, on the same processor with the same number of threads, and on any number of ranks to the same
but for rounding. Of several ranks all take the same steps; rank 0 decides when to stop, validates, writes
and logs.
"""

import math
import signal
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import cached_property
from shlex import quote
from typing import Generic, Literal

import torch

from whyformer.data.batches.steps import Group, TrainingBatches
from whyformer.errors import StoppedError, TrainingError, WhyformerError
from whyformer.files import write_text
from whyformer.machine import Precision
from whyformer.plots.panels import Curves
from whyformer.training.leak import check_no_leak
from whyformer.training.objective import ModelT
from whyformer.training.ranks.group import RankGroup
from whyformer.training.settings import TrainingSpec, forecast
from whyformer.training.step import TrainingStep
from whyformer.training.storage.checkpoint import average_weights, load_weights
from whyformer.training.storage.lock import RunLock
from whyformer.training.storage.report import Report, SilentReport
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
        lock: RunLock | None = None,
        group: RankGroup | None = None,
    ) -> None:
        self.batches = TrainingBatches(task.lengths, spec.batching, seed=spec.seed)
        self.spec = spec
        self.spec = spec.settled(self.total_steps)
        """Settings, with the warm-up that the number of steps decides."""
        self.step = TrainingStep(model, task, self.spec, device, group)
        self.group = self.step.group
        """Ranks that train together; this process alone if left out."""
        self.model = self.step.model
        self.task = task
        self.run = run
        self.device = device
        self.curves = Curves() if curves is None else curves
        """Figures of the log that are drawn."""
        self.lock = RunLock(run.path) if lock is None else lock
        """Lock of the run folder, held until the training ends."""
        self.recipe: str | None = None
        """Text that the run's recipe becomes when the training goes on, where it changes."""
        self.store: StateStore = SingleFileStore(run)
        self.progress = Progress()
        self._saved = 0
        self._is_advised = False

    @property
    def steps_per_epoch(self) -> int:
        """Number of steps of a pass over the data: the same for every pass, since lengths alone decide it."""
        return self.batches.steps_per_epoch

    @cached_property
    def total_steps(self) -> int | None:
        """Number of steps until the end, as far as steps or epochs decide it."""
        return self.spec.total_steps(self.steps_per_epoch)

    def check(self) -> None:
        """Look before anything is written whether the model can be trained.

        Raises:
            TrainingError: an output of the model sees an input that it must not see, or the model cannot be
                spread over ranks.
        """
        self.step.check_shards()
        with self.step.uncompiled():
            check_no_leak(lambda: self.task.probe(self.model))

    def start(self, precision: Precision) -> None:
        """Write the first state of a new run, which rank 0 has whole."""
        self.progress.precision = self.step.precision = precision
        self._save()
        self._shard()

    def resume(self) -> None:
        """Go back to the last saved state of the run folder, without writing anything.

        Raises:
            CheckpointError: the state is missing, damaged, or does not fit.
        """
        self._shard()
        self.progress = self.store.load(self.model, self.step.optimizer)
        self.step.precision = self.progress.precision
        self._saved = self.progress.step

    def _shard(self) -> None:
        """Spread weights and state over the ranks, if they are to."""
        if self.step.shards:
            self.step.shard()
            # Seconds to import, which other trainings save.
            from whyformer.training.storage.sharded import ShardedStore

            self.store = ShardedStore(self.run, self.group)

    def train(self) -> Progress:
        """Train to the end.

        Raises:
            TrainingError: the loss is not a number, the user stopped the run, or other ranks do not answer;
                there is a state to resume from.
            CheckpointError: another process writes into the run folder.
            WhyformerError: the disk is full.
        """
        with self.lock if self.group.ranks.writes else nullcontext():
            # A run that was killed before its second state begins anew, and has lines of before.
            if self.group.ranks.writes and self.run.metrics.exists():
                self.run.forget_after(self.progress.step, finished=self.progress.finished)
            return self._train()

    def _train(self) -> Progress:
        with (
            self._report() as report,
            self._recipe_in_place(),
            _stop_signals() as stopped,
        ):
            # Whoever still reads the state must have done so before it is replaced.
            self.group.meet()
            self._introduce(report)
            for group in self._groups_ahead():
                self._take(group, report)
                if self._validation_is_due():
                    self._validate(report)
                self.progress.seconds, is_stopped = self.group.agreed(self.progress.seconds, bool(stopped))
                if is_stopped:
                    self._stop()
            if not self.progress.finished:
                self._finish(report)
        return self.progress

    def _report(self) -> Report | SilentReport:
        if not self.group.ranks.writes:
            return SilentReport()
        return Report(self.run, self.total_steps, self.progress.step, self.curves, self._seconds_left())

    @contextmanager
    def _recipe_in_place(self) -> Generator[None]:
        """Write the changed recipe; if the training fails before its first state, put the old one back."""
        if self.recipe is None or not self.group.ranks.writes:
            yield
            return
        before, state = self.run.recipe.read_text(encoding="utf-8"), self.run.state.stat().st_mtime_ns
        write_text(self.run.recipe, self.recipe)
        try:
            yield
        except BaseException:
            if self.run.state.stat().st_mtime_ns == state:
                with suppress(WhyformerError):
                    write_text(self.run.recipe, before)
            raise

    def _introduce(self, report: Report | SilentReport) -> None:
        batches = self.batches
        parameters = sum(parameter.numel() for parameter in self.model.parameters())
        report.say(
            f"{parameters:,} parameters; {batches.examples:,} examples, {batches.tokens:,} tokens, "
            f"{self.steps_per_epoch:,} steps an epoch, {batches.padding_waste:.1%} padding; "
            f"{self.device.type}, {self.progress.precision}, {torch.get_num_threads()} threads, "
            f"seed {self.spec.seed}"
        )
        if not self.group.is_alone:
            report.say(f"{self.group.ranks.count} ranks share out the batches of each step")
        if self.total_steps is not None and (fault := self.spec.schedule.warmup_fault(self.total_steps)):
            report.say(fault)
        if self.progress.step:
            report.say(self.where_it_stands())

    def where_it_stands(self) -> str:
        """Sentence on what is left of a training that has begun."""
        step, reached = self.progress.step, " and ".join(self.limits_reached())
        if not reached:
            return f"going on after step {step}"
        if not self.progress.finished:
            return f"all {step:,} steps are done ({reached}), and only the end is left"
        return (
            f"finished: {step:,} steps are done, and {reached} leaves nothing to do; "
            f"`whyformer train {quote(str(self.run.path))} {' '.join(self.further())}` goes on"
        )

    def further(self) -> Iterator[str]:
        """The settings by which the training is over where it stands, raised so that as much is to come."""
        for setting in self.limits_reached():
            key, _, limit = setting.partition("=")
            # Validations may have made it longer than it was asked to be.
            least = self.progress.seconds / 60 if key == "training.minutes" else 0.0
            yield f"{key}={2 * max(float(limit), least):.6g}"

    def _groups_ahead(self) -> Iterator[Group]:
        """The steps that are left; each wants to be taken before the next is asked for."""
        for epoch, position, group in self.batches.after(self.progress.epoch, self.progress.position):
            # Of an epoch that ended the position stays at its end until the next begins.
            if self._over():
                return
            self.progress.epoch, self.progress.position = epoch, position
            yield group

    def limits_reached(self) -> list[str]:
        """The settings, as a recipe has them, by which the training is over where it stands."""
        spec, progress = self.spec, self.progress
        patience, epochs = spec.validation.patience, spec.epochs
        reached = {
            f"training.steps={spec.steps}": spec.steps is not None and progress.step >= spec.steps,
            f"training.epochs={epochs}": epochs is not None
            and progress.step >= epochs * self.steps_per_epoch,
            f"training.minutes={spec.minutes}": spec.minutes is not None
            and progress.seconds >= 60 * spec.minutes,
            f"training.validation.patience={patience}": patience is not None
            and progress.best.stale >= patience,
        }
        return [setting for setting, is_reached in reached.items() if is_reached]

    def _seconds_left(self) -> float | None:
        """Seconds that the training may take from here on; None where nothing bounds them."""
        return None if self.spec.minutes is None else 60 * self.spec.minutes - self.progress.seconds

    def _over(self) -> bool:
        return bool(self.limits_reached())

    def _take(self, group: Group, report: Report | SilentReport) -> None:
        began, progress = time.perf_counter(), self.progress
        self.step.set_dropout(progress.step + 1, self.total_steps)
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

    def _log(self, report: Report | SilentReport, rate: float, norm: float) -> None:
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
        advice = forecast(self.spec, self.total_steps, progress.step, progress.seconds)
        if advice and not self._is_advised:
            report.say(advice)
        # The first steps tell enough.
        self._is_advised = True

    def _validation_is_due(self) -> bool:
        every = self.spec.validation.every
        if every is None:
            return self.progress.position == self.steps_per_epoch
        return self.progress.step % every == 0

    def _validate(self, report: Report | SilentReport) -> None:
        with self.step.whole() as model:
            scores = self.group.told(lambda: self._measure(model, report, "valid"))
            if self.group.ranks.writes:
                self.run.save_snapshot(model, self.progress.step, scores, self.spec.validation.average)
            if not self._keep_if_best(model, scores):
                self.progress.best.stale += 1
        self._save()

    def _measure(
        self, model: ModelT, report: Report | SilentReport, event: Literal["valid", "average"]
    ) -> dict[str, float]:
        """Validate as the model will be used: in fp32, whatever it is trained in."""
        began, step = time.perf_counter(), self.progress.step
        model.eval()
        with torch.no_grad(), self.step.uncompiled():
            translate = self._wants_translations(event)
            scores = self.task.validate(model, self.device, translate=translate)
        model.train()
        seconds = time.perf_counter() - began
        self.progress.seconds += seconds
        if not math.isfinite(scores["loss"]):
            raise self._diverged("validation loss", step)
        took = {"validation_seconds": seconds, "seconds": self.progress.seconds}
        report.entry({"step": step, "event": event, **scores, **took})
        return scores

    def _wants_translations(self, event: Literal["valid", "average"]) -> bool | None:
        """Whether a validation is to translate; None leaves it to the task."""
        first = self.spec.validation.translate_from
        if first is not None:
            return self.progress.step >= first
        return True if event == "valid" and self._over() else None

    def _keep_if_best(self, model: ModelT, scores: dict[str, float]) -> bool:
        best = self.progress.best
        if best.scores and not self.task.better(scores, best.scores):
            return False
        self.progress.best = Best(scores, self.progress.step)
        if self.group.ranks.writes:
            self.run.save_weights(model, self.progress.step, scores)
        return True

    def _finish(self, report: Report | SilentReport) -> None:
        """Validate the last weights if that was not just done, then try the average of the snapshots."""
        if self.group.told(lambda: not self.run.snapshot(self.progress.step).exists()):
            self._validate(report)
        with self.step.whole() as model:
            self.group.first(lambda: self._try_average(model, report))
        self.progress.finished = True
        self._save()
        seconds = sum(record.get("validation_seconds", 0.0) for record in self.run.records())
        if cost := validation_cost(seconds, self.progress.seconds):
            report.say(cost)

    def _try_average(self, model: ModelT, report: Report | SilentReport) -> None:
        """Keep the average of the snapshots, if it is better than each."""
        snapshots = self.run.snapshots
        if len(snapshots) > 1:
            last = {name: tensor.clone() for name, tensor in model.state_dict().items()}
            load_weights(model, average_weights(snapshots), snapshots[-1])
            self._keep_if_best(model, self._measure(model, report, "average"))
            model.load_state_dict(last)

    def _save(self) -> None:
        if self.group.ranks.writes or self.step.is_sharded:
            self.store.save(self.model, self.step.optimizer, self.progress)
        self._saved = self.progress.step

    def _diverged(self, what: str, step: int) -> TrainingError:
        self.step.optimizer.zero_grad()
        return TrainingError(
            f"the {what} of step {step} is not a finite number; the state of step {self._saved} is kept in "
            f"{self.run.state}: check the data, or go on from there more gently, as in "
            f"`whyformer train {quote(str(self.run.path))} "
            f"training.schedule.peak={self.spec.schedule.peak / 2:g} training.clip=1`."
        )

    def _stop(self) -> None:
        self._save()
        raise StoppedError(
            f"stopped after step {self.progress.step}, and everything is saved; "
            f"go on with `whyformer train {quote(str(self.run.path))}`."
        )


def validation_cost(seconds: float, total: float) -> str | None:
    """Sentence on the ``seconds`` of validations in a training of ``total``; None where they are few."""
    if seconds < 1.0 or seconds < 0.1 * total:
        return None
    return (
        f"validation took {seconds:.1f} of {total:.1f} seconds; a larger training.validation.every makes it "
        "rarer"
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
