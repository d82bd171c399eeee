"""The doctor reports what is there, says what is missing, and explains which precision `auto` takes."""

import json

import pytest
from typer.testing import CliRunner

from whyformer import machine
from whyformer.cli.main import app
from whyformer.machine import Arithmetic, Processor, Storage

GIB = 2**30
PROCESSOR = Processor("a processor", cores=8, usable_cores=4, features=("avx2",))
STORAGE = Storage(memory=16 * GIB, memory_available=8 * GIB, disk_free=50 * GIB)


def measured(monkeypatch: pytest.MonkeyPatch, fp32: float, bf16: float) -> None:
    """Replace the measurement by known numbers."""
    monkeypatch.setattr(machine, "_measured_gflops", lambda threads: (fp32, bf16))


def with_threads(threads: int) -> Arithmetic:
    return Arithmetic(threads, "AVX2", 100.0, 50.0, (), "cpu", "fp32", "a reason")


def test_json_report_is_complete():
    result = CliRunner().invoke(app, ["doctor", "--json"])
    report = json.loads(result.stdout)
    assert result.exit_code == 0
    assert report["problems"] == []
    assert report["packages"]["torch"].startswith("2.")
    assert 1 <= report["processor"]["usable_cores"] <= report["processor"]["cores"]
    assert report["arithmetic"]["fp32_gflops"] > 0
    assert report["arithmetic"]["bf16_gflops"] > 0
    assert report["arithmetic"]["precision"] in {"fp32", "bf16"}


def test_text_report_shows_the_numbers(monkeypatch: pytest.MonkeyPatch):
    measured(monkeypatch, 100.0, 320.0)
    shown = CliRunner().invoke(app, ["doctor"]).stdout
    assert "fp32 100, bf16 320 GFLOP/s" in shown


def test_text_report_says_how_a_trained_model_would_run(monkeypatch: pytest.MonkeyPatch):
    measured(monkeypatch, 100.0, 320.0)
    monkeypatch.setattr(machine, "_processor", lambda: Processor("one", 2, 2, ("avx_vnni",)))
    shown = CliRunner().invoke(app, ["doctor"]).stdout
    assert "--precision auto takes int8 on the CPU (int8 products by avx_vnni, bf16 by none)" in shown
    shown = CliRunner().invoke(app, ["doctor"], env={"WHYFORMER_LANG": "zh"}).stdout
    assert "--precision auto 在 CPU 上取 int8（int8 乘法：avx_vnni；bf16：无）" in shown


@pytest.mark.parametrize(
    ("present", "reason", "said"),
    [
        (
            "avx_vnni",
            None,
            "--engine auto with it is native for Transformers that it can express, else torch",
        ),
        (
            "avx2",
            None,
            "--engine auto with it is native for Transformers that it can express, in int8, else torch",
        ),
        (
            "avx2",
            "it was not compiled; do it",
            "--engine auto with it is torch: it was not compiled; do it.",
        ),
    ],
)
def test_text_report_says_which_engine_would_translate(
    monkeypatch: pytest.MonkeyPatch, present: str, reason: str | None, said: str
):
    measured(monkeypatch, 100.0, 320.0)
    monkeypatch.setattr(machine, "_processor", lambda: Processor("one", 2, 2, (present,)))
    monkeypatch.setattr("whyformer.engines.native.library.missing", lambda: reason)
    assert said in CliRunner().invoke(app, ["doctor"]).stdout


def test_a_missing_package_is_a_problem_and_exit_code_1(monkeypatch: pytest.MonkeyPatch):
    measured(monkeypatch, 100.0, 320.0)
    monkeypatch.setattr(machine, "PACKAGES", ("torch", "no-such-package"))
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 1
    assert "no-such-package is not installed" in result.stdout


def test_a_broken_torch_is_a_problem_not_a_traceback(monkeypatch: pytest.MonkeyPatch):
    def broken() -> Arithmetic:
        raise OSError("libtorch.so: cannot open")

    monkeypatch.setattr(machine, "_arithmetic", broken)
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 1
    assert "torch cannot be imported (libtorch.so: cannot open)" in result.stdout


@pytest.mark.parametrize(
    ("bf16", "precision"), [(320.0, "bf16"), (150.0, "bf16"), (149.0, "fp32"), (10.0, "fp32")]
)
def test_auto_takes_bf16_on_a_cpu_only_where_it_was_measured_to_be_fast(
    monkeypatch: pytest.MonkeyPatch, bf16: float, precision: str
):
    measured(monkeypatch, 100.0, bf16)
    chosen, reason = machine.automatic_precision("cpu")
    assert chosen == precision
    assert machine.bf16_is_fast() == (precision == "bf16")
    assert f"{bf16 / 100:.1f} times" in reason


def test_the_measurement_is_made_once_per_number_of_threads():
    first = machine.cpu_bf16_speedup()
    assert first > 0
    assert machine.cpu_bf16_speedup() == first


@pytest.mark.parametrize(
    ("threads", "storage", "advice"),
    [
        (4, STORAGE, []),
        (1, STORAGE, ["torch uses 1 of 4 usable cores"]),
        (8, STORAGE, ["torch uses 8 threads on 4 cores"]),
        (4, Storage(16 * GIB, GIB, 50 * GIB), ["less than 2 GiB of memory"]),
        (4, Storage(None, None, GIB), ["less than 2 GiB of disk"]),
    ],
)
def test_advice(threads: int, storage: Storage, advice: list[str]):
    given = machine._advice(PROCESSOR, storage, with_threads(threads))
    assert len(given) == len(advice)
    assert all(line.startswith(start) for line, start in zip(given, advice, strict=True))
