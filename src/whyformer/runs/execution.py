"""Execution of a run, where and how it computes: one value for the command line, Python and the service."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from whyformer.errors import DecodingError
from whyformer.machine import EngineName, PrecisionName

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Execution:
    """Device, threads, precision and engine."""

    device: str = "auto"
    """Device: auto, cpu, cuda or mps; engines other than torch, and precisions below fp32, want the CPU."""
    threads: int | None = None
    """CPU threads; torch's choice if left out."""
    precision: PrecisionName = "fp32"
    """Precision of matrix products; fp32 is exact, auto takes what pays on this CPU."""
    engine: EngineName = "auto"
    """Engine that computes; native is our C++ program for Transformers, ctranslate2 is another library, for
    which the run is converted once. With precision auto, auto is native where that can compute the model on
    the CPU, and torch otherwise."""
    shortlist: bool = False
    """Whether translations are looked for among the target pieces of the run's shortlist."""

    @property
    def usual(self) -> bool:
        """Whether the model computes by itself, in fp32, with its whole vocabulary."""
        return self.engine in ("auto", "torch") and self.precision == "fp32" and not self.shortlist

    def apply_threads(self) -> None:
        """Set the number of torch's threads."""
        import torch

        if self.threads is not None:
            torch.set_num_threads(self.threads)

    def torch_device(self) -> "torch.device":
        """The device.

        Raises:
            DecodingError: this machine has no such device.
        """
        return choose_device(self.device)


def choose_device(name: str) -> "torch.device":
    """The device called ``name``: auto, cpu, cuda or mps.

    Raises:
        DecodingError: this machine has no such device.
    """
    import torch

    from whyformer.machine import best_device

    present = {
        "auto": True,
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if not present.get(name, False):
        here = ", ".join(device for device, usable in present.items() if usable)
        raise DecodingError(f"there is no device {name} here; --device takes: {here}.")
    return torch.device(best_device() if name == "auto" else name)
