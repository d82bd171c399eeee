"""Examination of one file of text: what it is, and what would go wrong with it."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from whyformer.data.checks.foreign import binary_format, other_format
from whyformer.data.corpora.detection.encoding import is_encoded_twice
from whyformer.data.corpora.detection.scripts import Script, profile_of, script_of
from whyformer.data.corpora.detection.tables import SAMPLE, find_delimiter, has_header, quote_marks, split_row
from whyformer.data.corpora.formats.tables import TableRow, read_rows
from whyformer.data.corpora.lines import BadLine, Reason, encoding_of, scan_lines
from whyformer.errors import DataError

TableKind = Literal["tsv", "csv", "jsonl", "text"]

_SUFFIXES: dict[str, TableKind] = {
    ".tsv": "tsv",
    ".tab": "tsv",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
_SHOWN = 5
_MOST_LABELS = 100


@dataclass(frozen=True)
class Finding:
    """Something about data that its owner should know."""

    level: Literal["refused", "warning", "note"]
    """Whether training is refused because of it, should be thought over, or is merely told."""
    text: str
    """One sentence: what, where and what to do."""


@dataclass(frozen=True)
class ForeignFormat(Finding):
    """A file in a format that has to be converted."""


@dataclass(frozen=True)
class FileForm:
    """The way a file is to be read."""

    kind: TableKind
    """Columns parted by tabs or by another character, JSON lines, or text without columns."""
    delimiter: str = ""
    """The character between columns; empty where there are none."""
    header: bool = False
    """The first line names the columns."""
    quotes: bool = False
    """Fields stand in double quotes, doubled inside, as spreadsheets write them."""


@dataclass(frozen=True)
class ColumnReport:
    """One column of a file; of text without columns, its lines."""

    number: int
    """Counted from 1."""
    name: str | None
    """Its name in the header, or its key in JSON lines."""
    kind: Literal["text", "label", "number", "empty"]
    """Sentences, few words that come again and again, numbers, or hardly anything."""
    script: Script | None
    """Script of most of its letters."""
    characters: float
    """Mean number of characters."""
    longest: int
    """Maximum number of characters."""
    different: int
    """Number of different cells."""
    empty: int
    """Number of cells with nothing but white space."""


@dataclass(frozen=True)
class FileReport:
    """Description of a file, and of what would go wrong with it."""

    path: Path
    encoding: str
    """``utf-8``, or Python's name of the likeliest other one; empty where none fits."""
    form: FileForm
    lines: int
    """Lines of the file, the header included."""
    columns: tuple[ColumnReport, ...]
    """Empty where the file cannot be read."""
    sides: tuple[int, int] | None
    """Numbers of the two columns that are most likely source and target."""
    label: int | None
    """Number of the column that is most likely a label."""
    findings: tuple[Finding, ...]

    @property
    def foreign(self) -> str:
        """Sentence on its format, where that is neither lines of text nor a table that is read here."""
        return next((each.text for each in self.findings if isinstance(each, ForeignFormat)), "")

    @property
    def is_refused(self) -> bool:
        """Whether training on it would be refused."""
        return any(finding.level == "refused" for finding in self.findings)


def examine(path: Path) -> FileReport:
    """Read a whole file and say what it is: encoding, kind, header, quotes, columns, sides, copies.

    Raises:
        DataError: the file is missing, empty, a folder, not readable, or damaged gzip.
    """
    path = path.expanduser()
    if binary := _binary(path):
        return FileReport(path, "", FileForm("text"), 0, (), None, None, (Finding("refused", binary),))
    encoding = encoding_of(path)
    if not encoding.is_utf8:
        codec = encoding.guess.codec if encoding.guess else ""
        refusal = Finding("refused", encoding.fault)
        return FileReport(path, codec, FileForm("text"), encoding.lines, (), None, None, (refusal,))
    lines = list(scan_lines(path))
    form = form_of(path, [line for line in lines if isinstance(line, str)])
    rows, names, problems = _rows(path, lines, form)
    # What stands in a column is judged by the different rows: of copies each sentence comes again and again.
    different = _columns(list({tuple(row.cells): row for row in rows}.values()))
    columns = tuple(
        _column(number, column, once, names)
        for number, (column, once) in enumerate(zip(_columns(rows), different, strict=True), start=1)
    )
    sides, label = _sides(columns, rows), _label(columns)
    foreign = (
        other_format(path, [line for line in lines if isinstance(line, str)]) if form.kind == "text" else None
    )
    problems = [ForeignFormat("warning", foreign), *problems] if foreign else problems
    findings = (*problems, *_bad_findings(lines), *_findings(path, rows, columns, sides))
    return FileReport(path, "utf-8", form, len(lines), columns, sides, label, findings)


def _binary(path: Path) -> str | None:
    """Sentence on a file that is no text; None where it is, or where reading says what is wrong with it."""
    try:
        return binary_format(path) if path.is_file() else None
    except OSError:
        return None


