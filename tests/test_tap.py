"""Taps: they hear, they may change what passes, and they are let go whatever happens."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor, nn

from whyformer.tap import Tap, attach, record


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = Tap()
        self.second = nn.Sequential(Tap(), Tap())

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x) + 1)


def test_recording_keeps_what_passes_by_name_and_in_order():
    model = Two()
    with record(model) as tape:
        model(torch.tensor(0.0))
        model(torch.tensor(10.0))
    assert {name: [float(x) for x in heard] for name, heard in tape.items()} == {
        "first": [0.0, 10.0],
        "second.0": [1.0, 11.0],
        "second.1": [1.0, 11.0],
    }


def test_a_pattern_chooses_taps():
    model = Two()
    with record(model, "second.*") as tape:
        assert not model.first.listening
        model(torch.tensor(0.0))
    assert sorted(tape) == ["second.0", "second.1"]


def test_a_record_holds_no_graph():
    x = torch.tensor(1.0, requires_grad=True)
    with record(Two()) as tape:
        pass
    assert not tape
    model = Two()
    with record(model) as tape:
        model(x).backward()
    assert not tape["first"][0].requires_grad
    assert x.grad == 1


def test_a_listener_may_put_another_tensor_in_place():
    model = Two()
    with attach(model, "first", lambda _, x: x * 3), record(model, "second.0") as tape:
        assert model(torch.tensor(2.0)) == 7
    assert tape["second.0"] == [7]
    assert model(torch.tensor(2.0)) == 3


def test_listeners_leave_when_the_block_fails():
    model = Two()

    def fail(_name: str, _x: Tensor) -> None:
        assert model.first.listening
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"), attach(model, "*", fail):
        model(torch.tensor(0.0))
    assert not any(module.listening for module in model.modules() if isinstance(module, Tap))


def test_two_listeners_hear_one_after_the_other():
    tap = Tap()
    with attach(tap, "*", lambda _, x: x + 1), attach(tap, "*", lambda _, x: x * 10):
        assert tap(torch.tensor(1.0)) == 20
    assert tap(torch.tensor(1.0)) == 1


def test_a_listener_hears_its_own_thread_alone():
    model, steps, threads = Two(), 50, 4
    together = threading.Barrier(threads)

    def work(number: int) -> tuple[list[float], bool]:
        together.wait()
        heard: list[float] = []
        for step in range(steps):
            with attach(model, "first", lambda _, x: heard.append(float(x))):
                model(torch.tensor(float(number * steps + step)))
        return heard, model.first.listening

    with ThreadPoolExecutor(threads) as pool, record(model) as tape:
        found = [*pool.map(work, range(threads))]
    for number, (heard, listening) in enumerate(found):
        assert heard == [float(number * steps + step) for step in range(steps)]
        assert not listening
    assert not tape
