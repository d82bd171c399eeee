"""Data sets of the library ``datasets`` (extra) as streams of blocks: one reader more, and never the order.

Rows come in the order of the data set. A text that is missing is no text: its row is named. Files are read as
Arrow, Parquet or JSON lines; CSV, whose readers lose sentences that begin with a lone quote, is refused.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from whyformer.data.store.text.inputs import ExampleKind, TextBlock
from whyformer.errors import DataError

_FORMS = {".parquet": "parquet", ".arrow": "arrow", ".json": "json", ".jsonl": "json", ".ndjson": "json"}
_AT_ONCE = 1000


class DatasetInputs:
    """The texts in ``fields`` of a data set, a side each."""

    def __init__(self, source: str, split: str, fields: Sequence[str], kind: ExampleKind) -> None:
        """Open the data set.

        Args:
            source: a file, a folder that ``save_to_disk`` has written or that has files of a data set, or the
                name of one on the hub.
            split: the part of it.
            fields: the column of each side; below another by a dot, as in ``translation.de``.
            kind: of the examples.

        Raises:
            DataError: ``datasets`` is not installed, or there is no such data set, part or column.
        """
        self.kind: ExampleKind = kind
        self.sides: tuple[tuple[Path, ...], ...] = tuple((Path(source),) for _ in fields)
        self._source = str(Path(source))
        self._fields = fields
        self._rows = _opened(source, split)
        for field in fields:
            self._check(field)

    @property
    def megabytes(self) -> int:
        """Size of it on the disk."""
        return int(self._rows.dataset_size or 0) >> 20

    def blocks(self, rows: int) -> Iterator[TextBlock]:
        """All examples in order, ``rows`` at a time.

        Raises:
            DataError: a text is missing, or is none.
        """
        for first in range(0, len(self._rows), rows):
            columns = tuple(list[bytes]() for _ in self._fields)
            last = min(first + rows, len(self._rows))
            for start in range(first, last, _AT_ONCE):
                table = self._rows[start : min(start + _AT_ONCE, last)]
                for field, column in zip(self._fields, columns, strict=True):
                    column += self._texts(table, field, start)
            yield TextBlock(self._source, first + 1, columns)

    def _texts(self, table: Any, field: str, start: int) -> Iterator[bytes]:
        top, *below = field.split(".")
        for number, value in enumerate(table[top], start=start + 1):
            for key in below:
                value = value.get(key) if isinstance(value, dict) else None
            if not isinstance(value, str):
                said = "nothing" if value is None else f"no text but {value!r:.40}"
                raise DataError(
                    f"{self._source}: row {number:,} has {said} under {field}; filter the data set before."
                )
            yield value.encode("utf-8", "surrogatepass")

    def _check(self, field: str) -> None:
        top = field.split(".")[0]
        if top not in self._rows.column_names:
            names = ", ".join(self._rows.column_names)
            raise DataError(f"{self._source}: has no column {top!r}; there are: {names}.")


def _opened(source: str, split: str) -> Any:
    """The part ``split`` of a data set, mapped."""
    try:
        import datasets
    except ImportError:
        raise DataError(
            "data sets need datasets, which is not installed: `pip install 'whyformer[datasets]'`."
        ) from None
    path = Path(source).expanduser()
    try:
        if path.is_dir() and ((path / "state.json").exists() or (path / "dataset_dict.json").exists()):
            found = datasets.load_from_disk(str(path))
        elif path.is_file():
            found = _file(datasets, path)
        else:
            found = datasets.load_dataset(str(path) if path.is_dir() else source)
    except DataError:
        raise
    except Exception as error:
        # The library raises whatever its readers do.
        raise DataError(f"{source}: cannot be read as a data set ({_first_line(error)}).") from error
    if isinstance(found, datasets.DatasetDict):
        if split not in found:
            raise DataError(f"{source}: has no part {split!r}; there are: {', '.join(map(str, found))}.")
        return found[split]
    return found


def _file(datasets: Any, path: Path) -> Any:
    form = _FORMS.get(path.suffix.lower())
    if form is None:
        raise DataError(
            f"{path}: read are .parquet, .arrow, .json and .jsonl; text goes in as FILES, and a table of "
            "quotes (.csv, .tsv) loses sentences, so write it as one of these."
        )
    if form == "arrow":
        return datasets.Dataset.from_file(str(path))
    return datasets.load_dataset(form, data_files={"train": str(path)})


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
