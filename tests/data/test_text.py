import gzip
import hashlib
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from whyformer.data.corpora.download import Download, cache_folder
from whyformer.data.corpora.lines import (
    BadLine,
    Reason,
    SentencePair,
    read_lines,
    read_sound_lines,
    read_stream,
)
from whyformer.data.corpora.pair_files import PairsSpec, Referenced, TextPairs, TsvPairs, group_references
from whyformer.data.corpora.pairs.cleaning import Cleaning, CleaningReport
from whyformer.errors import DataError, WhyformerError

KEEP_ALL = Cleaning(longest=None, ratio=None)


@given(
    lines=st.lists(
        st.text(max_size=8).filter(lambda text: "\n" not in text and "\0" not in text), min_size=1, max_size=6
    )
)
@settings(max_examples=100, deadline=None)
def test_only_line_feeds_separate_lines(lines: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    lines = [line.removesuffix("\r").removeprefix("\ufeff") for line in lines]
    path = tmp_path_factory.mktemp("lines") / "text"
    content = "".join(f"{line}\n" for line in lines).encode()
    path.write_bytes(content)
    assert read_lines(path) == lines
    assert list(read_stream(content.splitlines(keepends=True), "input")) == lines or b"\r" in content
    packed = path.with_suffix(".gz")
    packed.write_bytes(gzip.compress(content))
    assert read_lines(packed) == lines


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"a\nb", ["a", "b"]),
        (b"\n", [""]),
        (b"a\n\n", ["a", ""]),
        (b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n", ["a", "\ufeffb"]),
        ("a\u2028b\x0bc\x85d\x1ce\rf\n".encode(), ["a\u2028b\x0bc\x85d\x1ce\rf"]),
    ],
)
def test_line_ends_and_marks(content: bytes, lines: list[str], tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(content)
    assert read_lines(path) == lines


def test_a_packed_file_needs_no_ending_and_home_is_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "text").write_bytes(gzip.compress("你好\n".encode()))
    assert read_lines(Path("~/text")) == ["你好"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("text", b"", "empty"),
        ("text.gz", b"", "empty"),
        ("text.gz", gzip.compress(b"", mtime=0), "empty"),
        ("text.gz", b"plain\n", "not gzip"),
        ("text.gz", gzip.compress(b"packed text\n" * 50, mtime=0)[:-12], "damaged"),
        ("text.gz", gzip.compress(b"packed text\n", mtime=0)[:8] + b"\xff" * 20, "damaged"),
        ("text", "two\n".encode("utf-16"), "UTF-16"),
        ("text", b"one\ntw\xffo\n", r"text:2: not UTF-8"),
    ],
)
def test_a_faulty_file_is_one_sentence_that_names_it(
    name: str, content: bytes, said: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=said) as caught:
        read_lines(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_or_folder_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_lines(tmp_path / "text")
    with pytest.raises(DataError, match="folder"):
        read_lines(tmp_path)
    with pytest.raises(DataError, match="cannot be read"):
        read_lines(tmp_path / ("x" * 300))


@given(content=st.binary(min_size=1, max_size=80))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_lines_or_one_sentence(
    content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("bytes") / "text"
    path.write_bytes(content)
    try:
        sound, bad = read_sound_lines(path)
    except DataError as error:
        said = str(error)
        assert str(path) in said
        return
    assert len(sound) + len(bad) == content.count(b"\n") + (not content.endswith(b"\n"))


def test_training_text_leaves_bad_lines_out_and_says_where(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"one\n\xff\nthree\n\xc3\n")
    sound, bad = read_sound_lines(path)
    assert sound == ["one", "three"]
    assert bad == [BadLine(path, 2, Reason.NOT_UTF8), BadLine(path, 4, Reason.NOT_UTF8)]


def test_a_bad_line_of_a_stream_is_one_sentence() -> None:
    lines = read_stream(iter([b"one\n", b"\xff\n"]), "standard input")
    assert next(lines) == "one"
    with pytest.raises(DataError, match="standard input:2"):
        next(lines)


def written(folder: Path, source: bytes, target: bytes) -> TextPairs:
    (folder / "train.en").write_bytes(source)
    (folder / "train.de").write_bytes(target)
    return TextPairs(source=folder / "train.en", target=folder / "train.de")


def test_two_files_are_read_side_by_side(tmp_path: Path) -> None:
    pairs = written(tmp_path, "one\n\nthree\u2028\n".encode(), b"eins\nzwei\n\n")
    assert pairs.held_out() == [("one", "eins"), ("", "zwei"), ("three\u2028", "")]
    kept, report = pairs.training(Cleaning())
    assert kept == [SentencePair("one", "eins")]
    assert (report.kept, report.dropped) == (1, {Reason.EMPTY: 2})
    assert "2 empty (" in report.summary()
    assert "train.en:2, 3)" in report.summary()


def test_files_of_different_length_are_refused(tmp_path: Path) -> None:
    pairs = written(tmp_path, b"one\ntwo\nthree\n", b"eins\nzwei\n")
    for read in (pairs.held_out, lambda: pairs.training(Cleaning())):
        with pytest.raises(DataError, match=r"train\.en has 3 lines but .*train\.de has 2"):
            read()


def test_bad_lines_are_dropped_in_training_and_refused_in_held_out_data(tmp_path: Path) -> None:
    pairs = written(tmp_path, b"one\n\xff\nthree\nfour\n", b"eins\nzwei\ndr\xffei\nvier\n")
    kept, report = pairs.training(Cleaning())
    assert kept == [("one", "eins"), ("four", "vier")]
    assert report.dropped == {Reason.NOT_UTF8: 2}
    assert "4 pairs read, 2 kept; dropped: 2 not UTF-8" in report.summary()
    assert "train.en:2" in report.summary()
    assert "train.de:3" in report.summary()
    with pytest.raises(DataError, match=r"train\.en:2"):
        pairs.held_out()


def test_nothing_left_to_train_on_is_an_error(tmp_path: Path) -> None:
    pairs = written(tmp_path, b"one\n", b"\n")
    with pytest.raises(DataError, match=r"train\.en and .*nothing is left.*1 empty"):
        pairs.training(Cleaning())


TABLE = "en\tzh\tuser\nHi.\t你好。\tx\nHi.\t嗨。\ty\nHi.\t嗨。\tz\nshort\nBye.\t再见\tx\n"


def test_a_table_is_read_by_number_or_by_name(tmp_path: Path) -> None:
    path = tmp_path / "train.tsv"
    path.write_text(TABLE.replace("short\n", ""), encoding="utf-8")
    by_name = TsvPairs(path=path, source_column="zh", target_column="en", header=True)
    by_number = TsvPairs(path=path, source_column=2, target_column=1, header=True)
    assert by_name.held_out() == by_number.held_out()
    assert by_name.held_out()[0] == ("你好。", "Hi.")
    without_header = TsvPairs(path=path, source_column=2, target_column=1)
    assert without_header.held_out() == [("zh", "en"), *by_name.held_out()]


def test_a_line_with_too_few_columns_is_dropped_in_training_and_refused_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "train.tsv"
    path.write_text(TABLE, encoding="utf-8")
    table = TsvPairs(path=path, header=True)
    kept, report = table.training(Cleaning(repeated=False))
    assert [pair.target for pair in kept] == ["你好。", "嗨。", "再见"]
    assert report.dropped == {Reason.TOO_FEW_COLUMNS: 1, Reason.REPEATED: 1}
    assert "train.tsv:5" in report.summary()
    with pytest.raises(DataError, match=r"train\.tsv:5: too few columns"):
        table.held_out()


def test_quotes_in_a_table_are_text(tmp_path: Path) -> None:
    path = tmp_path / "train.tsv"
    path.write_text('"a\t"b"\n', encoding="utf-8")
    assert TsvPairs(path=path).held_out() == [('"a', '"b"')]


def test_faults_of_a_table_are_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "train.tsv"
    path.write_text(TABLE, encoding="utf-8")
    with pytest.raises(DataError, match=r"no column 'de'.*'en', 'zh', 'user'"):
        TsvPairs(path=path, source_column="de", header=True).held_out()
    path.write_text("en\tzh\n", encoding="utf-8")
    with pytest.raises(DataError, match="nothing follows the header"):
        TsvPairs(path=path, header=True).held_out()
    path.write_bytes(b"\xff\n")
    with pytest.raises(DataError, match=r"train\.tsv:1"):
        TsvPairs(path=path, header=True).held_out()
    path.write_bytes(b"")
    with pytest.raises(DataError, match="empty"):
        TsvPairs(path=path, header=True).held_out()
    with pytest.raises(ValidationError, match="header"):
        TsvPairs(path=path, source_column="en")
    with pytest.raises(ValidationError):
        TsvPairs(path=path, source_column=0)


def test_references_are_grouped_only_where_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "test.tsv"
    path.write_text(TABLE.replace("short\n", ""), encoding="utf-8")
    single = TsvPairs(path=path, header=True)
    grouped = TsvPairs(path=path, header=True, several_references=True)
    assert [len(entry.references) for entry in single.references()] == [1, 1, 1, 1]
    assert grouped.references() == [Referenced("Hi.", ["你好。", "嗨。"]), Referenced("Bye.", ["再见"])]
    assert len(grouped.held_out()) == 4


def test_grouping_keeps_the_order_of_first_appearance() -> None:
    pairs = [SentencePair("b", "1"), SentencePair("a", "2"), SentencePair("b", "3"), SentencePair("b", "1")]
    assert group_references(pairs) == [("b", ["1", "3"]), ("a", ["2"])]
    assert group_references([]) == []


def test_a_recipe_chooses_the_kind_of_pairs(tmp_path: Path) -> None:
    adapter: TypeAdapter[PairsSpec] = TypeAdapter(PairsSpec)
    table = adapter.validate_python({"kind": "tsv", "path": "x.tsv", "source_column": "en", "header": True})
    assert table == TsvPairs(path=Path("x.tsv"), source_column="en", header=True)
    fetched = adapter.validate_python(
        {"kind": "text", "source": {"url": "https://x.org/a", "sha256": "0" * 64}, "target": "b"}
    )
    assert isinstance(fetched, TextPairs)
    assert isinstance(fetched.source, Download)


@pytest.mark.parametrize(
    ("pair", "reason"),
    [
        (SentencePair("one", "eins"), None),
        (SentencePair(" \t", "eins"), Reason.EMPTY),
        (SentencePair("one", "\u3000"), Reason.EMPTY),
        (SentencePair("x" * 21, "x" * 20), Reason.OVERLONG),
        (SentencePair("x" * 20, "x" * 20), None),
        (SentencePair("xxxxxxx", "xx"), Reason.UNEVEN),
        (SentencePair("xxxxxx", "xx"), None),
        (SentencePair("nothing", "没事"), None),  # 7 bytes and 6
        (SentencePair("一二三四", "no"), Reason.UNEVEN),
    ],
)
def test_cleaning_drops_one_pair_for_one_reason(pair: SentencePair, reason: Reason | None) -> None:
    kept, report = Cleaning(longest=20, ratio=3.0).apply([pair])
    assert kept == ([] if reason else [pair])
    assert report.dropped == ({reason: 1} if reason else {})


@given(
    pairs=st.lists(
        st.tuples(st.text("ab ", max_size=5), st.text("ab ", max_size=5)).map(lambda p: SentencePair(*p))
    ),
    cleaning=st.builds(
        Cleaning,
        longest=st.none() | st.integers(1, 5),
        ratio=st.none() | st.floats(1, 5),
        repeated=st.booleans(),
    ),
)
@settings(max_examples=100, deadline=None)
def test_cleaning_accounts_for_every_pair_and_is_done_after_once(
    pairs: list[SentencePair], cleaning: Cleaning
) -> None:
    kept, report = cleaning.apply(pairs)
    assert report.kept == len(kept)
    assert report.read == len(pairs)
    order = iter(pairs)
    assert all(pair in order for pair in kept)  # a subsequence
    assert cleaning.apply(kept) == (kept, CleaningReport(len(kept), {}))


def test_cleaning_with_no_limit_drops_only_empty_pairs() -> None:
    pairs = [SentencePair("x" * 9999, "y"), SentencePair("x", "y"), SentencePair("x", "y")]
    kept, report = KEEP_ALL.apply(pairs)
    assert kept == pairs
    assert report.summary() == "3 pairs read, all kept"


def test_the_report_lists_the_first_bad_lines_only() -> None:
    bad = [BadLine(Path("x"), number, Reason.NOT_UTF8) for number in range(1, 100)]
    _, report = KEEP_ALL.apply([*bad, SentencePair("a", "b")])
    assert report.dropped == {Reason.NOT_UTF8: 99}
    assert "99 not UTF-8 (x:1, 2, 3, 4, 5, …)" in report.summary()


CONTENT = gzip.compress(b"eins\n", mtime=0)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    asked = 0

    def do_GET(self) -> None:
        Handler.asked += 1
        if self.path == "/missing":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT) + (5 if self.path == "/cut" else 0)))
        self.end_headers()
        self.wfile.write(CONTENT)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("WHYFORMER_CACHE", str(tmp_path / "cache"))
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    Handler.asked = 0
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_a_file_is_fetched_once_checked_and_read(address: str, tmp_path: Path) -> None:
    download = Download(url=f"{address}/train%20set.de.gz?x=1", sha256=SHA256)
    path = download.fetch()
    assert path == download.fetch()
    assert Handler.asked == 1
    assert path.name == "train set.de.gz"
    assert path.is_relative_to(tmp_path / "cache")
    (tmp_path / "train.en").write_text("one\n")
    assert TextPairs(source=tmp_path / "train.en", target=download).held_out() == [("one", "eins")]


