"""Kernels with and without their library."""

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager

import pytest

from whyformer.kernels import library

Plainly = Callable[[], AbstractContextManager[None]]
"""Makes a block in which nothing was compiled."""


@pytest.fixture
def plainly(monkeypatch: pytest.MonkeyPatch) -> Plainly:
    """Compute without the library inside a block; skips where there is none to compare with."""
    if library.kernels() is None:
        pytest.skip("the kernels are not compiled")

    @contextmanager
    def block() -> Generator[None]:
        with monkeypatch.context() as patched:
            patched.setattr(library, "kernels", lambda: None)
            yield

    return block
