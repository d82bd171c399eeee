"""Job of a bulk translation: which files, by which run, and how."""

from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from whyformer.data.store.manifest import digest_of
from whyformer.decoding.search import SearchSpec
from whyformer.engines.precision import chosen_precision
from whyformer.errors import DataError
from whyformer.files import explained, file_sha256
from whyformer.runs.execution import Execution
from whyformer.runs.load import open_run
from whyformer.runs.shortlist_file import shortlist_path
from whyformer.tasks.bad_lines import OnError
from whyformer.tasks.translation.lines import LineForm


class BulkShard(NamedTuple):
    """A text file to translate."""

    source: Path
    name: str
    """Of its translation, from the folder of all translations on."""


@dataclass(frozen=True)
class BulkJob:
    """Everything that a process needs to know to write translations into ``folder``."""

    folder: Path
    run: Path
    weights: Path | None
    """Other weights of the run than its best."""
    execution: Execution
    settings: SearchSpec
    form: LineForm
    batch: int
    on_error: OnError
    """Treatment of lines that cannot be read or translated."""

    def record(self) -> dict[str, object]:
        """All that decides what is written, by names, ready for JSON; where and how fast do not.

        Raises:
            CheckpointError: the run or its weights are not there.
            DecodingError: this machine has no such device, or cannot compute so.
        """
        opened = open_run(self.run)
        execution = self.execution
        weights = opened.folder.find_weights(self.weights)
        precision = chosen_precision(execution.precision, execution.torch_device())
        return {
            "weights": sha256_of(weights),
            "model": digest_of(opened.recipe.model.model_dump(mode="json")),
            "tokenizers": opened.assets.fingerprints,
            "search": self.settings.model_dump(mode="json"),
            "engine": execution.engine,
            "precision": precision,
            "shortlist": sha256_of(shortlist_path(self.run)) if execution.shortlist else None,
            "scores": self.form.scores,
            "json": self.form.as_json,
            "split": self.form.split,
            "on_error": self.on_error,
        }


def sha256_of(path: Path) -> str:
    """Hash of a file.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return file_sha256(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from error


def find_shards(pattern: str, folder: Path) -> list[BulkShard]:
    """The text files that ``pattern`` names, sorted, with names for their translations in ``folder``.

    ``*``, ``?`` and ``[...]`` stand for parts of a name, ``**`` for folders at any depth. A translation is
    called as its source is, from the first folder on that has such a sign. What lies in ``folder`` is no
    source, nor is a hidden file.

    Raises:
        DataError: there is no such file.
        WhyformerError: a folder cannot be looked at.
    """
    wanted = Path(pattern).expanduser()
    fixed = [*takewhile(lambda part: not set("*?[") & set(part), wanted.parts[:-1])]
    base, own = Path(*fixed), folder.resolve()
    try:
        found = sorted(base.glob("/".join(wanted.parts[len(fixed) :])))
        files = [
            path
            for path in found
            if path.is_file() and path.name[0] != "." and not path.resolve().is_relative_to(own)
        ]
    except OSError as error:
        raise explained(error, base) from error
    if not files:
        raise DataError(
            f"{pattern}: names no file outside of {folder}; give a pattern in quotes, such as "
            "'shards/*.txt.gz', and another folder for the translations."
        )
    return [BulkShard(path.absolute(), path.relative_to(base).as_posix()) for path in files]
