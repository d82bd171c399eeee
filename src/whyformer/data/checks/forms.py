"""Forms of tables that a recipe names without more: header, columns, quotes and keys, found in the files.

``whyformer init`` writes them into a recipe and ``whyformer train`` decides them, by the same functions.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeVar, cast

from whyformer.data.checks.files import FileForm, FileReport, examine, form_of
from whyformer.data.corpora.detection.tables import has_header, split_row
from whyformer.data.corpora.formats.tables import column_index, head_of, json_object
from whyformer.data.corpora.lines import BadLine, scan_lines
from whyformer.data.corpora.pair_files import CsvPairs, JoinedPairs, JsonlPairs, TextPairs, TsvPairs
from whyformer.data.corpora.parallel import FilesSpec
from whyformer.errors import DataError

Columns = TsvPairs | CsvPairs
OneTable = Columns | JsonlPairs
OnePairs = TextPairs | OneTable
TableT = TypeVar("TableT", bound=OneTable)


_COLUMNS = ("source_column", "target_column")
_KEYS = ("source_key", "target_key")


class FoundKey(NamedTuple):
    """A key of a table, such as ``header``, as it was found in its file."""

    key: str
    value: str | int
    reason: str


def table_keys(report: FileReport, sides: tuple[int, int]) -> list[FoundKey]:
    """Keys by which the table of a ``report`` is read, with source and target in the columns ``sides``."""
    form = report.form
    keys: list[FoundKey] = []
    for side, number in zip(("source", "target"), sides, strict=True):
        column = report.columns[number - 1]
        seen = f"{column.script or 'no'} letters, {column.characters:.0f} characters on average"
        if form.kind == "jsonl":
            keys.append(FoundKey(f"{side}_key", cast(str, column.name), seen))
        else:
            place = column.name if form.header and column.name else column.number
            keys.append(FoundKey(f"{side}_column", place, seen))
    return [*keys, *form_keys(form)]


def form_keys(form: FileForm) -> list[FoundKey]:
    """Keys of a table of a ``form`` besides its columns."""
    keys: list[FoundKey] = []
    if form.kind == "csv" and form.delimiter != ",":
        keys.append(FoundKey("delimiter", form.delimiter, "the character between columns"))
    if form.header:
        keys.append(FoundKey("header", True, "the first line names the columns"))
    if form.kind == "tsv" and form.quotes:
        keys.append(FoundKey("quotes", True, "fields stand in quotes, as spreadsheets write them"))
    return keys


def with_forms(data: FilesSpec) -> tuple[FilesSpec, list[FoundKey]]:
    """``data`` with what it does not say of the form of its tables, and each key that was found.

    Held-out tables are read like the first table to train on, so far as their own first lines allow it.

    Raises:
        DataError: which columns are source and target can neither be read in the recipe nor told by the file.
    """
    found: list[FoundKey] = []
    train = _each(data.train, "data.train", lambda part, key: _found(part, key, found))
    changed: dict[str, object] = {"train": train}
    like = next((part for part in _parts(train) if not isinstance(part, TextPairs)), None)

    def held_out(part: OnePairs, key: str) -> OnePairs:
        if isinstance(part, TextPairs):
            return part
        if like is None or like.kind != part.kind:
            return _found(part, key, found)
        return _found_like(part, like, key, found)

    if not isinstance(data.valid, int | float):
        changed["valid"] = _each(data.valid, "data.valid", held_out)
    changed["test"] = {name: _each(files, f"data.test.{name}", held_out) for name, files in data.test.items()}
    # What was left out is still left out where nothing was found.
    kept = {key: value for key, value in changed.items() if value != getattr(data, key)}
    return (data.model_copy(update=kept) if kept else data), found


def _parts(pairs: OnePairs | JoinedPairs) -> Sequence[OnePairs]:
    return pairs.parts if isinstance(pairs, JoinedPairs) else (pairs,)


def _each(
    pairs: OnePairs | JoinedPairs, key: str, change: Callable[[OnePairs, str], OnePairs]
) -> OnePairs | JoinedPairs:
    """``pairs``, or each of its parts, changed; ``key`` is the recipe's for it."""
    if not isinstance(pairs, JoinedPairs):
        return change(pairs, key)
    parts = tuple(change(part, f"{key}.{index}") for index, part in enumerate(pairs.parts))
    return pairs.model_copy(update={"parts": parts})


def _unsaid(table: OneTable) -> set[str]:
    """Keys on the form of a ``table`` that nobody has written."""
    return {*type(table).model_fields} - {"kind", "path", "several_references"} - table.model_fields_set


def _found(table: OnePairs, key: str, found: list[FoundKey]) -> OnePairs:
    """A ``table`` with what its file says of its form; what was not said comes among ``found``."""
    if isinstance(table, TextPairs) or not (unsaid := _unsaid(table)) or not _can_be_looked_at(table):
        return table
    path = cast(Path, table.path)
    names = _KEYS if isinstance(table, JsonlPairs) else _COLUMNS
    try:
        form = form_of(path, head_of(path))
        # The whole file is read where it has to tell which columns are source and target.
        report = examine(path) if {*names} <= unsaid else None
    except DataError:
        return table  # which reading will say
    if form.kind != table.kind or (report is not None and len(report.columns) < 2):
        return table
    keys = form_keys(form) if report is None else table_keys(report, _sides_of(report, table, key))
    if (
        report is not None
        and not isinstance(table, JsonlPairs)
        and "header" not in unsaid
        and not table.header
    ):
        # Where no line is to name the columns, as somebody says, they go by their numbers.
        numbers = zip(_COLUMNS, _sides_of(report, table, key), keys[:2], strict=True)
        keys[:2] = [FoundKey(name, number, each.reason) for name, number, each in numbers]
    return _changed(table, key, [each for each in keys if each.key in unsaid], found)


