"""Files that are no lines of text, or no table that is read here: what they are, and how to convert them."""

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from shlex import quote

_BARS = " ||| "
_OFFICE = {
    "xl/": "an Excel workbook; save the sheet as CSV (UTF-8) or as text parted by tabs",
    "word/": "a Word document; save it as plain text (UTF-8), or a table in it as CSV",
    "ppt/": "a presentation; save its text as plain text (UTF-8)",
    "content.xml": "an OpenDocument file; save it as CSV or as plain text (UTF-8)",
}
_BINARY = (
    (b"%PDF-", "a PDF document; take its text out, as `pdftotext -enc UTF-8` does"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office file; save it as CSV or as plain text (UTF-8)"),
    (b"PAR1", "a Parquet table; write it as CSV or as JSON lines"),
    (b"SQLite format 3\0", "an SQLite database; write its table as CSV, as `sqlite3 -csv` does"),
    (b"7z\xbc\xaf\x27\x1c", "an archive; unpack it and name the file in it"),
    (b"BZh", "compressed by bzip2; unpack it by `bunzip2`"),
    (b"\xfd7zXZ\0", "compressed by xz; unpack it by `unxz`"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd; unpack it by `unzstd`"),
)
_MARKUP = (
    ("<tmx", "a translation memory (TMX)"),
    ("<xliff", "a translation file (XLIFF)"),
    ("<html", "a web page (HTML)"),
    ("<!doctype", "a web page (HTML)"),
    ("<?xml", "XML"),
)


def binary_format(path: Path) -> str | None:
    """Sentence on a file that is no text at all; None where it may be some.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(300)
    what = next((what for mark, what in _BINARY if head.startswith(mark)), None)
    if head.startswith(b"PK\x03\x04"):
        what = _packed(path)
    elif head[257:262] == b"ustar":
        what = "an archive; unpack it and name the file in it"
    return None if what is None else f"{path}: this is {what}."


def _packed(path: Path) -> str:
    """A zip file in words, which documents of office programs are, too."""
    try:
        with zipfile.ZipFile(path) as file:
            members = file.namelist()
    except zipfile.BadZipFile:
        members = []
    known = (what for mark, what in _OFFICE.items() if any(name.startswith(mark) for name in members))
    return next(known, "an archive (zip); unpack it and name the file in it")


def other_format(path: Path, lines: Sequence[str]) -> str | None:
    """Sentence on text that has sentences or pairs in it, but not as lines and columns that are read here.

    Args:
        path: the file.
        lines: all that it holds.
    """
    filled = [line for line in lines[:1000] if line.strip()]
    opening = " ".join(filled[:5]).lstrip().lower()
    if opening.startswith(tuple(mark for mark, _ in _MARKUP)):
        # What stands behind the declaration and its comments tells more.
        what = next(what for mark, what in _MARKUP if mark in opening)
        return (
            f"{path}: this is {what}, whose lines are no sentences; take the text out, pairs as a table with "
            "a tab between source and target (TSV), and give that."
        )
    if filled and sum(_BARS in line for line in filled) >= 0.95 * len(filled):
        return (
            f"{path}: its columns are parted by '|||'; write them with tabs: "
            f"sed 's/ *||| */\\t/g' {quote(str(path))} > {quote(str(path.with_suffix('.tsv')))}"
        )
    if filled and filled[0].lstrip()[:1] in ("[", "{") and _is_json(lines):
        return (
            f"{path}: is one JSON value, and is read as plain text; for a table write one object a line, as "
            f"`jq -c '.[]' {quote(str(path))} > {quote(str(path.with_suffix('.jsonl')))}` does with a list "
            "of them."
        )
    return None


def _is_json(lines: Sequence[str]) -> bool:
    """Whether all ``lines`` together are one JSON value."""
    try:
        json.loads("\n".join(lines))
    except ValueError:
        return False
    return True
