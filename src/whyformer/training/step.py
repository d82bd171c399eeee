"""One step of the optimizer: the gradient of the mean loss, clipped, and the change that it makes.

Everything that happens in step n is a pure function of the recipe, the weights before it and n.
"""

from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Generic, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whyformer.data.batches.steps import Group
from whyformer.dropout import Dropout
from whyformer.errors import TrainingError
from whyformer.machine import Precision
from whyformer.training.objective import Losses, ModelT, ModelWithObjective
from whyformer.training.optimization.optimizer import block_matrices
from whyformer.training.ranks.gradients import gradient_sums, sum_type
from whyformer.training.ranks.group import RankGroup
from whyformer.training.settings import TrainingSpec
from whyformer.training.task import TrainingTask

if TYPE_CHECKING:
    from whyformer.training.ranks.sharding import ShardedWeights


class StepSums(NamedTuple):
    """Sums over the predictions of one step."""

    loss: float
    """Sum of the losses that are minimised, in nats."""
    figures: dict[str, float]
    """The objective's other sums, by name."""
    predictions: int
    """Number of predictions: of tokens, or whatever is predicted."""
    norm: float
    """Norm of the mean loss's gradient, before it was clipped."""

    @property
    def finite(self) -> bool:
        """Whether loss and gradient are numbers."""
        return bool(np.isfinite([self.loss, self.norm]).all())


