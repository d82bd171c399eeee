"""A training step on paper: our own code on tensors that have shapes and no memory."""

import warnings
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode
from typing_extensions import override

from whyformer.analysis.scaling.ledger import (
    BACKWARD,
    GRADIENTS,
    LOSS_PART,
    OPTIMIZER,
    STATIC,
    WEIGHTS,
    Ledger,
)
from whyformer.kernels.library import idle_kernels
from whyformer.kernels.place import as_on_accelerator
from whyformer.machine import Precision
from whyformer.nn.stack import Block
from whyformer.training.flops import unfused
from whyformer.training.objective import ModelWithObjective, Objective
from whyformer.training.optimization.optimizer import block_matrices
from whyformer.training.ranks.gradients import OwnSums, sum_type
from whyformer.training.settings import TrainingSpec


@dataclass(frozen=True)
class Workload:
    """A model and how it is trained, without any weights."""

    build: Callable[[], nn.Module]
    objective: Objective[Any]
    training: TrainingSpec

    def model(self) -> nn.Module:
        """A model whose weights have shapes alone."""
        with _shapes_alone():
            return self.build().train()


@dataclass(frozen=True)
class StepMemory:
    """Bytes that a rank holds when it holds the most."""

    by_holder: Mapping[str, int]
    """Bytes at that moment: of weights, gradients and optimizer, of each part of the model, of the loss."""
    moving: int
    """Maximum of what follows from the batch: all but weights, gradients and the optimizer's state."""
    operations: int
    """Number of operations of one batch, forward and backward."""

    @property
    def total(self) -> int:
        """Bytes in all."""
        return sum(self.by_holder.values())

    def of(self, holder: str) -> int:
        """Bytes of one ``holder``."""
        return self.by_holder.get(holder, 0)

    @property
    def activations(self) -> dict[str, int]:
        """Bytes that follow from the batch, by part of the model, its layers apart."""
        return {name: size for name, size in self.by_holder.items() if name not in STATIC and size}


def step_memory(
    work: Workload, batches: list[Any], precision: Precision, *, accelerator: bool, real: bool = False
) -> StepMemory:
    """Memory of a step that sums the gradients of ``batches``, once there is an optimizer's state.

    Args:
        work: the model and its training.
        batches: as the objective takes them, on the CPU; three are like more.
        precision: of products.
        accelerator: compute in the ways of an accelerator, else in those of a CPU.
        real: compute with real numbers, which takes as long as training and as much memory.
    """
    ledger = Ledger()
    with ExitStack() as stack:
        if not real:
            stack.enter_context(_shapes_alone())
        model = work.build().train()
        spec = work.training
        optimizer = spec.optimizer.build(model.parameters(), block_matrices(model))
        losses = ModelWithObjective(model, work.objective)
        stack.enter_context(_ways(accelerator, real))
        stack.enter_context(ledger.watching(model))
        stack.enter_context(ledger)
        ledger.book(model.state_dict().values(), WEIGHTS)
        operations = 0
        sums = OwnSums(model.parameters())
        for turn in range(2):
            # Of the first step the optimizer has no state yet.
            ledger.peak.clear()
            ledger.most_moving = ledger.operations = 0
            sums.begin(sum_type(precision, torch.device("cpu")))
            for batch in batches:
                ledger.holder = LOSS_PART
                with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
                    found = losses(batch)
                ledger.holder = BACKWARD
                (found.total / found.predictions).backward()
                del found
                ledger.holder = GRADIENTS
                sums.add(1)
            sums.finish()
            operations = ledger.operations // len(batches)
            ledger.holder = OPTIMIZER if turn == 0 else BACKWARD
            _update(model, optimizer, spec.clip, precision)
    return StepMemory(dict(ledger.peak), ledger.most_moving, operations)


def _update(
    model: nn.Module, optimizer: torch.optim.Optimizer, clip: float | None, precision: Precision
) -> None:
    """Clip and change the weights, as ``TrainingStep`` does, which also looks at numbers."""
    parameters = list(model.parameters())
    norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    if clip is not None:
        torch.nn.utils.clip_grads_with_norm_(parameters, clip, norm)
    del norm
    for group in optimizer.param_groups:
        # Momentum decides the state, not the rate; but a rate of 0 may be left out.
        group["lr"] = 1e-3
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
        optimizer.step()
    optimizer.zero_grad()


def batch_flops(work: Workload, batch: Any) -> float:
    """Floating-point operations of the matrix products of one ``batch``, forward and backward."""
    with _shapes_alone():
        losses = ModelWithObjective(work.build().train(), work.objective)
        with unfused(), _ways(True, False), Ledger(), FlopCounterMode(display=False) as counter:
            losses(batch).total.backward()
    return counter.get_total_flops()


@dataclass(frozen=True)
class WeightShapes:
    """Weights of a model as far as their shapes tell."""

    every: list[tuple[int, ...]]
    """Shape of each weight that is trained."""
    blocks: list[list[tuple[int, ...]]]
    """The same of each block of layers."""


def weight_shapes(work: Workload) -> WeightShapes:
    """The shapes of the weights."""
    model = work.model()
    blocks = [module for module in model.modules() if isinstance(module, Block)]
    return WeightShapes(
        [tuple(p.shape) for p in model.parameters()],
        [[tuple(p.shape) for p in block.parameters()] for block in blocks],
    )


@contextmanager
def _shapes_alone() -> Generator[None]:
    """Give all weights that are made within shapes and no memory."""
    with warnings.catch_warnings(), FakeTensorMode(allow_non_fake_inputs=True):
        # Torch warns of addresses that are asked for, which idle kernels do not read, and of its own look at
        # gradients of what is real.
        warnings.simplefilter("ignore", UserWarning)
        yield


@contextmanager
def _ways(accelerator: bool, real: bool) -> Generator[None]:
    """Compute as on an accelerator, or as on a CPU whose kernels have nothing to compute."""
    with ExitStack() as stack:
        if accelerator:
            stack.enter_context(as_on_accelerator())
            stack.enter_context(_AcceleratorCalls())
        elif not real:
            stack.enter_context(idle_kernels())
        yield


class _AcceleratorCalls(TorchFunctionMode):
    """Calls that hold less on an accelerator: dropout keeps one byte an element, and none in attention."""

    @override
    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        if func is F.scaled_dot_product_attention:
            given["dropout_p"] = 0.0
        if func is F.dropout:
            x: Tensor = args[0]
            return torch.native_dropout(x, given["p"] if "p" in given else args[1], True)[0]
        return func(*args, **given)
