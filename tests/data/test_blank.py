"""Blank text, and streams that are no UTF-8 with LF: told as they are, whatever they hold."""

from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whyformer.data.corpora.detection.blank import INVISIBLE, is_blank
from whyformer.data.corpora.lines import read_stream
from whyformer.errors import DataError


@given(st.text(st.sampled_from([*INVISIBLE, " ", "\u3000", "\t", "\xa0"])), st.text(min_size=1))
def test_what_nobody_can_see_is_blank(unseen: str, text: str) -> None:
    assert is_blank(unseen)
    assert is_blank(unseen + text) == (not text.translate(dict.fromkeys(map(ord, INVISIBLE))).strip())


@pytest.mark.parametrize("codec", ["utf-16", "utf-32"])
@given(text=st.text("ab \n", min_size=1))
def test_a_stream_in_another_encoding_is_refused_with_a_filter(codec: str, text: str) -> None:
    with pytest.raises(DataError) as refused:
        list(read_stream(BytesIO(text.encode(codec)), "standard input"))
    assert f"| iconv -f {codec.upper()} -t UTF-8 |" in str(refused.value)
    assert "utf8" not in str(refused.value)


@given(st.lists(st.text("ab", min_size=1), min_size=1, max_size=5))
def test_a_stream_of_lines_that_end_in_cr_alone_is_refused(lines: list[str]) -> None:
    data = "".join(f"{line}\r" for line in lines).encode()
    if len(lines) == 1:
        assert [line.rstrip("\r") for line in read_stream(BytesIO(data), "standard input")] == lines
        return
    with pytest.raises(DataError, match=r"CR alone.*tr '\\r' '\\n'"):
        list(read_stream(BytesIO(data), str(Path("standard input"))))
    found = list(read_stream(BytesIO(data.replace(b"\r", b"\r\n")), "standard input"))
    assert found == lines
