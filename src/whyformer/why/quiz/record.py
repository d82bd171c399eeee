"""Record of what was known, one file for both languages; a file that cannot be read is moved, never lost."""

import os
import stat
import warnings
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from whyformer.errors import WhyformerError, WhyformerNote
from whyformer.files import check_writable, write_text
from whyformer.why.quiz.schedule import Standing, after_answer

_VERSION: Final = 1
_LARGEST = 1_000_000
"""Bytes; the record of a hundred questions has a twentieth."""
_PATIENCE = 10.0
"""Seconds to wait for another process, which holds the file for a moment only."""


class Record(BaseModel):
    """Content of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: Literal["whyformer-quiz"]
    version: Literal[1]
    questions: dict[PositiveInt, Standing]
    """By number; those that this program does not have stay as they are."""


class _Other(BaseModel):
    """Beginning of a file that another version has written."""

    kind: Literal["whyformer-quiz"]
    version: int = Field(ge=0, lt=1_000_000)


class _Unreadable(NamedTuple):
    """A file that is no record, and why."""

    reason: str


def data_folder() -> Path:
    """The folder of what is kept for a user: ``$WHYFORMER_DATA``, else below ``$XDG_DATA_HOME``.

    Raises:
        WhyformerError: the user has no home.
    """
    try:
        if own := os.environ.get("WHYFORMER_DATA"):
            return Path(own).expanduser().absolute()
        # Where a path depends on where one stands, the specification of these folders has it left out.
        shared = Path(os.environ.get("XDG_DATA_HOME", ""))
        return (shared if shared.is_absolute() else Path("~/.local/share").expanduser()) / "whyformer"
    except RuntimeError:
        raise WhyformerError("there is no home folder; name a folder in WHYFORMER_DATA.") from None


class RecordKeeper:
    """A record in memory and, as far as it can be written, on disk.

    Any number of processes may keep one file: each answer is added to what the file has by then. Where it
    cannot be kept, one ``WhyformerNote`` says so, and all goes on in memory.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "quiz.json"
        self.is_kept = True
        self._standings: dict[int, Standing] = {}

    @property
    def standings(self) -> Mapping[int, Standing]:
        """How well each question was answered, by number."""
        return self._standings

    def read(self, *, to_write: bool) -> Self:
        """Read the file; if answers will be added, find out whether they can be written."""
        with self._noting(to_write=to_write):
            self._standings = self._read()
            if to_write:
                check_writable(self.path.parent)
        return self

    def add(self, number: int, share: float, now: datetime) -> Standing:
        """Count an answer with this ``share`` of a question's points; the file has it when this returns."""
        if self.is_kept:
            with self._noting(to_write=True), _locked(self.path):
                # Another process may have written since.
                standings = self._read(is_locked=True)
                standings[number] = after_answer(standings.get(number), share, now)
                whole = Record(kind="whyformer-quiz", version=_VERSION, questions=standings)
                write_text(self.path, whole.model_dump_json(indent=1) + "\n")
                self._standings = standings
                return standings[number]
        self._standings[number] = after_answer(self._standings.get(number), share, now)
        return self._standings[number]

    def begin_again(self) -> Path | None:
        """Put the file aside, so that a new record begins; where it is now, None if there was none.

        Raises:
            WhyformerError: it cannot be moved.
        """
        try:
            if not os.path.lexists(self.path):
                return None
            with _locked(self.path):
                return _moved_aside(self.path)
        except OSError as error:
            raise WhyformerError(
                f"{self.path}: cannot be moved ({error.strerror}); see to its folder."
            ) from error

    def _read(self, *, is_locked: bool = False) -> dict[int, Standing]:
        match _content(self.path):
            case None:
                return {}
            case Record(questions=questions):
                return dict(questions)
            case _Unreadable() if not is_locked:
                # Another process may be putting it right.
                with _locked(self.path):
                    return self._read(is_locked=True)
            case _Unreadable(reason):
                aside = _moved_aside(self.path)
                told = f"{self.path}: {reason}; it was moved to {aside}, and a new record begins."
                warnings.warn(WhyformerNote(told), stacklevel=2)
                return {}

    @contextmanager
    def _noting(self, *, to_write: bool) -> Generator[None]:
        """Keep the record in memory alone from where the block fails, and say so."""
        try:
            yield
        except (OSError, WhyformerError) as error:
            self.is_kept = False
            reason = (
                str(error)
                if isinstance(error, WhyformerError)
                else f"{self.path}: cannot be kept ({error.strerror})."
            )
            told = f"{reason} The quiz goes on, and what follows is not recorded." if to_write else reason
            warnings.warn(WhyformerNote(told), stacklevel=2)


def _content(path: Path) -> Record | _Unreadable | None:
    """The record in the file; None where there is no file."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            return _Unreadable("this is no file")
        if status.st_size > _LARGEST:
            return _Unreadable("too large for a record")
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        return Record.model_validate_json(data)
    except ValidationError:
        pass
    try:
        version = _Other.model_validate_json(data).version
    except ValidationError:
        version = _VERSION
    if version != _VERSION:
        return _Unreadable(f"written by another version of this program (format {version}, here {_VERSION})")
    return _Unreadable("damaged, or not written by this program")


def _moved_aside(path: Path) -> Path:
    """The free name that whatever stands at ``path`` has been given; the caller holds the lock."""
    number = 1
    while os.path.lexists(aside := path.with_name(f"{path.stem}.aside-{number}{path.suffix}")):
        number += 1
    path.rename(aside)
    return aside


@contextmanager
def _locked(path: Path) -> Generator[None]:
    """Hold ``path`` against other processes, which wait.

    Raises:
        WhyformerError: another process holds it for too long.
    """
    from filelock import FileLock, Timeout

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.with_name(f".{path.stem}.lock"), timeout=_PATIENCE)
    try:
        lock.acquire()
    except Timeout:
        raise WhyformerError(f"{path}: another process holds it; end that one.") from None
    try:
        yield
    finally:
        lock.release()