def _sides_of(report: FileReport, table: OneTable, key: str) -> tuple[int, int]:
    """Numbers of source and target; those of two columns that tell nothing are taken in their order.

    Raises:
        DataError: there are more.
    """
    if report.sides is not None:
        return report.sides
    if len(report.columns) == 2 and not isinstance(table, JsonlPairs):
        return 1, 2
    things, (source, target) = ("keys", _KEYS) if isinstance(table, JsonlPairs) else ("columns", _COLUMNS)
    raise DataError(
        f"{key}: it cannot be told which of the {len(report.columns)} {things} of {report.path} are "
        f"translations of one another; say so by {key}.{source} and {key}.{target}."
    )


def _can_be_looked_at(table: OneTable) -> bool:
    """Whether its file is here: of a pipe what is read is gone, and what is on the web is fetched later."""
    return isinstance(table.path, Path) and table.path.is_file()


def _found_like(table: OneTable, like: OneTable, key: str, found: list[FoundKey]) -> OnePairs:
    """A held-out ``table`` read like the one to train on, if its own first lines are as those of that."""
    if isinstance(table, JsonlPairs) or isinstance(like, JsonlPairs):
        return _keys_like(table, like, key, found)
    if not (_can_be_looked_at(table) and _can_be_looked_at(like)):
        return table
    path = cast(Path, table.path)
    numbers = _numbers(like)
    try:
        first, *rest = [split_row(line, table.form[0], quotes=table.form[1]) for line in head_of(path)] or [
            []
        ]
    except DataError:
        return table
    named = [cell.strip() for cell in first]
    names = [column for column in (like.source_column, like.target_column) if isinstance(column, str)]
    unsaid = _unsaid(table)
    keys: list[FoundKey] = []
    same = all(getattr(table, each) == getattr(like, each) for each in ("header", *_COLUMNS))
    if same and table.header and names and not {*names} & {*named} and numbers is not None:
        if not has_header([first, *rest]):
            reason = "its first line has none of the names of data.train's columns"
            keys.append(FoundKey("header", False, reason))
        keys += [FoundKey(each, at, "as in data.train") for each, at in zip(_COLUMNS, numbers, strict=True)]
        return _changed(table, key, keys, found)
    if not {"header", *_COLUMNS} <= unsaid or numbers is None:
        return _found(table, key, found)
    header = (bool(names) and {*names} <= {*named}) or has_header([first, *rest])
    if header:
        keys.append(FoundKey("header", True, "the first line names the columns"))
    by_name = header and {like.source_column, like.target_column} <= {*named}
    places: Sequence[str | int] = (like.source_column, like.target_column) if by_name else numbers
    keys += [FoundKey(each, at, "as in data.train") for each, at in zip(_COLUMNS, places, strict=True)]
    if isinstance(like, TsvPairs) and like.quotes and "quotes" in unsaid:
        keys.append(FoundKey("quotes", True, "as in data.train"))
    if isinstance(like, CsvPairs) and like.delimiter is not None and "delimiter" in unsaid:
        keys.append(FoundKey("delimiter", like.delimiter, "as in data.train"))
    return _changed(table, key, keys, found)


def _numbers(table: Columns) -> tuple[int, int] | None:
    """Numbers of the columns of a table; None where they cannot be told."""
    path = cast(Path, table.path)
    try:
        first = next(iter(head_of(path)), "")
        cells = split_row(first, table.form[0], quotes=table.form[1]) if table.header else []
        source, target = (
            column_index(each, cells, path) for each in (table.source_column, table.target_column)
        )
    except DataError:
        return None
    return source + 1, target + 1


def _keys_like(table: OneTable, like: OneTable, key: str, found: list[FoundKey]) -> OnePairs:
    """JSON lines read by the keys of those to train on, if they have them, or else by their own."""
    if not (isinstance(table, JsonlPairs) and isinstance(like, JsonlPairs)):
        return table
    if not {*_KEYS} <= _unsaid(table):
        return table
    record = _first_record(table)
    wanted = {"source_key": like.source_key, "target_key": like.target_key}
    if record is not None and all(
        name.partition(".")[0] in record or name in record for name in wanted.values()
    ):
        keys = [FoundKey(name, value, "as in data.train") for name, value in wanted.items()]
        return _changed(table, key, keys, found)
    return _found(table, key, found)


def _first_record(table: JsonlPairs) -> Mapping[str, object] | None:
    if not _can_be_looked_at(table):
        return None
    try:
        lines = islice(scan_lines(cast(Path, table.path)), 1)
        return next((json_object(line) for line in lines if not isinstance(line, BadLine)), None)
    except (DataError, ValueError):
        return None


def _changed(table: TableT, key: str, keys: Sequence[FoundKey], found: list[FoundKey]) -> TableT:
    """A ``table`` with ``keys``, of which those that change something come among ``found``."""
    news = [each for each in keys if getattr(table, each.key) != each.value]
    found += [FoundKey(f"{key}.{each.key}", each.value, each.reason) for each in news]
    return table.model_copy(update={each.key: each.value for each in keys}) if keys else table
