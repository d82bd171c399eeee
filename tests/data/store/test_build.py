"""Stores: what is in them, and that no kill, damage or number of processes changes a byte of it."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from whyformer.data.store import build, reader, shards
from whyformer.data.store.build import StoreSettings, build_store
from whyformer.data.store.reader import TokenStore
from whyformer.data.store.text.inputs import TextInputs
from whyformer.data.tokenizers.kinds import BPE, Word
from whyformer.data.tokenizers.pair import JointTokenizer, SeparateTokenizers, TokenizerPair
from whyformer.errors import DataError, TokenizerError, WhyformerError, WhyformerNote

WORDS = [
    "one",
    "two",
    "three",
    "null",
    "NA",
    "None",
    "nan",
    '"',
    "über",
    "一",
    "form\x0cfeed",
    "a\u2028b",
    "x\x85y",
]
SETTINGS = StoreSettings(JointTokenizer(both=BPE(vocabulary=340)), held_out=5, rows=40)
SCRIPT = """\
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_build import SETTINGS, pairs_in
from whyformer.data.store.build import build_store
if __name__ == "__main__":
    build_store(pairs_in(Path({folder!r})), Path({store!r}), SETTINGS, processes={processes})
"""


def pairs_in(folder: Path) -> TextInputs:
    return TextInputs("pairs", ((folder / "source",), (folder / "target",)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source with LF, its translation with CR LF, and a store of them."""
    folder, random = tmp_path_factory.mktemp("text"), Random(0)
    lines = [" ".join(random.choices(WORDS, k=random.randrange(1, 9))) for _ in range(330)]
    lines[17] = ""  # dropped
    (folder / "source").write_bytes("".join(f"{line}\n" for line in lines).encode())
    (folder / "target").write_bytes("".join(f"{line.upper()}\r\n" for line in lines).encode())
    build_store(pairs_in(folder), folder / "store", SETTINGS)
    return folder


def content(store: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(store.iterdir()) if path.name != ".lock"}


def test_ids_are_those_of_the_lines_in_order(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reader, "_RELEASE", 7)
    store = TokenStore(folder / "store")
    held_out = reader.stored_texts(folder / "store")
    apart = {text for pair in held_out for text in pair}
    lines = (folder / "source").read_bytes().decode().split("\n")
    kept = [line for line in lines if line.strip() and line not in apart and line.upper() not in apart]
    assert len(held_out) == 5
    assert 100 < len(kept) < 329
    assert len(store) == len(kept) == store.manifest.examples
    source, target = store.tokenizers.source, store.tokenizers.target
    for index in Random(1).sample(range(len(kept)), len(kept)):
        assert store.ids(index) == [source.encode(kept[index]), target.encode(kept[index].upper())]
        assert store.lengths[index].tolist() == [*map(len, store.ids(index))]
    targets = np.concatenate([store.ids(index)[1] for index in range(len(store))])
    assert (store.counts[1] == np.bincount(targets, minlength=source.size)).all()
    assert store.manifest.dropped["empty"] == 1


def test_several_processes_write_the_same_bytes(folder: Path, tmp_path: Path):
    build_store(pairs_in(folder), tmp_path / "store", SETTINGS, processes=2)
    assert content(tmp_path / "store") == content(folder / "store")


def test_packed_text_gives_the_same_store(folder: Path, tmp_path: Path):
    import gzip

    for name in ("source", "target"):
        (tmp_path / name).write_bytes(gzip.compress((folder / name).read_bytes()))
    build_store(pairs_in(tmp_path), tmp_path / "store", SETTINGS)
    assert content(tmp_path / "store") == content(folder / "store")


class Killed(BaseException):
    pass


@pytest.mark.parametrize("number", range(0, 36, 3))
def test_a_build_that_stopped_at_any_write_goes_on(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
):
    store, left = tmp_path / "store", [number]
    with monkeypatch.context() as patch:
        for module in (build, shards):
            for name in ("write_bytes", "write_text"):
                whole = getattr(module, name)

                def write(path: Path, data: bytes | str, whole=whole) -> None:
                    if left[0] == 0:
                        path.with_name(f".{path.name}.1.tmp").write_bytes(b"half")
                        raise Killed
                    left[0] -= 1
                    whole(path, data)

                patch.setattr(module, name, write)
        try:
            build_store(pairs_in(folder), store, SETTINGS)
        except Killed:
            assert not (store / "manifest.json").exists()
            with pytest.raises(DataError, match="no store, or one whose building was interrupted"):
                TokenStore(store)
    before = {path: path.stat().st_mtime_ns for path in store.glob("*.tokens.npy")}
    finished = {path for path in before if path.with_name(f"{path.name[:5]}.json").exists()}
    build_store(pairs_in(folder), store, SETTINGS)
    assert content(store) == content(folder / "store")
    assert all(path.stat().st_mtime_ns == before[path] for path in finished)


