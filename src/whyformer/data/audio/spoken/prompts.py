"""Recorded telephone prompts with their transcripts: two packages of Debian, half an hour of one voice."""

import gzip
import hashlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, NamedTuple

import numpy as np
from pydantic import Field

from whyformer.config.paths import FolderPath
from whyformer.data.audio.files import open_audio
from whyformer.data.audio.resampling import Samples, resampled
from whyformer.data.corpora.download import cache_folder
from whyformer.errors import DataError
from whyformer.spec import Spec

PROMPT_PACKAGES: Final = ("asterisk-core-sounds-en-wav", "asterisk-core-sounds-en")
"""Debian packages of the sounds and of their transcripts (Allison Smith; CC BY-SA 3.0)."""
PROMPT_CHARACTERS: Final = "abcdefghijklmnopqrstuvwxyz' "
"""Characters of normalised transcripts."""

_SOUNDS = "usr/share/asterisk/sounds/en_US_f_Allison"
_TRANSCRIPTS = "usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz"
_DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
_SPOKEN = {"*": " star ", "#": " pound ", **{str(d): f" {word} " for d, word in enumerate(_DIGITS)}}
_REMARK = re.compile(r"\[[^]]*\]|<[^>]*>|\([^)]*\)")
_BUCKETS = 1000
_SECONDS_TO_FETCH = 300


@dataclass(frozen=True)
class RecordedPrompt:
    """One recorded sentence."""

    name: str
    """Path inside the package, without its ending."""
    text: str
    """Normalised transcript: small letters, apostrophes and single spaces."""
    samples: Samples
    """Samples (n,) in [-1, 1]."""


class PromptSets(NamedTuple):
    """Prompts for training, for validation, and for testing; no text is in two of them."""

    train: list[RecordedPrompt]
    valid: list[RecordedPrompt]
    test: list[RecordedPrompt]


class PromptsSpec(Spec):
    """Telephone prompts of Debian's package asterisk-core-sounds-en-wav."""

    kind: Literal["prompts"] = "prompts"
    """Kind of sentences."""
    folder: FolderPath | None = None
    """Folder into which the two packages were unpacked; left out, a place in the cache."""
    fetch: bool = False
    """Packages that are not there are fetched with apt-get and unpacked; nothing is installed."""
    valid: float = Field(default=0.1, gt=0.0, lt=0.5)
    """Share of the texts for validation, by a hash of the text."""
    test: float = Field(default=0.1, gt=0.0, lt=0.5)
    """Share of the texts for testing, by a hash of the text."""

    def load(self, rate: int) -> PromptSets:
        """Read all prompts that are speech, resampled to ``rate``.

        Raises:
            DataError: they are not there and may not or cannot be fetched, or a file is damaged.
        """
        folder = self.folder or cache_folder() / "prompts"
        if not (folder / _TRANSCRIPTS).is_file() or not (folder / _SOUNDS).is_dir():
            if not self.fetch:
                raise DataError(
                    f"{folder}: the telephone prompts are not there; set data.prompts.fetch=true to fetch "
                    f"the packages {' and '.join(PROMPT_PACKAGES)} with apt-get, or unpack them there with "
                    "`dpkg-deb -x`."
                )
            fetch_prompts(folder)
        sets = PromptSets([], [], [])
        for prompt in _prompts(folder, rate):
            place = _bucket(prompt.text) / _BUCKETS
            in_valid, held_out = place < self.valid, place < self.valid + self.test
            (sets.valid if in_valid else sets.test if held_out else sets.train).append(prompt)
        return sets


def fetch_prompts(folder: Path) -> None:
    """Fetch the packages with Debian's package manager and unpack them into ``folder``; install nothing.

    Raises:
        DataError: this is no Debian or Ubuntu, or the packages cannot be fetched.
    """
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            raise DataError(
                f"the telephone prompts are fetched with {program}, which this machine lacks; unpack the "
                f"Debian packages {' and '.join(PROMPT_PACKAGES)} into {folder}."
            )
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        _run(["apt-get", "download", *PROMPT_PACKAGES], Path(temporary))
        for package in sorted(Path(temporary).glob("*.deb")):
            _run(["dpkg-deb", "-x", str(package), str(folder.absolute())], Path(temporary))


def spoken_text(transcript: str) -> str | None:
    """Return a transcript as it is spoken, in ``PROMPT_CHARACTERS``; None where that is not known.

    Remarks in brackets are left out. Single digits, ``*`` and ``#`` are words; longer numbers may be read in
    more than one way.
    """
    text = _REMARK.sub(" ", transcript.lower())
    if re.search(r"[0-9]{2}|[0-9]\.[0-9]|\.[0-9]", text):
        return None
    text = "".join(_SPOKEN.get(character, character) for character in text)
    text = " ".join(re.sub(r"[-.,;:!?\"/]", " ", text).split())
    return text if text and set(text) <= set(PROMPT_CHARACTERS) else None


def read_transcripts(path: Path) -> dict[str, str]:
    """Read the packages' list of transcripts: a name, a colon and the text on each line.

    Raises:
        DataError: it is missing or damaged.
    """
    try:
        text = gzip.decompress(path.read_bytes()).decode("utf-8")
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; unpack the package {PROMPT_PACKAGES[1]} there.") from None
    except (OSError, EOFError, ValueError) as error:
        raise DataError(
            f"{path}: damaged ({error}); unpack the package {PROMPT_PACKAGES[1]} again."
        ) from error
    lines = [line.partition(":") for line in text.splitlines() if line.strip() and not line.startswith(";")]
    if not lines:
        raise DataError(f"{path}: damaged (it is empty); unpack the package {PROMPT_PACKAGES[1]} again.")
    return {name.strip(): transcript.strip() for name, _, transcript in lines}


def _prompts(folder: Path, rate: int) -> Iterator[RecordedPrompt]:
    """The prompts that have a sound and a text, sorted by name."""
    for name, transcript in sorted(read_transcripts(folder / _TRANSCRIPTS).items()):
        path = folder / _SOUNDS / f"{name}.wav"
        text = spoken_text(transcript)
        # A line of the list has no recording in the package.
        if text is None or not path.is_file():
            continue
        source = open_audio(path)
        blocks = [block[:, 0] for block in source.blocks()]
        samples = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
        yield RecordedPrompt(name, text, resampled(samples, source.rate, rate))


def _bucket(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) % _BUCKETS


def _run(command: list[str], folder: Path) -> None:
    """Run a program of the system in ``folder``."""
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=_SECONDS_TO_FETCH, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DataError(f"`{' '.join(command[:2])}` did not run ({error}); check the network.") from None
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "no reason given").splitlines()[-1].rstrip(".")
        raise DataError(
            f"`{' '.join(command[:2])}` failed ({last}); run `apt-get update`, or unpack the packages "
            "by hand."
        )
