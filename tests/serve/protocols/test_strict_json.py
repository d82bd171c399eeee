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
        (b"", "JSON"),
    ],
)
def test_what_is_refused(body: bytes, told: str) -> None:
    with pytest.raises(InvalidRequestError, match=told):
        _ = parse_json(body)


@pytest.mark.parametrize(
    ("body", "field", "told"),
    [
        (b'{"a": 1, "top": 1e400}', "top", "top: "),
        (b'{"ids": [4, {"b": -Infinity}]}', "ids", "ids.1.b: "),
        (b'{"ids": [' + b"8" * 30 + b"]}", "ids", "ids.0: "),
        (b'{"q": ["0", "\\ud800"]}', "q", "q.1: the text holds half"),
        (b'{"a": {"\\udc00": 1}}', "a", "a: the name of a field holds half"),
        (b'{"a\\n": NaN}', "a\\n", "a\\n: NaN"),
        (b"[NaN]", "0", "0: NaN"),
        (b"NaN", None, "the body: NaN"),
    ],
)
def test_refusals_name_the_field(body: bytes, field: str | None, told: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        _ = parse_json(body)
    assert refused.value.field == field
    assert str(refused.value).startswith(told)


@given(st.integers(900, 1100), st.sampled_from([b"NaN", b'"\\ud800"', b'"\\u0041"']))
def test_no_depth_is_a_fault_of_ours(depth: int, leaf: bytes) -> None:
    """Whatever reads or searches it gives up last: it is a value, or refused."""
    try:
        _ = parse_json(b"[" * depth + leaf + b"]" * depth)
    except InvalidRequestError:
        return
    assert leaf.endswith(b'0041"')


def test_a_byte_order_mark_is_no_part_of_a_value() -> None:
    assert parse_json(b"\xef\xbb\xbf{}") == {}


def test_what_another_value_of_its_name_replaces_is_nothing() -> None:
    assert parse_json(b'{"a": NaN, "a": 1}') == {"a": 1}


def test_both_halves_of_a_pair_are_a_character() -> None:
    assert parse_json(b'"\\ud83d\\ude00"') == "\N{GRINNING FACE}"
    assert parse_json(b"1.5e300") == math.ldexp(1.5e300, 0)
