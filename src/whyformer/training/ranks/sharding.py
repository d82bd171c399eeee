"""Weights spread over ranks by torch's FSDP2: each keeps its rows, and gathers the rest while it computes.

The model stays the object that it was; its weights become DTensors, of which ``own_part`` is a rank's.

R ranks
"""

import copy
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Generic, NamedTuple, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor

from whyformer.nn.stack import Block
from whyformer.training.objective import ModelT, ModelWithObjective
from whyformer.training.ranks.gradients import used_anywhere
from whyformer.training.ranks.group import RankGroup


class RowRange(NamedTuple):
    """Rows of a tensor, of which a rank has those from ``first`` to ``last``, the latter left out."""

    first: int
    last: int

    @staticmethod
    def of_rank(rank: int, ranks: int, rows: int) -> "RowRange":
        """The part of ``rank`` in ``rows``; FSDP2 cuts as ``torch.chunk`` does."""
        width = -(-rows // ranks)
        return RowRange(min(rank * width, rows), min((rank + 1) * width, rows))


def is_spread(tensor: Tensor) -> bool:
    """Whether ranks have parts of ``tensor``; else each has the whole."""
    return isinstance(tensor, DTensor)


def own_part(tensor: Tensor) -> Tensor:
    """The rows of ``tensor`` that this rank has."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def ranks_of(tensor: Tensor) -> int:
    """Number of ranks that ``tensor`` is spread over."""
    return tensor.device_mesh.size() if isinstance(tensor, DTensor) else 1


def own_rows(tensor: Tensor, whole: Tensor) -> Tensor:
    """A copy of the rows of ``whole`` that this rank has of ``tensor``, which is spread."""
    mesh = cast(DTensor, tensor).device_mesh
    first, last = RowRange.of_rank(mesh.get_local_rank(), mesh.size(), len(whole))
    return whole[first:last].clone()


def whole_tensor(tensor: Tensor) -> Tensor:
    """All of ``tensor``, gathered where it is spread; all ranks call it."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def spread_like(tensor: Tensor, part: Tensor) -> Tensor:
    """The tensor of which this rank has ``part``, spread as ``tensor`` is."""
    spread = cast(DTensor, tensor)
    return DTensor.from_local(
        part.to(spread.to_local().device),
        spread.device_mesh,
        spread.placements,
        run_check=False,
        shape=spread.shape,
        stride=spread.stride(),
    )


class ShardedWeights(Generic[ModelT]):
    """A model whose weights are spread over the ranks of a group, with the sums of its gradients.

    Blocks are gathered one by one, all else with the whole. Nothing is exchanged before the first pass.
    """

    def __init__(
        self, losses: ModelWithObjective[ModelT], group: RankGroup, device: torch.device, *, ordered: bool
    ) -> None:
        self._model, self._group = losses.model, group
        self._outline = _without_weights(losses.model) if group.ranks.writes else None
        # Of views that leave a module, which a change in place would cost their hook; nothing here makes one.
        warnings.filterwarnings(
            "ignore", category=UserWarning, module=r"torch\.distributed\.fsdp\._fully_shard"
        )
        mesh = DeviceMesh(device.type, list(range(group.ranks.count)))
        for block in [module for module in losses.modules() if isinstance(module, Block)]:
            if block.cross_attention is not None:
                # A stack reads keys and values of the memory before its blocks run.
                fully_shard(block.cross_attention, mesh=mesh)
                register_fsdp_forward_method(block.cross_attention, "key_values")
            fully_shard(block, mesh=mesh)
        fully_shard(losses, mesh=mesh)
        self.sums = ShardedSums(losses, group, ordered=ordered)
        """Sums of gradients over the batches of a step."""

    def norm(self, gradients: Sequence[Tensor], *, exact: bool) -> Tensor:
        """Norm of all ``gradients`` together, on every rank; if ``exact``, the bits of one process."""
        with self._group.waiting():
            if not exact:
                return whole_tensor(torch.nn.utils.get_total_norm(gradients))
            # Sums of squares by rank would be added in an order of their own.
            norms = [torch.linalg.vector_norm(whole_tensor(gradient)) for gradient in gradients]
        return torch.linalg.vector_norm(torch.stack(norms))

    @contextmanager
    def whole(self) -> Generator[ModelT]:
        """The model with all weights, at rank 0; the others give theirs, and get a model to leave alone.

        What is changed in it is lost. Each tensor is gathered by itself.
        """
        tensors = dict[str, Tensor]()
        with self._group.waiting():
            for name, tensor in self._model.state_dict().items():
                whole = whole_tensor(tensor)
                if self._outline is not None:
                    tensors[name] = whole
        if self._outline is None:
            yield self._model
            return
        empty = {name: torch.empty_like(tensor, device="meta") for name, tensor in tensors.items()}
        self._outline.load_state_dict(tensors, assign=True)
        del tensors
        try:
            yield self._outline
        finally:
            self._outline.load_state_dict(empty, assign=True)


class ShardedSums:
    """Sums of gradients of which each rank gets its rows; see ``GradientSums``.

    Every rank takes a pass for each batch of a round, as ranks gather weights for one another.
    """

    def __init__(self, root: nn.Module, group: RankGroup, *, ordered: bool) -> None:
        self._group, self._ordered = group, ordered
        self._parameters = list(root.parameters())
        self._used = set[str]()
        self._names = [name for name, _ in root.named_parameters()]
        self._exchanges = list[OrderedExchange]()
        self._spread = [module for module in root.modules() if isinstance(module, FSDPModule)]
        for module in self._spread:
            # Sums, not means; what has no gradient at one rank may have one at another.
            module.set_gradient_divide_factor(1.0)
            module.set_force_sum_reduction_for_comms(True)
            module.set_reduce_scatter_unused_params(True, recurse=False)
        self._watch(root)

    @property
    def wants_all(self) -> bool:
        """Whether ranks without a batch take a pass."""
        return True

    def begin(self, dtype: torch.dtype) -> None:
        """Begin the sums of a step; see ``GradientSums``."""
        if not self._exchanges and (self._ordered or dtype != torch.float32):
            # Sums in an order of theirs, or wider than a gradient, FSDP2 does not make.
            for module in self._spread:
                self._exchanges.append(OrderedExchange())
                module.set_custom_reduce_scatter(cast(Any, self._exchanges[-1]))
        for exchange in self._exchanges:
            exchange.begin(dtype)

    def add(self, batches: int) -> None:
        """Count a round of so many ``batches``; see ``GradientSums``."""
        for exchange in self._exchanges:
            exchange.add(batches)

    def finish(self) -> None:
        """Leave the sum over all ranks in the weights."""
        for exchange in self._exchanges:
            exchange.finish()
        used = used_anywhere([name in self._used for name in self._names], self._group)
        for parameter, is_used in zip(self._parameters, used, strict=True):
            if not is_used:
                parameter.grad = None
        self._used.clear()

    def _watch(self, root: nn.Module) -> None:
        """Note which weights get a gradient: FSDP2 makes zeros of what is missing."""
        names = {id(parameter): name for name, parameter in root.named_parameters()}
        watched = set[int]()

        def before(module: nn.Module, _: object) -> None:
            for name, (owner, key) in places[module]:
                gathered = getattr(owner, key)
                if id(gathered) not in watched and not isinstance(gathered, DTensor):
                    watched.add(id(gathered))
                    kept.append(gathered)
                    gathered.register_post_accumulate_grad_hook(self._noting(name))

        kept = list[Tensor]()
        places = dict[nn.Module, list[tuple[str, tuple[nn.Module, str]]]]()
        for module in root.modules():
            if isinstance(module, FSDPModule):
                places[module] = [*_places(module, names)]
                module.register_forward_pre_hook(before)

    def _noting(self, name: str) -> Callable[[Tensor], None]:
        return lambda _: self._used.add(name)


class OrderedExchange:
    """The exchange of one module's gradients, summed in the order of the batches as one process does it.

    FSDP2 calls it in place of a reduce-scatter, and makes views of ``output_tensor`` the weights' gradients.
    """

    def __init__(self) -> None:
        self._dtype = torch.float32
        self._parts: Tensor | None = None
        self._output: Tensor | None = None
        self._total: Tensor | None = None

    def begin(self, dtype: torch.dtype) -> None:
        """Begin the sums of a step, made in ``dtype``."""
        self._dtype = dtype

    def allocate(
        self, size: Sequence[int | torch.SymInt], *, dtype: torch.dtype, device: torch.device
    ) -> Tensor:
        """Room for what is exchanged."""
        return torch.empty(*size, dtype=dtype, device=device)

    def __call__(
        self,
        output_tensor: Tensor,
        input_tensor: Tensor,
        group: dist.ProcessGroup,
        op: object,
        async_op: bool = False,
    ) -> None:
        """Get this rank's part of every rank's ``input_tensor``, which ``add`` sums."""
        received = torch.empty_like(input_tensor)
        dist.all_to_all_single(received, input_tensor, group=group)
        # (R·n,) -> (R,n)
        parts = received.view(group.size(), -1)
        # A module may run twice in a pass.
        self._parts = parts if self._parts is None else self._parts + parts
        # Gradients are views of the first output of a step, and what later ones hold is added to it.
        self._output = output_tensor if self._output is None else self._output
        output_tensor.zero_()

    def add(self, batches: int) -> None:
        """Add the parts of the first ranks, which had ``batches``, to those of rounds before."""
        if self._parts is None or self._output is None:
            return
        for part in self._parts[:batches]:
            self._total = part.to(self._dtype, copy=True) if self._total is None else self._total.add_(part)
        assert self._total is not None, "every round has a batch"
        self._output.copy_(self._total)
        self._parts = None

    def finish(self) -> None:
        """End the sums of a step, whose memory is free for the next."""
        self._total = self._output = None


def _places(module: nn.Module, names: dict[int, str]) -> Iterator[tuple[str, tuple[nn.Module, str]]]:
    """Where the weights of ``module`` stand, but for those of parts that are gathered by themselves."""
    for key, parameter in module.named_parameters(recurse=False):
        yield names[id(parameter)], (module, key)
    for child in module.children():
        if not isinstance(child, FSDPModule):
            yield from _places(child, names)


def _without_weights(model: ModelT) -> ModelT:
    """A copy of ``model`` whose weights take no room."""
    outline = copy.deepcopy(model)
    empty = {name: torch.empty_like(tensor, device="meta") for name, tensor in outline.state_dict().items()}
    outline.load_state_dict(empty, assign=True)
    return outline
