"""A value that is computed when it is first asked for."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")


class lazy(Generic[T]):  # noqa: N801 - it stands for a function, as `property` does
    """A property that is computed once and then kept by its instance.

    It does what ``functools.cached_property`` does from Python 3.12 on. The one of 3.11 takes a lock, which
    torch.compile cannot follow: a model would be cut into a piece for each attention.
    """

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self.compute = compute
        self.name = compute.__name__
        self.__doc__ = compute.__doc__

    @overload
    def __get__(self, instance: None, owner: type[Any] | None = None) -> "lazy[T]": ...
    @overload
    def __get__(self, instance: object, owner: type[Any] | None = None) -> T: ...
    def __get__(self, instance: object | None, owner: type[Any] | None = None) -> "T | lazy[T]":
        if instance is None:
            return self
        # Not a data descriptor: what is kept under its name is found without asking it again.
        value = instance.__dict__[self.name] = self.compute(instance)
        return value