@pytest.mark.slow
@pytest.mark.parametrize("shards_before", [0, 1, 4, 7])
def test_a_build_that_was_killed_goes_on(folder: Path, tmp_path: Path, shards_before: int):
    store, script = tmp_path / "store", tmp_path / "script.py"
    script.write_text(
        SCRIPT.format(tests=str(Path(__file__).parent), folder=str(folder), store=str(store), processes=2)
    )
    process = subprocess.Popen([sys.executable, str(script)])
    while process.poll() is None and len([*store.glob("0*.json")] if store.exists() else []) < shards_before:
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    build_store(pairs_in(folder), store, SETTINGS)
    assert content(store) == content(folder / "store")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="processes are looked up in /proc")
def test_no_process_stays_behind_a_build_that_was_killed(folder: Path, tmp_path: Path):
    script = tmp_path / "script.py"
    script.write_text(
        SCRIPT.format(
            tests=str(Path(__file__).parent), folder=str(folder), store=str(tmp_path / "store"), processes=2
        )
    )
    process = subprocess.Popen([sys.executable, str(script)])
    while process.poll() is None and not [*tmp_path.glob("store/0*.json")]:
        time.sleep(0.002)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert children
    end = time.monotonic() + 60
    while any(Path(f"/proc/{child}").exists() for child in children):
        assert time.monotonic() < end, "they wait for their parent"
        time.sleep(0.05)


@pytest.mark.parametrize("change", ["flip", "cut", "remove", "swap"])
def test_damage_is_named_and_repaired(folder: Path, tmp_path: Path, change: str):
    store = tmp_path / "store"
    build_store(pairs_in(folder), store, SETTINGS)
    names = [name for name in content(store) if not name.startswith("0") or name.endswith(".npy")]
    names = [name for name in names if name not in ("manifest.json", "tokenizers.json")]
    assert len(names) > 10
    for name in names if change == "flip" else Random(change).sample(names, 4):
        path = store / name
        data = path.read_bytes()
        match change:
            case "flip":
                place = Random(name).randrange(len(data))
                path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
            case "cut":
                path.write_bytes(data[:-1])
            case "remove":
                path.unlink()
            case _:
                path.write_bytes((store / ("counts.npy" if name != "counts.npy" else names[0])).read_bytes())
        with pytest.raises(DataError, match=f"{name}: .*(damaged|missing).*data build"):
            TokenStore(store)
        if change != "flip" or name in names[::5]:
            build_store(pairs_in(folder), store, SETTINGS)
            assert content(store) == content(folder / "store")
        else:
            path.write_bytes(data)


def test_a_store_of_other_text_is_not_overwritten(folder: Path, tmp_path: Path):
    (tmp_path / "source").write_text("other text\nof two lines\n")
    (tmp_path / "target").write_text("OTHER TEXT\nOF TWO LINES\n")
    before = content(folder / "store")
    with pytest.raises(DataError, match="holds a store of other text"):
        build_store(pairs_in(tmp_path), folder / "store", SETTINGS)
    other = StoreSettings(SeparateTokenizers(source=Word(), target=Word()), held_out=5, rows=40)
    with pytest.raises(DataError, match="holds a store of other text"):
        build_store(pairs_in(folder), folder / "store", other)
    assert content(folder / "store") == before


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(b"TWO", b"OWT"),
        lambda text: text.rstrip(b"\r\n") + b" three\r\n",
        lambda text: b"".join(sorted(text.splitlines(keepends=True))),
    ],
    ids=["in place", "longer", "in another order"],
)
def test_text_that_changes_while_it_is_read_is_told_and_kept_out(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[bytes], bytes]
):
    whole = {name: (folder / name).read_bytes() for name in ("source", "target")}
    for name, text in whole.items():
        (tmp_path / name).write_bytes(text)
    survey = build.survey

    def surveyed(*arguments: Any, **options: Any) -> object:
        found = survey(*arguments, **options)
        (tmp_path / "target").write_bytes(change(whole["target"]))
        return found

    with monkeypatch.context() as patch:
        patch.setattr(build, "survey", surveyed)
        with pytest.raises(DataError, match="the files have changed while they were read"):
            build_store(pairs_in(tmp_path), tmp_path / "store", SETTINGS)
    assert not (tmp_path / "store" / "manifest.json").exists()
    (tmp_path / "target").write_bytes(whole["target"])
    # What was made of the other text is not kept.
    build_store(pairs_in(tmp_path), tmp_path / "store", SETTINGS)
    assert content(tmp_path / "store") == content(folder / "store")


