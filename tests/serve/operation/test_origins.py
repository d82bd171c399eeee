"""Pages of other origins: those that may ask can read every answer, refusals included."""

import pytest

from servers import Running, Start

MINE = "https://mine.example"
OTHER = "https://other.example"


@pytest.fixture(scope="module")
def shared(start: Start) -> Running:
    """A server that pages of one other origin may ask."""
    return start("--allow-origin", MINE)


@pytest.mark.parametrize(("origin", "may"), [(MINE, True), (OTHER, False), ("null", False)])
def test_a_browser_hears_before_it_asks(shared: Running, origin: str, may: bool):
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,authorization",
    }
    with shared.client() as client:
        told = client.options("/tiny/turn", headers=asked)
    assert (told.headers.get("access-control-allow-origin") == origin) == may
    assert told.status_code == (200 if may else 400)
    if may:
        headers = told.headers["access-control-allow-headers"].split(",")
        assert {"content-type", "authorization"} <= {name.strip() for name in headers}


@pytest.mark.parametrize("is_full", [False, True])
def test_a_page_can_read_answers_and_why_there_is_none(shared: Running, is_full: bool):
    with shared.client() as client:
        client.get("/tiny/fill", params={"full": is_full}).raise_for_status()
        answers = {
            origin: client.post("/tiny/turn", json={"texts": ["ab"]}, headers={"Origin": origin})
            for origin in (MINE, OTHER)
        }
        client.get("/tiny/fill", params={"full": False}).raise_for_status()
    assert {answer.status_code for answer in answers.values()} == {429 if is_full else 200}
    assert answers[MINE].headers["access-control-allow-origin"] == MINE
    exposed = answers[MINE].headers["access-control-expose-headers"].split(", ")
    assert {*exposed} == {"X-Request-Id", "Retry-After"}
    assert "access-control-allow-origin" not in answers[OTHER].headers
    assert (answers[MINE].headers.get("retry-after") is not None) == is_full


def test_websockets_of_other_origins_are_refused(shared: Running):
    connect = pytest.importorskip("websockets.sync.client").connect
    address = shared.address.replace("http", "ws") + "/tiny/session"
    with connect(address, origin=MINE) as session:
        session.send("ab")
        assert session.recv() == "ba"
    with pytest.raises(Exception, match="403"), connect(address, origin=OTHER):
        pass
