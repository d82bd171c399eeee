"""The lock of a run folder: one process writes into it, any number read."""

import json
import os
import socket
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from filelock import FileLock, Timeout

from whyformer.errors import CheckpointError
from whyformer.files import explained, make_folder, remove_empty

LOCK = ".lock"
"""File that the writer of a folder holds locked; the system lets go of it when the process ends, however."""
HOLDER = ".lock.json"
"""File beside it that says who that is; it may be missing, or be left by a process that was killed."""


class RunLock:
    """The right to write into one folder, held from entering to leaving it.

    Entering what is held already changes nothing, so that who prepares a training can hand the lock to who
    trains. A folder that was made for the lock alone goes with it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Held by a process, whichever of its threads trains.
        self._lock = FileLock(folder / LOCK, thread_local=False)
        self._made: list[Path] = []

    def __enter__(self) -> Self:
        """Take the lock.

        Raises:
            CheckpointError: another process holds it, or another training of this one.
            WhyformerError: the folder cannot be made or written to.
        """
        if self._lock.is_locked:
            return self
        try:
            self._made = make_folder(self.folder)
            self._lock.acquire(timeout=0)
            (self.folder / HOLDER).write_text(_present_holder(), encoding="utf-8")
        except Timeout:
            raise CheckpointError(_refusal(self.folder)) from None
        except OSError as error:
            self.release()
            raise explained(error, self.folder) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def release(self) -> None:
        """Let others write."""
        if self._lock.is_locked:
            for name in (HOLDER, LOCK):
                # Windows keeps a file that is open.
                with suppress(OSError):
                    (self.folder / name).unlink()
            self._lock.release()
        remove_empty(self._made)
        self._made = []


def is_lock_file(path: Path) -> bool:
    """Whether ``path`` is one of the files that a lock needs, and no content of its folder."""
    return path.name in (LOCK, HOLDER)


def _present_holder() -> str:
    since = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    return json.dumps({"process": os.getpid(), "host": socket.gethostname(), "since": since})


def _refusal(folder: Path) -> str:
    """The sentence that says who writes into ``folder``, as far as that is known."""
    try:
        told = json.loads((folder / HOLDER).read_text(encoding="utf-8"))
        process, host, since = int(told["process"]), str(told["host"]), str(told["since"])
    except (OSError, ValueError, KeyError, TypeError):
        return f"{folder}: another process is writing into this run; wait until it ends, or stop it."
    if host != socket.gethostname():
        return (
            f"{folder}: process {process} on {host} has been writing into this run since {since}; wait until "
            "it ends, or stop it."
        )
    if process == os.getpid():
        return (
            f"{folder}: this process ({process}) has been writing into this run since {since}; let that "
            "training end first."
        )
    return (
        f"{folder}: process {process} has been writing into this run since {since}; wait until it ends, or "
        "stop it."
    )
