"""A connection sends together what is written together, and nothing is lost when it ends."""

import asyncio
from typing import cast

import pytest

from whyformer.serve.gate.transport import EndingTransport


class Recorder:
    """A transport that notes what is done with it."""

    def __init__(self) -> None:
        self.done = list[object]()

    def write(self, data: bytes) -> None:
        self.done.append(bytes(data))

    def close(self) -> None:
        self.done.append("close")

    def abort(self) -> None:
        self.done.append("abort")

    def get_write_buffer_size(self) -> int:
        return 0


async def recorded(*, then: str | None) -> list[object]:
    """What becomes of two writes in one turn of the loop, of ``then``, and of a write in a later turn."""
    recorder = Recorder()
    inner = cast(asyncio.Transport, recorder)
    transport = EndingTransport.around(inner, asyncio.get_running_loop(), 1.0)
    transport.write(b"head ")
    transport.write(bytearray(b"body"))
    assert recorder.done == []
    assert transport.get_write_buffer_size() == 9
    if then is not None:
        getattr(transport, then)()
    else:
        await asyncio.sleep(0)
        transport.write(b"more")
    await asyncio.sleep(0)
    assert transport.get_write_buffer_size() == 0
    return recorder.done


@pytest.mark.parametrize(
    ("then", "done"),
    [(None, [b"head body", b"more"]), ("close", [b"head body", "close"]), ("abort", ["abort"])],
)
def test_what_is_written_in_one_turn_leaves_together_and_before_the_end(then: str | None, done: list[object]):
    assert asyncio.run(recorded(then=then)) == done
