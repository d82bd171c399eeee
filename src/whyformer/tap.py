"""Taps: named points in a model where a recorder may listen. Silent, they cost nothing."""

from collections import defaultdict
from collections.abc import Callable, Generator
from contextlib import contextmanager
from fnmatch import fnmatch
from threading import get_ident

from torch import Tensor, nn
from typing_extensions import override

TapListener = Callable[[Tensor], Tensor | None]
NamedListener = Callable[[str, Tensor], Tensor | None]


class Tap(nn.Module):
    """An identity that others may listen to.

    A listener sees every tensor that passes and may return another in its place (to patch it);
    ``None`` lets the tensor through unchanged. It hears the thread that it was attached in and no other: in
    a service several compute by one model at a time.
    """

    def __init__(self) -> None:
        super().__init__()
        # Each thread changes its own entry alone.
        self._listeners: dict[int, tuple[TapListener, ...]] = {}

    @property
    def listening(self) -> bool:
        """Whether anybody in this thread listens; kernels that never form the tensor are then not used."""
        return bool(self._listeners) and get_ident() in self._listeners

    def add(self, listener: TapListener) -> None:
        """Let ``listener`` hear what this thread computes."""
        self._listeners[get_ident()] = (*self._listeners.get(get_ident(), ()), listener)

    def remove(self, listener: TapListener) -> None:
        """Let it go."""
        left = tuple(each for each in self._listeners.pop(get_ident()) if each is not listener)
        if left:
            self._listeners[get_ident()] = left

    @override
    def __call__(self, x: Tensor) -> Tensor:
        # A word of a translation passes hundreds of taps, and a module's call costs what a small sum costs.
        return super().__call__(x) if self._listeners else x

    def forward(self, x: Tensor) -> Tensor:
        """Pass ``x`` (any shape) to every listener in turn."""
        for listener in self._listeners.get(get_ident(), ()):
            answer = listener(x)
            x = x if answer is None else answer
        return x


@contextmanager
def attach(model: nn.Module, pattern: str, listener: NamedListener) -> Generator[None]:
    """Attach ``listener(name, tensor)`` to every tap of ``model`` whose name fits the shell ``pattern``."""
    attached: list[tuple[Tap, TapListener]] = []
    for name, module in model.named_modules():
        if isinstance(module, Tap) and fnmatch(name, pattern):
            bound = _bind(listener, name)
            module.add(bound)
            attached.append((module, bound))
    try:
        yield
    finally:
        for tap, bound in attached:
            tap.remove(bound)


@contextmanager
def record(model: nn.Module, pattern: str = "*") -> Generator[dict[str, list[Tensor]]]:
    """Record what passes the taps that fit ``pattern``, in order, by name.

    >>> import torch
    >>> model = nn.Sequential(Tap())
    >>> with record(model) as tape:
    ...     _ = model(torch.ones(2))
    >>> tape["0"]
    [tensor([1., 1.])]
    """
    tape: dict[str, list[Tensor]] = defaultdict(list)

    def keep(name: str, x: Tensor) -> None:
        tape[name].append(x.detach())

    with attach(model, pattern, keep):
        yield tape


def _bind(listener: NamedListener, name: str) -> TapListener:
    return lambda x: listener(name, x)