@pytest.mark.parametrize(
    ("file", "sha256", "said"),
    [
        ("missing", SHA256, "cannot be fetched .*Not Found"),
        ("cut", SHA256[::-1], "checksum"),
        ("whole", "0" * 64, "checksum"),
    ],
)
def test_a_failed_download_says_where_to_put_the_file(
    file: str, sha256: str, said: str, address: str
) -> None:
    download = Download(url=f"{address}/{file}", sha256=sha256)
    with pytest.raises(DataError, match=said) as caught:
        download.fetch()
    assert str(caught.value).count("\n") == 0
    assert download.url in str(caught.value)
    assert str(download.path) in str(caught.value)
    assert not list(download.path.parent.iterdir())


def test_without_a_network_a_file_put_by_hand_is_used(tmp_path: Path, address: str) -> None:
    download = Download(url="http://127.0.0.1:9/train.gz", sha256=SHA256)
    with pytest.raises(DataError, match="cannot be fetched"):
        download.fetch()
    download.path.parent.mkdir(parents=True, exist_ok=True)
    download.path.write_bytes(CONTENT)
    assert download.fetch() == download.path
    download.path.write_bytes(b"wrong")
    with pytest.raises(DataError, match="delete it"):
        download.fetch()


def test_a_local_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHYFORMER_CACHE", str(tmp_path / "cache"))
    source = tmp_path / "train.gz"
    source.write_bytes(CONTENT)
    assert Download(url=source.as_uri(), sha256=SHA256).fetch().read_bytes() == CONTENT
    with pytest.raises(DataError, match="cannot be fetched"):
        Download(url=(tmp_path / "nothing").as_uri(), sha256="0" * 64).fetch()


