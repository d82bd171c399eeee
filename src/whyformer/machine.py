"""Abilities of this machine: cores, instruction sets, memory, matrix speed, and the precision that follows.

torch is imported inside the functions that measure it, so that asking for versions costs nothing.
"""

import ctypes
import functools
import os
import platform
import shutil
import subprocess
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch

Device = Literal["cpu", "cuda", "mps"]
Precision = Literal["fp32", "bf16"]
CPUPrecision = Literal["fp32", "bf16", "int8"]
"""Precision of a trained model's products on a CPU."""
PrecisionName = Literal["auto", "fp32", "bf16", "int8"]
"""The same, or whichever pays on this CPU."""
EngineName = Literal["auto", "torch", "native", "ctranslate2"]
"""Names of engines, which compute translations, or whichever suits the precision and the model."""

PACKAGES = ("torch", "tokenizers", "safetensors", "pydantic", "omegaconf", "sacrebleu", "altair", "typer")
FAST_ENOUGH = 1.5
"""Factor by which bf16 products must be faster than fp32 before `auto` gives up 16 bits of mantissa."""
_SIDE = 1024
"""Rows and columns of the matrices in the speed measurement."""
# What mallopt(3) calls M_TRIM_THRESHOLD, M_TOP_PAD and M_MMAP_MAX.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
# Of some hundred flags, those that decide how fast matrices multiply (x86, then ARM).
_FEATURES = (
    *("avx2", "avx512f", "avx512_bf16", "avx512_fp16", "avx512_vnni", "avx_vnni"),
    *("amx_tile", "amx_bf16", "amx_int8", "asimd", "asimddp", "bf16", "i8mm", "sve", "sve2", "sme"),
)
INT8_PRODUCTS = frozenset({"avx512_vnni", "avx_vnni", "amx_int8"})
"""Instructions that sum products of 8-bit numbers; any of them will do."""
NATIVE_INT8_PRODUCTS = INT8_PRODUCTS | {"avx2"}
"""Instructions by which the native engine is faster in int8 than in fp32; some multiply 16 bits."""
BF16_PRODUCTS = frozenset({"avx512_bf16", "amx_bf16"})


@dataclass(frozen=True)
class Processor:
    """The CPU and what this process may use of it."""

    name: str
    cores: int
    """Cores that the system has."""
    usable_cores: int
    """Cores that this process may run on; fewer in a container or under taskset."""
    features: tuple[str, ...]
    """Instruction sets that matter for matrices, in the kernel's spelling; empty where it does not tell."""


@dataclass(frozen=True)
class Storage:
    """Memory and disk, in bytes; None where the system does not tell."""

    memory: int | None
    memory_available: int | None
    disk_free: int
    """Free space in the present folder."""


@dataclass(frozen=True)
class Arithmetic:
    """Speed of torch's products here, and the choice that `auto` makes of it."""

    threads: int
    capability: str
    """The instruction set that torch's own CPU kernels use."""
    fp32_gflops: float
    bf16_gflops: float
    accelerators: tuple[str, ...]
    device: Device
    precision: Precision
    reason: str
    """Reason for which `auto` would choose this precision."""


@dataclass(frozen=True)
class Machine:
    """Everything that ``whyformer doctor`` reports."""

    system: str
    python: str
    packages: dict[str, str | None]
    """Versions; None for a package that is not installed."""
    processor: Processor
    storage: Storage
    arithmetic: Arithmetic | None
    """None where torch cannot be imported."""
    problems: tuple[str, ...]
    """Faults to be put right before anything can run."""
    advice: tuple[str, ...]
    """Changes that would make it run better."""


def examine() -> Machine:
    """Look at this machine and measure it; takes about a second beyond the import of torch."""
    packages = {name: _version(name) for name in ("whyformer", *PACKAGES)}
    problems = [
        f"{name} is not installed; run `pip install whyformer`." for name, v in packages.items() if not v
    ]
    processor, storage = _processor(), _storage()
    arithmetic = None
    try:
        arithmetic = _arithmetic()
    except (ImportError, OSError) as error:
        problems.append(f"torch cannot be imported ({error}); install it again.")
    return Machine(
        system=platform.platform(),
        python=platform.python_version(),
        packages=packages,
        processor=processor,
        storage=storage,
        arithmetic=arithmetic,
        problems=tuple(problems),
        advice=tuple(_advice(processor, storage, arithmetic)),
    )


def usable_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor_name() -> str:
    """Name of the CPU, as its maker has it where the system tells that."""
    told = _colon_table(Path("/proc/cpuinfo")).get("model name")
    return told or _apple_name() or platform.processor() or platform.machine()


def cpu_bf16_speedup() -> float:
    """Factor by which the CPU multiplies bf16 faster than fp32 matrices, with torch's present threads.

    Measured on first use (about 0.3 s) and kept for the life of the process.
    """
    import torch

    fp32, bf16 = _measured_gflops(torch.get_num_threads())
    return bf16 / fp32


def bf16_is_fast() -> bool:
    """Whether bf16 pays on this CPU: only where it has instructions for it, else torch emulates them."""
    return cpu_bf16_speedup() >= FAST_ENOUGH


