"""Pools whose processes are killed at any moment, also while another one starts."""

import errno
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import pytest

from whyformer.data.store.processes import submitted


class Stumbling(ProcessPoolExecutor):
    """A pool that fails to start a process."""

    def __init__(self, error: OSError) -> None:
        super().__init__(1)
        self.error = error

    def submit(self, *_call: Any, **_named: Any) -> Any:
        raise self.error


def test_a_pipe_that_a_killed_process_leaves_closed_is_a_broken_pool():
    # What multiprocessing says where it hands over a connection that the pool has closed meanwhile.
    with (
        Stumbling(OSError("handle is closed")) as pool,
        pytest.raises(BrokenProcessPool, match="handle is closed"),
    ):
        submitted(pool, len, "text")


def test_what_the_system_refuses_is_said_as_it_is():
    refused = OSError(errno.EMFILE, "Too many open files")
    with Stumbling(refused) as pool, pytest.raises(OSError, match="Too many open files"):
        submitted(pool, len, "text")
