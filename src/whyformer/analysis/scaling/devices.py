"""Abilities of machines, as the paper model takes them: GPUs by their data sheets, this one as measured.

Assumed, and said so in the plan: the share of its peak that a device reaches, what remains of its memory
beside torch, and that a link carries four fifths of what is written on it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

from whyformer.errors import DataError
from whyformer.machine import Precision, examine

DeviceName = Literal["this", "cpu", "h100", "h200", "a100"]


@dataclass(frozen=True)
class DeviceLinks:
    """The ways from one device to others like it: bytes a second, in one direction."""

    machine: float
    """To its neighbours in one machine."""
    network: float
    """To another machine."""
    neighbours: int
    """Devices in one machine."""


@dataclass(frozen=True)
class DevicePace:
    """How near to its peak a device comes."""

    mfu: float
    """Model FLOPs utilisation: the share of the peak that training reaches."""
    latency: float
    """Seconds that each operation takes at least."""
    is_measured: bool = False
    """Whether the device is at hand, to take steps for the speed of a rank."""


@dataclass(frozen=True)
class DeviceFacts:
    """One device of many that are alike, and the links between them; rates a second, bytes."""

    name: str
    peak: Mapping[Precision, float]
    """Operations of dense matrix products, by precision."""
    memory: int
    """Bytes of memory."""
    bandwidth: float | None
    """Bytes that memory reads or writes; None where nobody has measured it."""
    links: DeviceLinks
    pace: DevicePace
    usable: float = 0.92
    """Share of memory that training may fill; the rest is torch's own, and gaps."""
    is_accelerator: bool = True

    def with_mfu(self, mfu: float | None) -> "DeviceFacts":
        """The same with another utilisation, None for its own."""
        return self if mfu is None else replace(self, pace=DevicePace(mfu, self.pace.latency))

    @property
    def room(self) -> int:
        """Bytes that training may fill."""
        return int(self.usable * self.memory)


# Assumed. torchtitan's Llama 3.1 8B, bf16 by FSDP2, not compiled, runs at 5,762 tokens/s on each of 8 H100
# (pytorch/torchtitan, docs/performance.md); by the products that we count that is 0.34 of the peak, and its
# authors say 0.33. Small models reach less: see its latency.
# Assumed, too: the time PyTorch takes to start an operation, not compiled, where its kernel takes less.
_PACE = DevicePace(mfu=0.34, latency=5e-6)
# 400 Gb/s a GPU, as in torchtitan's measurements (the same page).
_INFINIBAND = 400e9 / 8

_GPUS = {
    # NVIDIA H100 data sheet, SXM5: bf16 1,979 TFLOP/s with sparsity, which is twice the dense rate; fp32 67;
    # 80 GB HBM3 of 3.35 TB/s; NVLink 900 GB/s, both directions together.
    "h100": DeviceFacts(
        "h100",
        {"bf16": 989e12, "fp32": 67e12},
        *(80 * 10**9, 3.35e12),
        DeviceLinks(900e9 / 2, _INFINIBAND, 8),
        _PACE,
    ),
    # NVIDIA H200 data sheet, SXM: the arithmetic of H100; 141 GB HBM3e of 4.8 TB/s; NVLink 900 GB/s.
    "h200": DeviceFacts(
        "h200",
        {"bf16": 989e12, "fp32": 67e12},
        *(141 * 10**9, 4.8e12),
        DeviceLinks(900e9 / 2, _INFINIBAND, 8),
        _PACE,
    ),
    # NVIDIA A100 80GB data sheet, SXM: bf16 312 TFLOP/s dense; fp32 19.5; HBM2e of 2,039 GB/s; NVLink 600.
    # The network is assumed: 200 Gb/s a GPU.
    "a100": DeviceFacts(
        "a100",
        {"bf16": 312e12, "fp32": 19.5e12},
        *(80 * 10**9, 2.039e12),
        DeviceLinks(600e9 / 2, 200e9 / 8, 8),
        _PACE,
    ),
}


def find_device(name: str) -> DeviceFacts:
    """The device called ``name``; ``this`` and ``cpu`` are measured, which takes a second.

    Raises:
        DataError: there are no facts of such a device.
    """
    if name in _GPUS:
        return _GPUS[name]
    if name not in ("this", "cpu"):
        known = ", ".join(get_args(DeviceName))
        raise DataError(f"--device {name}: nothing is known of such a device; known are {known}.")
    return _this_gpu() if name == "this" and _has_gpu() else _this_cpu()


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def _this_gpu() -> DeviceFacts:
    """This GPU: its memory asked for, its products measured; links as H100's unless its name is known."""
    import torch

    told = torch.cuda.get_device_name().lower()
    like = next((facts for name, facts in _GPUS.items() if name in told), _GPUS["h100"])
    rates: dict[Precision, float] = {}
    kinds: dict[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}
    for precision, kind in kinds.items():
        x = torch.ones(8192, 8192, dtype=kind, device="cuda")
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        _ = x @ x
        begin.record()
        _ = x @ x
        end.record()
        torch.cuda.synchronize()
        rates[precision] = 2 * 8192**3 / (1e-3 * begin.elapsed_time(end))
    memory = torch.cuda.get_device_properties(0).total_memory
    return replace(like, name="this", peak=rates, memory=memory)


def _this_cpu() -> DeviceFacts:
    """This CPU: each rank a machine like it, joined by Ethernet of 10 Gb/s, which is assumed."""
    machine = examine()
    arithmetic, memory = machine.arithmetic, machine.storage.memory
    assert arithmetic is not None, "torch is there"
    rates: dict[Precision, float] = {
        "fp32": 1e9 * arithmetic.fp32_gflops,
        "bf16": 1e9 * arithmetic.bf16_gflops,
    }
    ethernet = 10e9 / 8
    # Of a CPU's training 0.55 to 0.67 of measured products is what docs/log.md has of the base model.
    links, pace = DeviceLinks(ethernet, ethernet, 1), DevicePace(0.55, 1e-6, is_measured=True)
    return DeviceFacts("cpu", rates, memory or 8 * 2**30, None, links, pace, is_accelerator=False)