def test_the_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("WHYFORMER_CACHE", raising=False)
    assert cache_folder() == tmp_path / ".cache" / "whyformer"


@pytest.mark.parametrize(
    ("url", "sha256"), [("ftp://x/y", "0" * 64), ("https://x/y", "0" * 63), ("x", "0" * 64)]
)
def test_unfit_downloads_are_refused(url: str, sha256: str) -> None:
    with pytest.raises(ValidationError):
        Download(url=url, sha256=sha256)


def test_every_error_here_is_one_the_user_can_put_right() -> None:
    assert issubclass(DataError, WhyformerError)


def shared(file: str) -> Path:
    root = Path(os.environ.get("WHYFORMER_SHARED", Path(__file__).parents[3] / "shared"))
    path = root / "data" / file
    if not path.exists():
        pytest.skip(f"{path} is not there; set WHYFORMER_SHARED to the folder of shared data")
    return path


def test_real_pairs_have_the_published_counts() -> None:
    val = TextPairs(source=shared("multi30k/raw/val.en.gz"), target=shared("multi30k/raw/val.de.gz"))
    assert len(val.held_out()) == 1014
    table = TsvPairs(
        path=shared("tatoeba-zh/test.tsv.gz"),
        source_column="en",
        target_column="zh_hans",
        header=True,
        several_references=True,
    )
    assert len(table.held_out()) == 1060
    assert sum(len(entry.references) for entry in table.references()) <= 1060
    assert len(table.references()) < 1060
