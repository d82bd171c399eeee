"""``whyformer serve``: what it says, and how it begins and ends."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

pytest.importorskip("fastapi", reason="needs the extra `serve`")

Program = Callable[..., Result]


def test_a_taken_port_is_one_sentence(whyformer: Program, reverse_run: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = whyformer("serve", reverse_run, "--port", port)
    assert result.exit_code == 2
    assert f"cannot listen at 127.0.0.1, port {port}" in result.stderr
    assert "--port" in result.stderr


@pytest.mark.parametrize("host", ["203.0.113.1", "no-such-host.invalid"])
def test_an_address_of_another_machine_is_one_sentence(whyformer: Program, reverse_run: Path, host: str):
    result = whyformer("serve", reverse_run, "--host", host, "--port", 0)
    assert result.exit_code == 2
    assert f"cannot listen at {host}" in result.stderr


def test_two_runs_of_one_name_are_one_sentence(whyformer: Program, reverse_run: Path):
    result = whyformer("serve", reverse_run, reverse_run, "--port", 0)
    assert result.exit_code == 2
    assert "NAME=RUN" in result.stderr


def test_a_damaged_run_is_one_sentence(whyformer: Program, reverse_run: Path, tmp_path: Path):
    run = tmp_path / "damaged"
    shutil.copytree(reverse_run, run)
    (run / "model.safetensors").write_bytes(b"nothing")
    for folder in (run, tmp_path / "missing"):
        result = whyformer("serve", folder, "--port", 0)
        assert result.exit_code == 2
        assert str(folder) in result.stderr
        assert "Traceback" not in result.stderr


def test_a_missing_extra_is_one_sentence(
    whyformer: Program, reverse_run: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    for name in [name for name in sys.modules if name.startswith("whyformer.serve")]:
        monkeypatch.delitem(sys.modules, name)
    result = whyformer("serve", reverse_run, "--port", 0)
    assert result.exit_code == 2
    assert "uvicorn" in result.stderr
    assert "pip install 'whyformer[serve]'" in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("language", "said"), [("en", "serving at"), ("zh", "服务地址")])
def test_it_says_where_it_is_and_ends_well(reverse_run: Path, language: str, said: str):
    httpx2 = pytest.importorskip("httpx2", reason="needs the extra `clients`")
    arguments = [f"mine={reverse_run}", "--port", "0", "--lang", language]
    command = [sys.executable, "-m", "whyformer", "serve", *arguments]
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, encoding="utf-8", env=kept
    )
    assert process.stdout is not None
    try:
        told = ""
        while "curl" not in told:
            line = process.stdout.readline()
            assert line, told
            told += line
        address = re.search(r"http://127\.0\.0\.1:\d+", told)
        assert said in told
        assert "mine" in told
        assert address is not None
        health = httpx2.get(f"{address[0]}/health", timeout=60).json()
        assert [run["name"] for run in health["runs"]] == ["mine"]
        assert re.fullmatch("[0-9a-f]{64}", health["runs"][0]["weights"])
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
