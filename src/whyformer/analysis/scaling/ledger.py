"""An accountant of memory: bytes of all storages that live, by who holds them."""

import weakref
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, unset_fake_temporarily
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only
from typing_extensions import override

WEIGHTS, GRADIENTS, OPTIMIZER = "weights", "gradients", "optimizer"
LOSS_PART, BACKWARD = "loss", "backward"
STATIC = frozenset({WEIGHTS, GRADIENTS, OPTIMIZER})
"""Holders whose bytes follow from the weights alone, whatever the batch."""

_COMPUTED = {
    torch.ops.aten._ctc_loss.Tensor,
    torch.ops.aten._pack_padded_sequence.default,
    torch.ops.aten.mkldnn_rnn_layer.default,
}
"""Operations whose results have shapes, or work space, that nobody knows without computing them."""

_INDEXING = {
    torch.ops.aten.index.Tensor,
    torch.ops.aten.index_put.default,
    torch.ops.aten.index_put_.default,
    torch.ops.aten._index_put_impl_.default,
}


class Ledger(TorchDispatchMode):
    """Bytes of all storages that live, by holder, and their peak; of real tensors or fake ones.

    Of fake tensors only shapes, types and storages exist. What is no weight and follows from none (tokens,
    positions, masks) stays real, since shapes depend on it. What a kernel takes and gives back within one
    call is not seen.
    """

    def __init__(self) -> None:
        super().__init__()
        self.live: Counter[str] = Counter()
        """Bytes that live, by holder: a part of the model, the loss, the backward pass, a constant above."""
        self.peak: Counter[str] = Counter()
        """The same when they were the most."""
        self.most_moving = 0
        """Maximum of bytes of holders that are not ``STATIC``."""
        self.operations = 0
        """Number of operations."""
        self.holder = LOSS_PART
        """Holder of what is made now."""
        self._held: dict[int, tuple[str, int, weakref.ref[Any]]] = {}

    def book(self, tensors: Iterable[Tensor], holder: str) -> None:
        """Give the storages of ``tensors`` to ``holder``, whoever had them."""
        for tensor in tensors:
            storage = tensor.untyped_storage()
            if id(storage) in self._held:
                before, size, reference = self._held[id(storage)]
                self.live[before] -= size
                self.live[holder] += size
                self._held[id(storage)] = holder, size, reference
            else:
                self._note(tensor, holder)

    @contextmanager
    def watching(self, model: nn.Module) -> Generator[None]:
        """Tell apart, within, the parts of ``model`` and its gradients."""
        hooks: list[Any] = []
        for name, module in model.named_modules():
            *above, last = name.split(".")
            if name and (not above or last.isdigit()):
                hooks += self._hooks(module, name)
        hooks += [
            parameter.register_post_accumulate_grad_hook(self._book_gradient)
            for parameter in model.parameters()
            if parameter.requires_grad
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _hooks(self, module: nn.Module, name: str) -> list[Any]:
        outer: list[str] = []

        def enter(*_: object) -> None:
            outer.append(self.holder)
            self.holder = name

        def leave(*_: object) -> None:
            self.holder = outer.pop()

        return [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]

    def _book_gradient(self, parameter: Tensor) -> None:
        assert parameter.grad is not None, "it was just made"
        self.book([parameter.grad], GRADIENTS)

    @override
    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = kwargs or {}
        fakes = [each for each in tree_leaves((args, given)) if isinstance(each, FakeTensor)]
        if fakes and func not in _COMPUTED:
            result = func(*(_numbered(args) if func in _INDEXING else args), **given)
        elif fakes:
            result = _computed(func, args, given, fakes[0])
        else:
            with unset_fake_temporarily():
                result = func(*args, **given)
        self.operations += 1
        for each in tree_leaves(result):
            if isinstance(each, Tensor):
                self._note(each, self.holder)
        return result

    def _note(self, tensor: Tensor, holder: str) -> None:
        storage = tensor.untyped_storage()
        key, size = id(storage), storage.nbytes()
        if key in self._held or not size:
            return

        def gone(_: object) -> None:
            before, size, _reference = self._held.pop(key)
            self.live[before] -= size

        self._held[key] = holder, size, weakref.ref(storage, gone)
        self.live[holder] += size
        total, moving = self.live.total(), sum(n for name, n in self.live.items() if name not in STATIC)
        self.most_moving = max(self.most_moving, moving)
        if total > self.peak.total():
            self.peak = self.live.copy()


def _numbered(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Arguments of an indexing, true cells named by number: how many they are, nothing fake tells."""
    x, indices, *others = args
    named: list[Tensor | None] = []
    for index in indices:
        if index is None or index.dtype != torch.bool or isinstance(index, FakeTensor):
            named.append(index)
        else:
            with unset_fake_temporarily():
                named += index.nonzero(as_tuple=True)
    return x, named, *others


def _computed(func: Callable[..., Any], args: Any, given: Any, like: FakeTensor) -> Any:
    """The result of ``func`` of zeros; what is no index is made fake again."""
    with unset_fake_temporarily():
        zeros, named = tree_map_only(FakeTensor, lambda x: torch.zeros(x.shape, dtype=x.dtype), (args, given))
        result = func(*zeros, **named)
    made = like.fake_mode.from_tensor
    return tree_map_only(Tensor, lambda x: made(x) if x.is_floating_point() else x, result)