def best_device() -> Device:
    """The device that ``auto`` stands for: a CUDA GPU, else Apple's, else the CPU."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def automatic_precision(device: Device) -> tuple[Precision, str]:
    """The precision that ``auto`` stands for on ``device``, and the reason in one phrase."""
    import torch

    match device:
        case "cuda":
            if torch.cuda.is_bf16_supported(including_emulation=False):
                return "bf16", "the GPU has bf16 arithmetic"
            return "fp32", "the GPU has no bf16 arithmetic"
        case "mps":
            return "fp32", "bf16 is not measured on Apple GPUs"
        case "cpu":
            ratio = f"bf16 products run at {cpu_bf16_speedup():.1f} times the speed of fp32"
            return ("bf16" if bf16_is_fast() else "fp32"), f"{ratio}; {FAST_ENOUGH} is the limit"


def automatic_cpu_precision(*, native: bool = False) -> tuple[CPUPrecision, str]:
    """The precision that ``auto`` stands for where a trained model runs on the CPU, and the reason.

    It depends on the machine and on whether the ``native`` engine computes, never on a batch, so that no
    result depends on one.
    """
    present = set(_processor().features)
    int8 = sorted(present & (NATIVE_INT8_PRODUCTS if native else INT8_PRODUCTS))
    bf16 = sorted(present & BF16_PRODUCTS)
    chosen: CPUPrecision = "int8" if int8 else "bf16" if bf16 else "fp32"
    return chosen, f"int8 products by {' and '.join(int8) or 'none'}, bf16 by {' and '.join(bf16) or 'none'}"


def keep_freed_memory() -> None:
    """Let this process keep the memory it frees for its next tensors, instead of giving it back each time.

    A training step frees and takes the same gigabyte again and again; every time it comes back from the
    system, its pages have to be zeroed first (docs/log.md has what that costs). Only glibc is told so;
    elsewhere nothing changes.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    mallopt = ctypes.CDLL(None).mallopt
    for parameter, value in ((_TRIM_THRESHOLD, -1), (_TOP_PAD, 64 * 2**20), (_MMAP_MAX, 0)):
        mallopt(parameter, value)


def code_version() -> str | None:
    """The commit that this package's files are of, with a + if they differ; None where git keeps none."""
    if shutil.which("git") is None:
        return None

    def git(*arguments: str) -> str:
        command = ["git", *arguments, "--", "."]
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    commit = git("log", "-1", "--format=%H")
    return commit + ("+" if git("status", "--porcelain") else "") if commit else None


@functools.cache
def _measured_gflops(threads: int) -> tuple[float, float]:
    """Billions of operations a second in fp32 and in bf16; ``threads`` is only the key of the cache.

    The two take turns, so that other work on the machine hits both; of each the best turn counts, since
    other work can only slow one down.
    """
    import torch

    # Ones, not random numbers: the random state belongs to whoever trains in this process.
    matrices = [torch.ones(_SIDE, _SIDE, dtype=dtype) for dtype in (torch.float32, torch.bfloat16)]
    turns = [[_seconds(matrix) for matrix in matrices] for _ in range(6)]
    fp32, bf16 = (2 * _SIDE**3 / min(seconds) / 1e9 for seconds in zip(*turns, strict=True))
    return fp32, bf16


def _seconds(matrix: "torch.Tensor") -> float:
    start = time.perf_counter()
    _ = matrix @ matrix
    return time.perf_counter() - start


def _arithmetic() -> Arithmetic:
    import torch

    fp32, bf16 = _measured_gflops(torch.get_num_threads())
    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    apple = ["Apple GPU (MPS)"] if torch.backends.mps.is_available() else []
    device = best_device()
    precision, reason = automatic_precision(device)
    return Arithmetic(
        threads=torch.get_num_threads(),
        capability=torch.backends.cpu.get_cpu_capability(),
        fp32_gflops=fp32,
        bf16_gflops=bf16,
        accelerators=(*gpus, *apple),
        device=device,
        precision=precision,
        reason=reason,
    )


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> Processor:
    told = _colon_table(Path("/proc/cpuinfo"))
    flags = set((told.get("flags") or told.get("Features") or "").split())
    features = tuple(feature for feature in _FEATURES if feature in flags)
    return Processor(processor_name(), os.cpu_count() or 1, usable_cores(), features)


def _apple_name() -> str | None:
    """Name of the processor on macOS, which `platform` only knows as "arm"."""
    if platform.system() != "Darwin":
        return None
    command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or None


def _storage() -> Storage:
    told = _colon_table(Path("/proc/meminfo"))
    sizes = {key: int(value.split()[0]) * 1024 for key, value in told.items() if value.endswith("kB")}
    return Storage(sizes.get("MemTotal"), sizes.get("MemAvailable"), shutil.disk_usage(Path.cwd()).free)


def _colon_table(path: Path) -> dict[str, str]:
    """The first value of each ``key : value`` line; empty where the system has no such file."""
    if not path.exists():
        return {}
    rows = (line.partition(":") for line in path.read_text(encoding="utf-8").splitlines())
    table: dict[str, str] = {}
    for key, _, value in rows:
        table.setdefault(key.strip(), value.strip())
    return table


def _advice(processor: Processor, storage: Storage, arithmetic: Arithmetic | None) -> list[str]:
    advice: list[str] = []
    usable = processor.usable_cores
    if arithmetic and arithmetic.threads < usable // 2:
        advice.append(f"torch uses {arithmetic.threads} of {usable} usable cores; check OMP_NUM_THREADS.")
    if arithmetic and arithmetic.threads > usable:
        advice.append(
            f"torch uses {arithmetic.threads} threads on {usable} cores; set OMP_NUM_THREADS={usable}."
        )
    if storage.memory_available is not None and storage.memory_available < 2 * 2**30:
        advice.append("less than 2 GiB of memory is free; close something or choose a small recipe.")
    if storage.disk_free < 2 * 2**30:
        advice.append("less than 2 GiB of disk is free here; run folders hold several copies of a model.")
    return advice
