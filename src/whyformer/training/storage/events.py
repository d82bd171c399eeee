"""TensorBoard events, written at once: none waits in a queue when a run is killed or the disk is full."""

import os
import time
from collections.abc import Mapping
from pathlib import Path

from whyformer.files import explained

_SESSION_STARTS = 1


class Events:
    """New file of scalars; whatever earlier files of the folder say about steps beyond ``step`` is void.

    Its methods, the constructor included, raise a ``WhyformerError`` if the file cannot be written.
    """

    def __init__(self, folder: Path, step: int) -> None:
        # TensorBoard has no types; it takes a tenth of a second to import.
        from tensorboard.compat.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue]
        from tensorboard.summary.writer.record_writer import RecordWriter

        self.path = folder / f"events.out.tfevents.{time.time_ns()}.{os.getpid()}"
        self._event = Event
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # Without a buffer, or what a full disk refused would be tried again on closing.
            self._file = RecordWriter(self.path.open("wb", buffering=0))
        except OSError as error:
            raise explained(error, self.path) from error
        self._write({"file_version": "brain.Event:2"})
        self._write({"step": step + 1, "session_log": {"status": _SESSION_STARTS}})

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Write a value under each name."""
        told = [{"tag": name, "simple_value": value} for name, value in values.items()]
        self._write({"step": step, "summary": {"value": told}})

    def close(self) -> None:
        """Write no more."""
        self._file.close()

    def _write(self, content: Mapping[str, object]) -> None:
        try:
            self._file.write(self._event(wall_time=time.time(), **content).SerializeToString())
        except OSError as error:
            raise explained(error, self.path) from error
