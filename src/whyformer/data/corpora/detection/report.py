"""Report on the encoding of a file or stream: what it is instead of UTF-8, and how to convert it."""

from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from whyformer.data.corpora.detection.encoding import Encoding

TOLERATED = 0.01
"""Maximum share of lines that are not UTF-8 in a file that is read: some damage, but no other encoding."""
_FEW = 2
"""Such lines that are tolerated in any file."""


@dataclass(frozen=True)
class EncodingReport:
    """Lines of a file that are not UTF-8, counted."""

    path: Path
    lines: int
    """Lines of the file; 0 where another encoding makes that a matter of opinion."""
    bad: tuple[int, ...] = ()
    """Numbers of the lines that are not UTF-8."""
    beyond: int = 0
    """Lines that are UTF-8 and have more in them than ASCII."""
    guess: Encoding | None = None
    """The encoding that they fit best, if one was found."""
    is_stream: bool = False
    """Whether it is no file that could be named, but what another program writes."""

    @property
    def is_utf8(self) -> bool:
        """Whether the file can be read, with the few bad lines left out."""
        return self.lines > 0 and len(self.bad) <= max(_FEW, TOLERATED * self.lines)

    @property
    def fault(self) -> str:
        """The sentence that says what the file is instead, and how to convert it."""
        path, guess = self.path, self.guess
        if not self.lines:
            known = f"this is {guess.title}" if guess else "its lines end in CR alone"
            return f"{path}: {known}, not UTF-8 with LF; convert it: {self.command}"
        count = (
            f"{path}: {len(self.bad):,} of {self.lines:,} lines are not UTF-8 (the first is {self.bad[0]:,})"
        )
        if guess is None:
            return (
                f"{count}, and no encoding known here fits them; get the file again or correct these lines."
            )
        if self.beyond > len(self.bad):
            return (
                f"{count} but {guess.title}, and {self.beyond:,} others are UTF-8 beyond ASCII: the file "
                f"mixes two encodings; convert each part before they are joined."
            )
        return f"{count}; they look like {guess.title}; convert the file: {self.command}"

    @property
    def _filter(self) -> str:
        return f"iconv -f {self.guess.iconv} -t UTF-8" if self.guess else "tr '\\r' '\\n'"

    @property
    def command(self) -> str:
        """The command that writes the file anew as UTF-8."""
        if self.is_stream:
            return f"... | {self._filter} | whyformer ..."
        packed = self.path.suffix == ".gz"
        plain = self.path.with_suffix("") if packed else self.path
        name = quote(str(self.path))
        new = quote(str(plain.with_name(f"{plain.stem}.utf8{plain.suffix}")))
        unpack = f"gzip -dc {name} | " if packed else ""
        if self.guess is None:
            return f"{unpack}tr '\\r' '\\n' {'' if packed else f'< {name} '}> {new}"
        file = "" if packed else f" {name}"
        return f"{unpack}iconv -f {self.guess.iconv} -t UTF-8{file} > {new}"
