"""Holes filled over HTTP: as the run fills them, and one sentence for whatever cannot be filled."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request as Sent
from urllib.request import urlopen

import pytest

from whyformer.runs.execution import Execution
from whyformer.runs.load import load_as
from whyformer.tasks.masked_lm.filler import Filler

pytest.importorskip("fastapi", reason="needs the extra serve")
pytest.importorskip("uvicorn", reason="needs the extra serve")

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from serve.page.toy_service import running
from whyformer.serve.page.fill import fill_router
from whyformer.serve.refusals import RefusalError
from whyformer.serve.service import HostedRun, Service

TEXT = "one [MASK] three [MASK]"


@pytest.fixture(scope="module")
def filler(filling_run: Path) -> Filler:
    return load_as(Filler, filling_run, Execution("cpu"))


@pytest.fixture(scope="module")
def address(filler: Filler) -> Iterator[str]:
    app = FastAPI()
    app.include_router(fill_router(Service([HostedRun("counter", "masked_lm", filler, "", 0)])))

    @app.exception_handler(RefusalError)
    async def refuse(_: Request, refusal: RefusalError) -> JSONResponse:
        return JSONResponse({"error": str(refusal), "field": refusal.field}, refusal.status)

    with running(app) as found:
        yield f"{found}v1/fill"


def asked(address: str, body: bytes) -> tuple[int, Any]:
    try:
        answer = urlopen(Sent(address, data=body, headers={"Content-Type": "application/json"}))
    except HTTPError as error:
        answer = error
    with answer:
        return int(answer.status or 0), json.loads(answer.read())


def test_holes_are_filled_as_the_run_fills_them(address: str, filler: Filler):
    status, told = asked(address, json.dumps({"text": TEXT, "top": 3}).encode())
    [filled] = filler.fill([TEXT], top=3)
    assert (status, told["model"], told["text"]) == (200, "counter", filled.text)
    found = [[(each["text"], each["token"]) for each in guesses] for guesses in told["holes"]]
    assert found == [[(each.text, each.token) for each in guesses] for guesses in filled.holes]
    assert [each["probability"] for each in told["holes"][0]] == pytest.approx(
        [each.probability for each in filled.holes[0]]
    )
    assert asked(address, json.dumps({"text": TEXT, "model": "counter"}).encode())[0] == 200


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"text": "one two"}, 400, "has no [MASK]"),
        ({"text": f"one [MASK] {'two ' * 400}"}, 400, "shorten it"),
        ({"text": "x" * 3000}, 400, "text: string should have at most 2000 characters"),
        ({"text": 5}, 400, "text has to be text"),
        ({"text": "one [MASK]\0"}, 400, "NUL"),
        ({"text": TEXT, "top": 0}, 400, "top: "),
        ({"text": TEXT, "top": 10**30}, 400, "top: "),
        ({"text": TEXT, "model": "other"}, 404, "'other'"),
        ({"text": TEXT, "more": 1}, 400, "more: "),
        ({}, 400, "text: "),
        ([], 400, "no object"),
        (b"{", 400, "not JSON"),
        (b"\xff", 400, "not UTF-8"),
    ],
)
def test_whatever_cannot_be_filled_is_one_sentence(address: str, body: Any, status: int, said: str):
    told = asked(address, body if isinstance(body, bytes) else json.dumps(body).encode())
    assert told[0] == status
    assert said in told[1]["error"]
    assert "\n" not in told[1]["error"]
