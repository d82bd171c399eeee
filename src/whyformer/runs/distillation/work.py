"""Work that is kept while it is under way: what was killed goes on where it was."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from shlex import quote

from whyformer.errors import CheckpointError
from whyformer.files import explained, write_text
from whyformer.runs.distillation.teacher import Taught

UNFINISHED = "unfinished"
"""Folder in that of a distillation, for as long as it is not done."""
_JOB = "job.json"


def is_begun(folder: Path) -> bool:
    """Whether parts of a distillation lie in ``folder``, or the place for them."""
    return (folder / UNFINISHED / _JOB).is_file()


class UnfinishedWork:
    """Parts of a distillation, each a file; only those of the same job are taken up again."""

    def __init__(self, folder: Path, job: Mapping[str, object]) -> None:
        """Keep parts below ``folder``; ``job`` is all that decides what is in them, ready for JSON."""
        self._folder = folder
        self._place = folder / UNFINISHED
        self._job = json.dumps(job, ensure_ascii=False, indent=2)

    def begin(self, *, overwrite: bool) -> None:
        """Go on with the parts that are there, or, with ``overwrite``, without those of another job.

        Raises:
            CheckpointError: they are of another job.
        """
        file = self._place / _JOB
        if self._place.exists() and not (file.is_file() and file.read_text(encoding="utf-8") == self._job):
            if not overwrite:
                raise CheckpointError(
                    f"{self._folder}: holds the beginning of another distillation (of other weights, data or "
                    "settings); go on with that by its own command, replace it with --overwrite, or choose "
                    "another --to."
                )
            self.discard()
        write_text(file, self._job)

    def part(self, number: int) -> Taught | None:
        """Part ``number``, if it is done."""
        file = self._file(number)
        try:
            return Taught(**json.loads(file.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise CheckpointError(
                f"{file}: is damaged ({error}); delete it by `rm {quote(str(file))}`, and it is made again."
            ) from None

    def keep(self, number: int, part: Taught) -> None:
        """Write part ``number``, whole or not at all."""
        write_text(self._file(number), json.dumps(part._asdict(), ensure_ascii=False))

    def discard(self) -> None:
        """Remove all parts.

        Raises:
            WhyformerError: the folder cannot be removed.
        """
        try:
            shutil.rmtree(self._place)
        except OSError as error:
            raise explained(error, self._place) from error

    def _file(self, number: int) -> Path:
        return self._place / f"part-{number:05}.json"
