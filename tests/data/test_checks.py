"""Files and recipes are examined before training: what they are, and what would go wrong."""

import gzip
import json
from pathlib import Path

import pytest

from whyformer.data.checks.corpora import examine_data
from whyformer.data.checks.files import FileForm, examine
from whyformer.data.corpora.documents import DocumentsSpec
from whyformer.data.corpora.labelled import LabelledSpec
from whyformer.data.corpora.pair_files import TsvPairs
from whyformer.data.corpora.pairs.reverse import ReverseSpec
from whyformer.data.corpora.parallel import FilesSpec

ROWS = [(f"The cat number {n} sits here.", f"Die Katze Nummer {n} sitzt da.") for n in range(30)]


def file(folder: Path, name: str, lines: list[str]) -> Path:
    content = "".join(f"{line}\n" for line in lines).encode()
    (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return folder / name


QUOTED = [f'"He said ""{a}"""\t"Er sagte ""{b}"""' for a, b in ROWS]


@pytest.mark.parametrize(
    ("name", "lines", "form", "sides"),
    [
        ("a.tsv", ["\t".join(row) for row in ROWS], FileForm("tsv", "\t"), (1, 2)),
        ("a.tsv.gz", ["en\tde", *("\t".join(row) for row in ROWS)], FileForm("tsv", "\t", True), (1, 2)),
        ("a", ["\t".join(row) for row in ROWS], FileForm("tsv", "\t"), (1, 2)),
        ("a.txt", QUOTED, FileForm("tsv", "\t", False, True), (1, 2)),
        ("a.csv", [f"{n},{a},{b}" for n, (a, b) in enumerate(ROWS)], FileForm("csv", ","), (2, 3)),
        ("a.csv", ["de;en", *(f"{b};{a}" for a, b in ROWS)], FileForm("csv", ";", True), (2, 1)),
        ("a.txt", [a for a, _ in ROWS], FileForm("text"), None),
        ("a.txt", [f"Well, {a}" for a, _ in ROWS], FileForm("text"), None),
        (
            "a.jsonl",
            [json.dumps({"id": n, "translation": {"en": a, "de": b}}) for n, (a, b) in enumerate(ROWS)],
            FileForm("jsonl"),
            (2, 3),
        ),
    ],
)
def test_a_file_is_known_by_its_lines(
    name: str, lines: list[str], form: FileForm, sides: tuple[int, int] | None, tmp_path: Path
) -> None:
    report = examine(file(tmp_path, name, lines))
    assert (report.encoding, report.form, report.sides) == ("utf-8", form, sides)
    assert report.lines == len(lines)
    assert report.findings == ()


def test_a_label_is_known_by_coming_again(tmp_path: Path) -> None:
    report = examine(
        file(tmp_path, "a.tsv", [f"{('pos', 'neg')[n % 2]}\t{a}" for n, (a, _) in enumerate(ROWS)])
    )
    assert [column.kind for column in report.columns] == ["label", "text"]
    assert report.label == 1
    assert report.sides is None


@pytest.mark.parametrize(
    ("lines", "level", "said"),
    [
        (["x\t", *("\t".join(row) for row in ROWS)], "note", "column 2 is empty on 1 lines (1)"),
        ([*("\t".join(row) for row in ROWS), "alone"], "warning", "1 lines have fewer than 2 columns (31)"),
        (["\t".join(row) for row in [*ROWS, *ROWS[:4]]], "note", "4 of 34 lines are copies of earlier ones"),
        ([f"{a}\t{a}" for a, _ in ROWS], "warning", "columns 1 and 2 are equal on 30 of 30 lines"),
        ([f"{a}\tfÃ¼r {b}" for a, b in ROWS], "warning", "30 lines look as if UTF-8 had been encoded twice"),
        ([*("\t".join(row) for row in ROWS), "a\0\tb"], "warning", "1 lines have a NUL character (31)"),
        ([*QUOTED, '"never closed\tx'], "refused", "a.tsv:31: a field begins with a double quote here"),
    ],
)
def test_what_is_wrong_with_a_file_is_found(lines: list[str], level: str, said: str, tmp_path: Path) -> None:
    report = examine(file(tmp_path, "a.tsv", lines))
    assert [finding.level for finding in report.findings if said in finding.text] == [level]
    assert report.is_refused == (level == "refused")


@pytest.mark.parametrize(
    ("name", "text", "level", "said"),
    [
        ("a.tsv", "\n\n\n", "refused", "all its 3 lines are blank"),
        ("a.txt", " \r\n", "refused", "blank"),
        ("a.json", '[{"en": "a", "de": "b"}]', "warning", "jq -c '.[]'"),
        ("a.json", '{\n "data": [1, 2]\n}\n', "warning", "one JSON value"),
        (
            "a.jsonl",
            '{"en": "a", "de": "b"}\n{"en": "c", "de": null}\n' * 3,
            "note",
            "column 2 is empty on 3",
        ),
    ],
)
def test_what_is_no_table_is_found(name: str, text: str, level: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(text, newline="")
    (finding, *_) = examine(path).findings
    assert (finding.level, said in finding.text) == (level, True), finding


@pytest.mark.parametrize(
    ("codec", "named"), [("cp1252", "cp1252"), ("utf-16", "utf-16"), ("utf-16-le", "utf-16-le")]
)
def test_another_encoding_is_a_finding(codec: str, named: str, tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_bytes("".join(f"{a}\tfür {b}\n" for a, b in ROWS).encode(codec))
    report = examine(path)
    assert report.encoding == named
    assert report.is_refused
    assert "iconv -f" in report.findings[0].text


def test_every_fault_of_a_recipe_is_found_at_once(tmp_path: Path) -> None:
    train = file(tmp_path, "a.tsv", ["en\tde", *("\t".join(row) for row in ROWS)])
    bad = file(tmp_path, "bad.tsv", ["one\teins", "two"])
    data = FilesSpec(
        train=TsvPairs(path=train), valid=0.1, test={"x": TsvPairs(path=bad), "y": TsvPairs(path=bad)}
    )
    report = examine_data(data)
    assert report.is_refused
    assert [finding.level for finding in report.findings] == ["refused"]
    assert "bad.tsv:2: too few columns" in report.findings[0].text
    sound = examine_data(FilesSpec(train=TsvPairs(path=train), valid=0.1))
    assert [each.name for each in sound.sets] == ["train", "valid"]
    assert [each.examples for each in sound.sets] == [28, 3]
    assert [finding.level for finding in sound.findings] == ["warning"]
    assert "may name the columns (en, de)" in sound.findings[0].text
    assert not sound.is_refused
    assert sound.summary == "31 pairs read, all kept; 3 of them held out as valid"


def test_the_data_of_every_task_are_examined(tmp_path: Path) -> None:
    rows = [f"{('pos', 'neg')[n % 2]}\t{a}" for n, (a, _) in enumerate(ROWS)]
    labelled = examine_data(LabelledSpec(train=(file(tmp_path, "l.tsv", [*rows, "Pos\tOdd."]),), valid=0.2))
    assert labelled.sets[0].labels["pos"] + labelled.sets[1].labels["pos"] == 15
    assert len(labelled.findings) == 2
    one = examine_data(LabelledSpec(train=(file(tmp_path, "o.tsv", ["pos\ta", "pos\tb"]),)))
    assert "every label is pos" in one.findings[0].text
    text = file(tmp_path, "t.txt", [line for a, _ in ROWS for line in (a, "")])
    documents = examine_data(DocumentsSpec(train=(text,), valid=0.2, test={"x": (tmp_path / "no.txt",)}))
    assert [each.name for each in documents.sets] == ["train", "valid"]
    assert "no.txt: no such file" in documents.findings[0].text
    assert [each.examples for each in examine_data(ReverseSpec(pairs=100)).sets] == [90, 5, 5]
