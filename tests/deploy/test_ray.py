"""A run behind Ray Serve, two replicas of it, beside the same run by itself."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from whyformer.runs.load import load_as
from whyformer.tasks.translation.translator import Translator

PROGRAM = Path(__file__).parents[2] / "deploy" / "ray_service.py"


def test_the_application_is_short():
    assert len(PROGRAM.read_text(encoding="utf-8").splitlines()) <= 60


@pytest.mark.slow
def test_two_replicas_answer_as_the_run_does_by_itself(reverse_run: Path, tmp_path: Path):
    pytest.importorskip("ray", reason="needs the extra `ray`")
    httpx2 = pytest.importorskip("httpx2", reason="needs the extra `clients`")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, str(PROGRAM), str(reverse_run), "--replicas", "2", "--cpus", "0.5"]
    environment = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    }
    address = f"http://127.0.0.1:{port}/translate"
    texts = [" ".join(map(str, digits)) for digits in [(0, 1), (2, 3, 4), (4, 3, 2, 1), (1, 1, 0)]]
    expected = [outputs[0].text for outputs in load_as(Translator, reverse_run).translate(texts)]

    def ask(body: object) -> object:
        return httpx2.post(address, json=body, timeout=60).json()

    log = tmp_path / "log.txt"
    with log.open("w") as file:
        process = subprocess.Popen(
            [*command, "--port", str(port)],
            env=environment,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    try:
        for _ in range(600):
            try:
                if httpx2.get(address, timeout=5).status_code == 400:
                    break
            except httpx2.HTTPError:
                pass
            assert process.poll() is None, log.read_text()
            time.sleep(0.5)
        else:
            pytest.fail(log.read_text())
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda text: ask({"q": text}), texts * 10))
        assert answers == [{"translatedText": text} for text in expected * 10]
        assert ask({"q": texts}) == {"translatedText": expected}
        assert set(json.loads(json.dumps(ask({"text": "0 1"})))) == {"error"}
        assert log.read_text().count("Adding 2 replicas") == 1
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(60)
        finally:
            os.killpg(process.pid, signal.SIGKILL) if process.poll() is None else None