def form_of(path: Path, lines: Sequence[str]) -> FileForm:
    """The form of a file, by its name's ending where that tells, and by its first ``lines``."""
    head = [line for line in lines[:SAMPLE] if line.strip()]
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    kind = _SUFFIXES.get(suffixes[-1]) if suffixes else None
    if kind == "jsonl" or (head and kind is None and all(_record(line) is not None for line in head)):
        return FileForm("jsonl")
    delimiter = find_delimiter(head)
    # A comma between two short halves of every sentence is rare; but only in a table's name it is believed.
    if delimiter is None or (
        kind is None and delimiter != "\t" and not _is_quoted_or_headed(head, delimiter)
    ):
        return FileForm("text")
    quotes = quote_marks(head, delimiter).are_syntax
    rows = list(_cells(head, delimiter, quotes=quotes or delimiter != "\t"))
    return FileForm("tsv" if delimiter == "\t" else "csv", delimiter, has_header(rows), quotes)


def _is_quoted_or_headed(lines: Sequence[str], delimiter: str) -> bool:
    return quote_marks(lines, delimiter).are_syntax or has_header(list(_cells(lines, delimiter, quotes=True)))


def _cells(lines: Sequence[str], delimiter: str, *, quotes: bool) -> Iterator[list[str]]:
    return (split_row(line, delimiter, quotes=quotes) for line in lines)


def _record(line: str) -> dict[str, object] | None:
    if not line.lstrip().startswith("{"):
        return None
    try:
        value: object = json.loads(line)
    except ValueError:
        return None
    return _flat(cast(dict[str, object], value)) if isinstance(value, dict) else None


