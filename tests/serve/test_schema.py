"""The OpenAPI document, held against the whole service by schemathesis: it says what is taken and given."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("schemathesis", reason="needs the extra `clients`")

from servers import Running

# A limit is 413 by its nature. Which valid requests may be refused, the hooks check by their sentences.
SETTINGS = """\
hooks = {hooks}
[checks]
negative_data_rejection = {{ expected-statuses = [400, 403, 404, 413, 429] }}
positive_data_acceptance = {{ expected-statuses = ["2xx", 400, 404, 413, 429] }}
"""


@pytest.mark.slow
@pytest.mark.parametrize(("examples", "seed"), [(2, 1), (200, 1), (200, 2)])
def test_the_document_holds(whole_service: Running, tmp_path: Path, examples: int, seed: int):
    settings = tmp_path / "schemathesis.toml"
    hooks = Path(__file__).with_name("schema_hooks.py")
    settings.write_text(SETTINGS.format(hooks=json.dumps(str(hooks))), encoding="utf-8")
    program = str(Path(sys.executable).with_name("schemathesis"))
    options = ["--max-examples", str(examples), "--continue-on-failure", "--checks", "all", "--no-color"]
    # Ten seconds would be a check of the machine.
    options += ["--request-timeout", "300", "--max-response-time", "300"]
    phases = ["--phases", "examples,coverage,fuzzing", "--seed", str(seed)]
    address = f"{whole_service.address}/openapi.json"
    done = subprocess.run(
        [program, "--config-file", str(settings), "run", address, *options, *phases],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
    assert whole_service.process.poll() is None
    assert not whole_service.logs("fault")


def test_every_address_without_a_parameter_answers_whoever_looks(whole_service: Running):
    with whole_service.client() as client:
        document = client.get("/openapi.json").json()
        parts = {f"/{part}" for part in re.findall(r'"/?(assets/[^"]+)"', client.get("/").text)}
        assert parts
        listed = {path for path, ways in document["paths"].items() if "get" in ways and "{" not in path}
        for address in ("/", *sorted(parts | listed)):
            assert client.get(address).status_code == 200, address
    assert not whole_service.logs("fault")


def test_every_reference_of_the_document_leads_somewhere(whole_service: Running):
    with whole_service.client() as client:
        document = client.get("/openapi.json").json()
    references = set(re.findall(r"'\$ref': '([^']+)'", str(document)))
    assert references
    for reference in references:
        place: Mapping[str, Any] = document
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]
