"""Job of a bulk translation: which files, by which run, and how."""

from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import NamedTuple

from whyformer.data.store.manifest import digest_of
from whyformer.decoding.search import SearchSpec
from whyformer.engines.native.library import missing
from whyformer.engines.precision import chosen_precision
from whyformer.errors import DataError
from whyformer.files import explained, file_sha256
from whyformer.runs.execution import Execution
from whyformer.runs.load import open_run
from whyformer.runs.shortlist_file import shortlist_path
from whyformer.tasks.bad_lines import OnError
from whyformer.tasks.translation.lines import LineForm

MANIFEST = "manifest.json"
"""Name of the table of contents of a folder of translations."""
_SIGNS = set("*?[")


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
        is_native = execution.engine == "native" or (execution.engine == "auto" and missing() is None)
        precision = chosen_precision(execution.precision, execution.torch_device(), native=is_native)
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

    ``*``, ``?`` and ``[...]`` stand for parts of a name, unless there is one that is called just so, and
    ``**`` for folders at any depth. A translation is called as its source is, from the first folder on that
    is not named. What lies in ``folder`` is no source, nor is a hidden file, nor the manifest of some other
    folder of translations.

    Raises:
        DataError: there is no such file, or this is no pattern.
        WhyformerError: a folder cannot be looked at.
    """
    base, rest = _parted(Path(pattern).expanduser())
    own = folder.resolve()
    try:
        found = sorted(base.glob(rest))
        files = [path for path in found if path.is_file() and not path.resolve().is_relative_to(own)]
    except OSError as error:
        raise explained(error, base) from error
    except ValueError:
        raise DataError(
            f"{pattern!r}: is no pattern of files; give one in quotes, such as 'shards/*.txt.gz', where ** "
            "stands for whole folders."
        ) from None
    shards = [BulkShard(path.absolute(), path.relative_to(base).as_posix()) for path in files]
    texts = [shard for shard in shards if _is_text(shard.name)]
    if not texts:
        if (base / rest).is_dir():
            raise DataError(
                f"{pattern}: is a folder; for the files in it write '{pattern}/*', with the quotes."
            )
        raise DataError(
            f"{pattern}: names no file outside of {folder}; give a pattern in quotes, such as "
            "'shards/*.txt.gz', and another folder for the translations."
        )
    return texts


def _parted(wanted: Path) -> tuple[Path, str]:
    """The folder that is named before any sign of a pattern, and the pattern from there on."""
    base, rest = Path(), [*wanted.parts]
    while rest[:1] == [wanted.anchor] or (
        len(rest) > 1 and (not _SIGNS & set(rest[0]) or (base / rest[0]).is_dir())
    ):
        base /= rest.pop(0)
    if len(rest) == 1 and (base / rest[0]).is_file():
        rest = [escape(rest[0])]
    return base, "/".join(rest)


def _is_text(name: str) -> bool:
    parts = name.split("/")
    return parts[-1] != MANIFEST and not any(part[0] == "." for part in parts)
