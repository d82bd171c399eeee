"""Data sets of others as text: every row as it is, missing ones named, and never in another order."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from whyformer.data.store.build import StoreSettings, build_store
from whyformer.data.store.options import dataset_inputs
from whyformer.data.store.reader import TokenStore
from whyformer.data.tokenizers.kinds import BPE
from whyformer.data.tokenizers.pair import JointTokenizer
from whyformer.errors import DataError

datasets = pytest.importorskip("datasets", reason="the extra datasets is not installed")
ODD = [
    '"',
    '"lone',
    "null",
    "NA",
    "None",
    "nan",
    "2020-01-01",
    "12:30",
    "a\u2028b",
    "x\r\ny",
    "1e400",
    "über",
]
SETTINGS = StoreSettings(JointTokenizer(both=BPE(vocabulary=340)), held_out=0, rows=25)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Nothing is written into the user's cache, and no network asked."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)


def columns() -> dict[str, list[str]]:
    return {
        "en": [f"{ODD[n % len(ODD)]} {n}" for n in range(90)],
        "de": [f"{n} {ODD[-n % len(ODD)]}" for n in range(90)],
    }


def written(folder: Path, form: str, table: Mapping[str, Sequence[object]]) -> Path:
    path = folder / f"rows.{form}"
    match form:
        case "parquet":
            datasets.Dataset.from_dict(table).to_parquet(str(path))
        case "jsonl":
            rows = [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        case _:
            datasets.Dataset.from_dict(table).save_to_disk(str(path))
    return path


@pytest.mark.parametrize("form", ["parquet", "jsonl", "disk"])
def test_every_text_arrives_in_order(tmp_path: Path, form: str):
    inputs = dataset_inputs(str(written(tmp_path, form, columns())), "train", ["en", "de"])
    blocks = list(inputs.blocks(25))
    assert [block.first for block in blocks] == [1, 26, 51, 76]
    for side, name in enumerate(("en", "de")):
        assert [text.decode() for block in blocks for text in block.columns[side]] == columns()[name]
    build_store(inputs, tmp_path / "store", SETTINGS)
    store = TokenStore(tmp_path / "store")
    assert len(store) == 90
    tokenizer = store.tokenizers.source
    for number, pair in enumerate(zip(*columns().values(), strict=True)):
        assert store.ids(number) == [tokenizer.encode(text) for text in pair]


def test_a_column_below_another_is_named_by_a_dot(tmp_path: Path):
    rows = [{"en": "one", "de": "eins"}, {"en": "two", "de": "zwei"}]
    inputs = dataset_inputs(str(written(tmp_path, "parquet", {"pair": rows})), "train", ["pair.de"])
    assert next(inputs.blocks(9)).columns == ([b"eins", b"zwei"],)


@pytest.mark.parametrize(("value", "said"), [(None, "nothing"), (float("nan"), "no text but nan")])
def test_a_missing_text_is_named_by_its_row(tmp_path: Path, value: object, said: str):
    table = {"en": ["one", "two", "three"]} if value is None else {"en": [1.0, 2.0, 3.0]}
    texts: list[object] = [*table["en"]]
    texts[1 if value is None else 0] = value
    inputs = dataset_inputs(str(written(tmp_path, "parquet", {"en": texts})), "train", ["en"])
    with pytest.raises(DataError, match=f"row {2 if value is None else 1} has {said} under en"):
        list(inputs.blocks(2))


def test_quoted_dates_that_the_library_takes_for_times_are_refused(tmp_path: Path):
    path = written(tmp_path, "jsonl", {"en": ["2020-01-01", "2021-05-06"]})
    inputs = dataset_inputs(str(path), "train", ["en"])
    with pytest.raises(DataError, match="row 1 has no text but datetime"):
        list(inputs.blocks(2))


def test_what_cannot_be_read_is_one_sentence(tmp_path: Path):
    path = written(tmp_path, "parquet", columns())
    for source, part, fields, said in (
        (str(path), "train", ["fr"], "has no column 'fr'; there are: en, de"),
        (str(path), "test", ["en"], "has no part 'test'; there are: train"),
        (str(tmp_path / "rows.csv"), "train", ["en"], "loses sentences"),
        (str(path), "train", [], "--field COLUMN"),
        (str(path), "train", ["en"] * 3, "--field COLUMN"),
    ):
        (tmp_path / "rows.csv").write_text("en\none\n")
        with pytest.raises(DataError, match=said):
            dataset_inputs(source, part, fields)
    path.write_bytes(b"PAR1 damaged")
    with pytest.raises(DataError, match="cannot be read as a data set"):
        dataset_inputs(str(path), "train", ["en"])
