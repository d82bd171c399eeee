import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("fastapi", reason="the extra serve is not installed")

from whyformer.serve.protocols.strict_json import parse_json
from whyformer.serve.refusals import InvalidRequestError

NUMBERS = st.integers(-(2**63) + 1, 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
LEAVES = st.none() | st.booleans() | NUMBERS | st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text("ab"), inner))


@given(VALUES, st.booleans())
def test_what_is_json_is_read_as_it_is(value: object, ascii_only: bool) -> None:
    assert parse_json(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


@given(st.binary(max_size=40) | st.text('{}[]",:0123456789eE+-.\\udN', max_size=30).map(str.encode))
def test_whatever_comes_is_a_value_that_can_be_repeated_or_refused(body: bytes) -> None:
    try:
        value = parse_json(body)
    except InvalidRequestError:
        return
    repeated = json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    assert json.loads(repeated) == value


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"1e400", "too large"),
        (b"-1e999999", "too large"),
        (b"NaN", "no number"),
        (b'{"a": -Infinity}', "no number"),
        (b'"\\ud800"', "surrogate"),
        (b'{"\\udfff": 1}', "surrogate"),
        (b"9" * 5000, "bits"),
        (b"[" * 200_000, "deeply"),
        ('{"a": "中"}'.encode("utf-16"), "UTF-8"),
        ('{"a": 1}'.encode("utf-16-le"), "JSON"),
        (b"\xef\xbb\xbf{}", "JSON"),
        (b"", "JSON"),
    ],
)
def test_what_is_refused(body: bytes, told: str) -> None:
    with pytest.raises(InvalidRequestError, match=told):
        _ = parse_json(body)


def test_both_halves_of_a_pair_are_a_character() -> None:
    assert parse_json(b'"\\ud83d\\ude00"') == "\N{GRINNING FACE}"
    assert parse_json(b"1.5e300") == math.ldexp(1.5e300, 0)