class TrainingStep(Generic[ModelT]):
    """Takes steps with one model, its task and its optimizer; it saves, logs and validates nothing."""

    def __init__(
        self,
        model: ModelT,
        task: TrainingTask[ModelT],
        spec: TrainingSpec,
        device: torch.device,
        group: RankGroup | None = None,
    ) -> None:
        self.model = model.to(device).train()
        self.task = task
        self.spec = spec
        self.device = device
        self.group = RankGroup() if group is None else group
        """Ranks that share out the batches of each step; this process alone if left out."""
        self.optimizer = self._new_optimizer()
        self.precision: Precision = "fp32"
        """Precision of matrix products."""
        self._losses = ModelWithObjective(self.model, task.objective)
        self._gradients = gradient_sums(model.parameters(), self.group, ordered=spec.deterministic)
        self._sharded: ShardedWeights[ModelT] | None = None
        self._figures: list[str] | None = None
        self._compiled = spec.compiles_for(device.type)
        if self._compiled:
            # In place, so that the model is the same object with the same names; no two batches are alike.
            self.model.compile(dynamic=True)

    @property
    def shards(self) -> bool:
        """Whether ranks are to spread the weights among them."""
        return self.spec.shard == "full" and not self.group.is_alone

    @property
    def _sum_type(self) -> torch.dtype:
        return sum_type(self.precision, self.device)

    @property
    def _exact(self) -> bool:
        """Whether spread weights are to get what one process computes, at the price of gathering more."""
        return self.spec.deterministic or self._sum_type != torch.float32

    @property
    def is_sharded(self) -> bool:
        """Whether the weights are spread, so that no rank can save them alone."""
        return self._sharded is not None

    def check_shards(self) -> None:
        """Refuse to spread a model that cannot be.

        Raises:
            TrainingError: it has a weight that is a single number.
        """
        scalars = [name for name, weight in self.model.named_parameters() if weight.dim() == 0]
        if self.shards and scalars:
            raise TrainingError(
                f"training.shard full spreads the rows of each weight, and {scalars[0]} is a single number; "
                "use training.shard=none for this model."
            )

    def shard(self) -> None:
        """Spread the weights over the ranks, if they are to; the optimizer begins anew.

        Raises:
            TrainingError: see ``check_shards``.
        """
        if not self.shards or self._sharded is not None:
            return
        self.check_shards()
        # Seconds to import, which other trainings save.
        from whyformer.training.ranks.sharding import ShardedWeights

        self._sharded = ShardedWeights(self._losses, self.group, self.device, ordered=self.spec.deterministic)
        self._gradients = self._sharded.sums
        self.optimizer = self._new_optimizer()

    @contextmanager
    def whole(self) -> Generator[ModelT]:
        """The model with all weights, to measure and to write; where they are spread, at rank 0 alone."""
        if self._sharded is None:
            yield self.model
        else:
            with self._sharded.whole() as model:
                yield model

    def _new_optimizer(self) -> torch.optim.Optimizer:
        return self.spec.optimizer.build(self.model.parameters(), block_matrices(self.model))

    def set_dropout(self, step: int, total_steps: int | None) -> None:
        """Let the model drop as much as it is to in step number ``step``."""
        if self.spec.dropout_schedule.changes:
            share = self.spec.dropout_schedule.share(step, total_steps or step)
            for module in self.model.modules():
                if isinstance(module, Dropout):
                    module.share = share

    def gradient(self, group: Group, step: int, epoch: int) -> StepSums:
        """Leave the gradient of the mean loss over ``group`` in the weights, clipped.

        Args:
            group: the batches of the step, of which this rank takes its share.
            step: its number, from 1; with the seed and a batch's place in the step it decides dropout.
            epoch: passes over the data before it.

        Raises:
            TrainingError: other ranks do not answer.
        """
        self.group.come_to(step)
        count = sum(self.task.predicted(indices, epoch) for indices in group)
        ranks = self.group.ranks
        own = ranks.share([*enumerate(group)])
        rows, names = list[Tensor](), list[str]()
        self._gradients.begin(self._sum_type)
        for turn in range(-(-len(group) // ranks.count)):
            if turn < len(own):
                number, indices = own[turn]
                # Of the place in the step, not of the rank: so dropout is the same for any number of ranks.
                torch.manual_seed(_mixed(self.spec.seed, step, *([number] if number else [])))
                losses = self._backward(indices, epoch, count)
                names = [*losses.figures]
                rows.append(torch.stack([losses.total.detach(), *losses.figures.values()]))
            elif self._gradients.wants_all:
                # Ranks gather weights together: a pass for nothing.
                self._backward(group[0], epoch, count, share=0.0)
            self._gradients.add(min(ranks.count, len(group) - turn * ranks.count))
        self._gradients.finish()
        if self._figures is None:
            # Rank 0 has a batch in every step.
            self._figures = self.group.told(lambda: names)
        sums = torch.zeros(1, device=self.device)
        for row in self._rows(rows, len(group), len(self._figures) + 1):
            sums = sums + row
        # The one look at the device in a step: each makes it wait.
        loss, *others, norm = torch.cat([sums, self._clip()[None]]).tolist()
        return StepSums(loss, dict(zip(self._figures, others, strict=True)), count, norm)

    def _backward(self, indices: NDArray[np.int64], epoch: int, count: int, share: float = 1.0) -> Losses:
        """Add the gradient of one batch's share in the mean over ``count`` predictions to the weights'."""
        with self.group.computing() if self._sharded is not None else nullcontext():
            with self.autocast():
                losses = self._losses(self.task.batch(indices, epoch, self.device))
            (share * losses.total / count).backward()
        return losses

    def _rows(self, own: list[Tensor], batches: int, width: int) -> list[Tensor]:
        """Sums of each of the step's ``batches``, in their order, of which this rank has its ``own``."""
        if self.group.is_alone:
            return own
        ranks = self.group.ranks.count
        part = torch.zeros(-(-batches // ranks), width, device=self.device)
        if own:
            part[: len(own)] = torch.stack(own)
        parts = self.group.gathered(part)
        return [parts[number % ranks][number // ranks] for number in range(batches)]

    def update(self, step: int, total_steps: int | None) -> float:
        """Change the weights by their gradients, as step number ``step``, and return the learning rate."""
        rate = self.spec.schedule.rate(step, total_steps or step)
        for parameters in self.optimizer.param_groups:
            parameters["lr"] = rate * parameters.get("ratio", 1.0)
        # An optimizer may have products, too.
        with self.autocast():
            self._step()
        self.optimizer.zero_grad()
        return rate

    def _step(self) -> None:
        if self._sharded is None:
            self.optimizer.step()
            return
        # Seconds to import, as what it needs.
        from whyformer.training.optimization.spread import spread_step

        with self.group.computing():
            spread_step(self.optimizer, exact=self._exact)

    def autocast(self) -> AbstractContextManager[object]:
        """The precision of what is computed within."""
        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    def uncompiled(self) -> AbstractContextManager[object]:
        """Context in which the model runs as it is written: for a look at it, or for validation."""
        return torch.compiler.set_stance("force_eager") if self._compiled else nullcontext()

    def _clip(self) -> Tensor:
        """Shorten the gradient to ``training.clip``, and return the norm it had before."""
        parameters = list(self.model.parameters())
        gradients = [p.grad for p in parameters if p.grad is not None]
        if self._sharded is None:
            norm = torch.nn.utils.get_total_norm(gradients)
        else:
            norm = self._sharded.norm(gradients, exact=self._exact)
        if self.spec.clip is not None:
            torch.nn.utils.clip_grads_with_norm_(parameters, self.spec.clip, norm)
        return norm


def _mixed(*numbers: int) -> int:
    """One 63-bit number from several, such that neighbours share nothing."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0]) >> 1
