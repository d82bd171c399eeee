"""Keys, where the operator wants any, against a process."""

from pathlib import Path

import pytest

from servers import Running, Start
from whyformer.errors import DataError
from whyformer.serve.key_file import read_keys

KEY, OTHER = "first-key-0123456", "other-key-0123456"


@pytest.fixture(scope="module")
def locked(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Running:
    file = tmp_path_factory.mktemp("keys") / "keys.txt"
    file.write_text(f"# of whom\n{KEY}\n\n  {OTHER}  \n", encoding="utf-8")
    return start("--keys", file, "--log-texts")


def test_without_a_key_nothing_is_answered(locked: Running):
    asked = {"texts": ["ab"]}
    with locked.client() as client:
        for shown in ("", "Bearer", f"Basic {KEY}", f"Bearer {KEY}x", f"Bearer {KEY[:-1]}", KEY):
            answer = client.post("/tiny/turn", json=asked, headers={"Authorization": shown})
            assert (answer.status_code, answer.json()["why"]) == (401, "key"), shown
            assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert client.get("/metrics").status_code == 401


@pytest.mark.parametrize("key", [KEY, OTHER])
def test_each_key_opens(locked: Running, key: str):
    with locked.client() as client:
        for scheme in ("Bearer", "bearer"):
            shown = {"Authorization": f"{scheme} {key}"}
            assert client.post("/tiny/turn", json={"texts": ["ab"]}, headers=shown).status_code == 200
            assert client.get("/metrics", headers=shown).status_code == 200


def test_a_protocol_may_have_its_key_among_the_fields(locked: Running):
    with locked.client() as client:
        for field, shown, status in [
            (KEY, "", 200),
            (None, f"Bearer {KEY}", 200),
            (None, "", 401),
            ("", "", 401),
            ("no-key-at-all-123", "", 401),
            ("\u212a" * 20, "", 401),
        ]:
            asked = {"texts": ["ab"], "api_key": field}
            answer = client.post("/asks/turn", json=asked, headers={"Authorization": shown})
            assert answer.status_code == status, (field, shown)


def test_probes_need_no_key(locked: Running):
    with locked.client() as client:
        assert client.get("/health").status_code == client.get("/ready").status_code == 200


def test_texts_are_logged_where_that_is_asked_for_and_keys_never(locked: Running):
    with locked.client() as client:
        shown = {"Authorization": f"Bearer {KEY}", "X-Request-Id": "t-1"}
        client.post("/tiny/turn", json={"texts": ["abc"], "api_key": OTHER}, headers=shown)
    locked.log_of("t-1")
    [texts] = [record for record in locked.logs("texts") if record["id"] == "t-1"]
    assert (texts["run"], texts["asked"], texts["answered"]) == ("tiny", ["abc"], ["cba"])
    written = locked.errors.read_text(encoding="utf-8")
    assert KEY not in written
    assert OTHER not in written


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "there is no key in it"),
        ("# only\n\n", "there is no key in it"),
        (f"{KEY}\nshort\n", "line 2"),
        (f"{KEY} with spaces", "line 1"),
        (f"{KEY}é", "line 1"),
    ],
)
def test_a_file_without_good_keys_is_refused(tmp_path: Path, text: str, told: str):
    path = tmp_path / "keys.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=told) as error:
        read_keys(path)
    assert str(path) in str(error.value)
    assert KEY not in str(error.value)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match="cannot be read"):
        read_keys(tmp_path / "none.txt")
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="not UTF-8"):
        read_keys(tmp_path / "bytes.txt")
