"""Files in other formats: ``check`` and ``init`` say the same of them, and how to convert them."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from whyformer.cli.main import app
from whyformer.data.checks.files import examine
from whyformer.errors import DataError
from whyformer.runs.beginning.new_recipe import recipe_for


def packed(*members: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as file:
            for member in members:
                file.writestr(member, "<x/>")

    return write


def holding(content: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(content)

    return write


BINARY = [
    ("a.xlsx", packed("[Content_Types].xml", "xl/workbook.xml"), "Excel"),
    ("a.docx", packed("[Content_Types].xml", "word/document.xml"), "Word"),
    ("a.ods", packed("mimetype", "content.xml"), "OpenDocument"),
    ("a.zip", packed("corpus.tsv"), "archive"),
    ("a.xls", holding(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)), "Office"),
    ("a b.pdf", holding(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n"), "pdftotext -enc UTF-8`"),
    ("a.parquet", holding(b"PAR1" + bytes(100)), "Parquet"),
    ("a.tsv.xz", holding(b"\xfd7zXZ\0" + bytes(50)), "unxz"),
]
TEXT = [
    ("a.tmx", holding(b'<?xml version="1.0"?>\n<!-- x -->\n<tmx version="1.4">\n<body/></tmx>\n'), "(TMX)"),
    ("a.xlf", holding(b'<?xml version="1.0"?>\n<xliff version="1.2">\n</xliff>\n'), "(XLIFF)"),
    ("a.xml", holding(b'<?xml version="1.0"?>\n<corpus>\n<s>One.</s>\n</corpus>\n'), "XML"),
    ("a.html", holding(b"<!DOCTYPE html>\n<p>One.\n<p>Two.\n"), "HTML"),
    ("a pipe.txt", holding(b"one dog ||| ein Hund\na cat ||| eine Katze\n" * 30), "'|||'"),
    ("a.json", holding(b'[{"en": "a", "de": "b"},\n {"en": "c", "de": "d"}]\n'), "jq -c"),
]


@pytest.mark.parametrize(("name", "write", "said"), BINARY + TEXT)
def test_what_is_no_lines_of_text_is_said_in_the_same_words_everywhere(
    name: str, write: Callable[[Path], None], said: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    write(path)
    report = examine(path)
    (finding,) = [each for each in report.findings if said in each.text]
    assert report.is_refused == (name in {each for each, _, _ in BINARY})
    with pytest.raises(DataError) as refused:
        recipe_for([path], tmp_path)
    assert str(refused.value) == finding.text
    assert "next: " not in CliRunner().invoke(app, ["check", str(path)]).output


@pytest.mark.parametrize(
    ("name", "lines", "following"),
    [
        ("a b.tsv", [f"The dog {n}.\tDer Hund {n}." for n in range(30)], "whyformer init 'a b.tsv' --to"),
        ("c d.txt", [f"The dog {n}." for n in range(30)], "whyformer train gpt-tiny 'data.train=c d.txt'"),
        ("e.tsv", [f"{n % 2}\tThe dog {n}." for n in range(30)], "task classification"),
        ("f.tsv", [f"{n}\t{2 * n}\t{3 * n}" for n in range(30)], "--source 1 --target 2"),
        ("g.txt", ["", " "], None),
    ],
)
def test_a_check_ends_with_what_may_come_next(
    name: str, lines: list[str], following: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    printed = CliRunner().invoke(app, ["check", name]).output
    assert following is None or following in printed
    assert ("next: " in printed) == (following is not None)