def _flat(record: dict[str, object], prefix: str = "") -> dict[str, object]:
    """``record`` with the keys of inner objects behind a dot, as recipes name them."""
    found: dict[str, object] = {}
    for key, value in record.items():
        if isinstance(value, dict):
            found |= _flat(cast(dict[str, object], value), f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def _rows(
    path: Path, lines: Sequence[str | BadLine], form: FileForm
) -> tuple[list[TableRow], list[str] | None, list[Finding]]:
    """The rows of a file without its header, the names of its columns, and what could not be read."""
    match form.kind:
        case "text":
            rows = [
                TableRow(number, (line,)) for number, line in enumerate(lines, 1) if isinstance(line, str)
            ]
            return rows, None, []
        case "jsonl":
            return _json_rows(path, lines)
        case "tsv" | "csv":
            pass
    try:
        found = list(read_rows(path, form.delimiter, quotes=form.quotes or form.kind == "csv"))
    except DataError as error:
        return [], None, [Finding("refused", str(error))]
    rows = [row for row in found if isinstance(row, TableRow)]
    broken = [row for row in found if isinstance(row, BadLine) and row.reason == Reason.QUOTES]
    problems = (
        [Finding("warning", _places(broken, "a closing quote with text behind it", path))] if broken else []
    )
    names = [cell.strip() for cell in rows.pop(0).cells] if form.header and rows else None
    width = max(Counter(len(row.cells) for row in rows).items(), key=lambda item: item[1])[0] if rows else 0
    short = [BadLine(path, row.number, Reason.TOO_FEW_COLUMNS) for row in rows if len(row.cells) < width]
    if short:
        problems.append(Finding("warning", _places(short, f"fewer than {width} columns", path)))
    return [row for row in rows if len(row.cells) >= width], names, problems


def _json_rows(
    path: Path, lines: Sequence[str | BadLine]
) -> tuple[list[TableRow], list[str] | None, list[Finding]]:
    records = [(n, _record(line)) for n, line in enumerate(lines, 1) if isinstance(line, str)]
    names = list(dict.fromkeys(key for _, record in records if record for key in record))
    broken = [BadLine(path, number, Reason.NOT_JSON) for number, record in records if record is None]
    problems = [Finding("warning", _places(broken, Reason.NOT_JSON, path))] if broken else []
    rows = [
        TableRow(number, ["" if record.get(name) is None else str(record[name]) for name in names])
        for number, record in records
        if record
    ]
    return rows, names, problems


def _places(lines: Sequence[BadLine], what: str, path: Path) -> str:
    """A sentence on lines that would be dropped from training, and refused in held-out data."""
    numbers = ", ".join(str(line.number) for line in lines[:_SHOWN]) + (" …" if len(lines) > _SHOWN else "")
    return (
        f"{path}: {len(lines):,} lines have {what} ({numbers}); training leaves them out, and a held-out set "
        "with one is refused."
    )


def _bad_findings(lines: Sequence[str | BadLine]) -> Iterator[Finding]:
    bad = [line for line in lines if isinstance(line, BadLine)]
    for reason in dict.fromkeys(line.reason for line in bad):
        named = [line for line in bad if line.reason == reason]
        what = "bytes that are not UTF-8" if reason == Reason.NOT_UTF8 else reason
        yield Finding("warning", _places(named, what, named[0].path))


def _columns(rows: Sequence[TableRow]) -> list[list[str]]:
    width = min((len(row.cells) for row in rows), default=0)
    return [[row.cells[index] for row in rows] for index in range(width)]


def _column(
    number: int, cells: Sequence[str], once: Sequence[str], names: Sequence[str] | None
) -> ColumnReport:
    """The report on the ``cells`` of a column, whose kind those of different rows, ``once`` each, decide."""
    filled = [cell.strip() for cell in cells if cell.strip()]
    different = len(set(filled))
    sample = filled[:: max(1, len(filled) // SAMPLE)]
    scripts: Counter[Script] = Counter(found for cell in sample if (found := script_of(cell)) is not None)
    name = names[number - 1] if names is not None and number <= len(names) else None
    mean = sum(map(len, filled)) / max(1, len(filled))
    kind: Literal["text", "label", "number", "empty"] = "text"
    if len(filled) < len(cells) / 10:
        kind = "empty"
    elif sum(cell.lstrip("+-").replace(".", "", 1).isdecimal() for cell in sample) > 0.95 * len(sample):
        kind = "number"
    if kind in ("text", "number") and _are_labels([cell for cell in once if cell.strip()], different, mean):
        kind = "label"
    script = scripts.most_common(1)[0][0] if scripts else None
    longest = max(map(len, filled), default=0)
    return ColumnReport(
        number, name, kind, script, round(mean, 1), longest, different, len(cells) - len(filled)
    )


def _are_labels(filled: Sequence[str], different: int, mean: float) -> bool:
    """Whether few short cells come again and again."""
    return 2 <= different <= _MOST_LABELS and different * 5 <= len(filled) and mean <= 30


_SOURCES = frozenset(
    {"source", "src", "en", "eng", "english", "original", "input", "原文", "源语言", "quelle"}
)
_TARGETS = frozenset(
    {"target", "tgt", "trg", "translation", "reference", "output", "译文", "目标语言", "ziel"}
)


def _sides(columns: Sequence[ColumnReport], rows: Sequence[TableRow]) -> tuple[int, int] | None:
    """The columns of source and target: by name where names tell, else the first two of text that differ."""
    texts = [column for column in columns if column.kind == "text"]
    named = {"source": _named_one_of(texts, _SOURCES), "target": _named_one_of(texts, _TARGETS)}
    source, target = named["source"], named["target"]
    if source is None and target is None:
        source = texts[0] if texts else None
    others = [column for column in texts if column not in (source, target)]
    if source is None:
        source = next(iter(others), None)
    elif target is None:
        target = _most_unlike(source, others, rows)
    return (source.number, target.number) if source is not None and target is not None else None


def _named_one_of(columns: Sequence[ColumnReport], names: frozenset[str]) -> ColumnReport | None:
    return next((column for column in columns if (column.name or "").casefold() in names), None)


def _most_unlike(
    source: ColumnReport, others: Sequence[ColumnReport], rows: Sequence[TableRow]
) -> ColumnReport | None:
    """The next column, unless it is in the source's own words: authors, say, or the same once more."""
    if not others:
        return None
    texts = {each.number: [row.cells[each.number - 1] for row in rows] for each in (source, *others)}
    base = profile_of(texts[source.number])
    apart = [each for each in others if base.likeness(profile_of(texts[each.number])) < 0.8]
    same_length = [each for each in apart if each.characters * 6 > source.characters]
    return next(iter(same_length or apart or others))


def _label(columns: Sequence[ColumnReport]) -> int | None:
    return next((column.number for column in columns if column.kind == "label"), None)


def _findings(
    path: Path, rows: Sequence[TableRow], columns: Sequence[ColumnReport], sides: tuple[int, int] | None
) -> Iterator[Finding]:
    for column in columns:
        if column.empty and column.kind != "empty" and len(columns) > 1:
            where = [row.number for row in rows if not row.cells[column.number - 1].strip()]
            numbers = ", ".join(map(str, where[:_SHOWN])) + (" …" if len(where) > _SHOWN else "")
            yield Finding(
                "note", f"{path}: column {column.number} is empty on {len(where):,} lines ({numbers})."
            )
    filled = [tuple(row.cells) for row in rows if any(cell.strip() for cell in row.cells)]
    if rows and not filled:
        yield Finding("refused", f"{path}: all its {len(rows):,} lines are blank.")
    copies = len(filled) - len(set(filled))
    if copies:
        yield Finding("note", f"{path}: {copies:,} of {len(rows):,} lines are copies of earlier ones.")
    twice = [row.number for row in rows if any(map(is_encoded_twice, row.cells))]
    if len(twice) > len(rows) / 200:
        yield Finding(
            "warning",
            f"{path}: {len(twice):,} lines look as if UTF-8 had been encoded twice (line {twice[0]}: "
            f"Ã¼ for ü and the like); get the text as it was before.",
        )
    if sides is not None:
        source, target = sides
        equal = sum(row.cells[source - 1].strip() == row.cells[target - 1].strip() for row in rows)
        if equal > len(rows) / 2:
            yield Finding(
                "warning",
                f"{path}: columns {source} and {target} are equal on {equal:,} of {len(rows):,} lines; is "
                "that the translation?",
            )