@pytest.mark.parametrize(("lines", "apart"), [(1, 0), (19, 0), (20, 1), (39, 1), (40, 2), (400, 7)])
def test_no_more_than_a_twentieth_is_held_out(tmp_path: Path, lines: int, apart: int):
    for name in ("source", "target"):
        (tmp_path / name).write_text("".join(f"{name} of {number}\n" for number in range(lines)))
    told = list[str]()
    settings = StoreSettings(JointTokenizer(both=Word()), held_out=7)
    manifest = build_store(pairs_in(tmp_path), tmp_path / "store", settings, say=told.append)
    assert manifest.examples == lines - apart
    assert told[0] == f"{lines:,} pairs read, {apart} of them held out"


def test_a_store_of_nothing_says_why(tmp_path: Path):
    (tmp_path / "source").write_text("a\n\nb\n")
    (tmp_path / "target").write_text("\n\n\n")
    ready = Word().train(WORDS)
    settings = StoreSettings(TokenizerPair(ready, ready))
    with pytest.raises(DataError, match=r"nothing is left to train on.*left out: 3 empty"):
        build_store(pairs_in(tmp_path), tmp_path / "store", settings)


def test_tokenizers_of_other_text_are_refused_and_gaps_are_told(folder: Path, tmp_path: Path):
    other = Word().train(["1 2 3 4", "5 6 7"])
    foreign = StoreSettings(TokenizerPair(other, other), rows=40)
    with pytest.raises(TokenizerError, match=r"\d\d% of the tokens of this text would be <unk>"):
        build_store(pairs_in(folder), tmp_path / "foreign", foreign)
    some = Word(vocabulary=14).train(WORDS * 9)
    source = TextInputs("lines", ((folder / "source",),))
    with pytest.warns(WhyformerNote) as noted:
        build_store(source, tmp_path / "some", StoreSettings(TokenizerPair(some, some), rows=40))
    (note,) = (str(each.message) for each in noted)
    assert re.fullmatch(r"\d+\.\d% of all tokens are <unk>: text that the tokenizers do not know\.", note)


def test_tokenizers_of_their_own_and_ready_ones(folder: Path, tmp_path: Path):
    spec = SeparateTokenizers(source=Word(), target=BPE(vocabulary=330))
    build_store(pairs_in(folder), tmp_path / "one", StoreSettings(spec, rows=100, held_out=0))
    one = TokenStore(tmp_path / "one")
    assert not one.tokenizers.joint
    assert len(one) == 329
    ready = StoreSettings(one.tokenizers, rows=50, held_out=0)
    build_store(pairs_in(folder), tmp_path / "two", ready)
    two = TokenStore(tmp_path / "two")
    assert two.manifest.tokenizers == one.manifest.tokenizers
    assert [two.ids(index) for index in range(len(two))] == [one.ids(index) for index in range(len(one))]
    with pytest.raises(DataError, match="nothing was held out"):
        reader.stored_texts(tmp_path / "one")
    with pytest.raises(DataError, match="built with another tokenizer"):
        one.check_tokenizers(["0" * 12], "the run")


def test_a_few_lines_that_are_no_text_are_left_out_and_many_refused(tmp_path: Path):
    good = [b"line %d" % number for number in range(300)]
    (tmp_path / "target").write_bytes(b"\n".join(good))
    for bad, refused in ((2, False), (60, True)):
        lines = [b"\xe4 broken", b"with\0nul", *good[2:]] if bad == 2 else [b"\xe4h"] * bad + good[bad:]
        (tmp_path / "source").write_bytes(b"\n".join(lines))
        settings = StoreSettings(JointTokenizer(both=Word()), held_out=0)
        if refused:
            with pytest.raises(DataError, match="source: 60 of 300 lines are not UTF-8"):
                build_store(pairs_in(tmp_path), tmp_path / f"{bad}", settings)
        else:
            manifest = build_store(pairs_in(tmp_path), tmp_path / f"{bad}", settings)
            assert manifest.dropped == {"not UTF-8": 1, "a NUL character": 1}


def test_a_refused_build_leaves_no_folder_that_was_not_there(tmp_path: Path):
    pairs = [b"a line"] * 9
    for side, lines in (("source", [b"\xe4h"] * 9), ("target", pairs)):
        (tmp_path / side).write_bytes(b"\n".join(lines))
    settings = StoreSettings(JointTokenizer(both=Word()), held_out=0)
    (tmp_path / "there").mkdir()
    for store in ("made", "there", "outer/inner"):
        with pytest.raises(DataError, match="source: 9 of 9 lines are not UTF-8"):
            build_store(pairs_in(tmp_path), tmp_path / store, settings)
    assert not (tmp_path / "made").exists()
    assert not (tmp_path / "outer").exists()
    assert (tmp_path / "there").is_dir()


def test_two_builds_at_once_are_refused(folder: Path, tmp_path: Path):
    from filelock import FileLock

    (tmp_path / "store").mkdir()
    with FileLock(tmp_path / "store" / ".lock"), pytest.raises(WhyformerError, match="another process"):
        build_store(pairs_in(folder), tmp_path / "store", SETTINGS)
