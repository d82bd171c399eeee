"""Texts that a verb is given: arguments, or lines of a file or of standard input, the bad ones too."""

import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import typer

from whyformer.cli.console import tell
from whyformer.errors import DataError, WhyformerNote

if TYPE_CHECKING:
    from whyformer.tasks.bad_lines import BadLines

OnErrorOption = Annotated[
    Literal["stop", "skip", "truncate"] | None,
    typer.Option(
        help="A line that cannot be read: stop; skip, leave its place blank and exit with 3 in the end; "
        "truncate one that is too long. Left out: skip for a file or standard input, else stop."
    ),
]
TextsArgument = Annotated[
    list[str] | None, typer.Argument(help="Texts; else --file's or standard input's lines.")
]
InputFilesOption = Annotated[
    str | None,
    typer.Option("--input", metavar="PATTERN", help="Files to translate into --to, as in 'shards/*.txt.gz'."),
]
OutputFolderOption = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Folder for their translations, each a file of the same name."),
]
FileOption = Annotated[Path | None, typer.Option("--file", "-f", help="A file to read, a text a line.")]

LEFT_OUT = 3
"""Exit code where a blank stands in the place of some line."""
_SHOWN = 5
_ENDINGS = (".txt", ".tsv", ".csv", ".json", ".jsonl", ".gz", ".md")


class Inputs(NamedTuple):
    """Texts, with blanks in place of lines that are no text, and how to treat what else is bad."""

    texts: list[str]
    bad: "BadLines"


def read_inputs(
    texts: list[str] | None, file: Path | None, on_error: Literal["stop", "skip", "truncate"] | None
) -> Inputs:
    """The texts that a verb is given.

    Raises:
        DataError: they come from two places, the file cannot be read, or a line of it is no text and the
            choice is to stop.
    """
    from whyformer.tasks.bad_lines import BadLines

    if texts and file:
        raise DataError("texts come from the command line or from --file, not from both; leave one out.")
    if texts:
        for text in filter(_is_file, texts):
            warnings.warn(
                f"{text} is taken as a text, and is the name of a file, too; --file {quote(text)} reads its "
                "lines.",
                WhyformerNote,
                stacklevel=2,
            )
        return Inputs(texts, BadLines(on_error or "stop"))
    bad = BadLines(on_error or "skip")
    return Inputs([*_lines(file, bad)], bad)


def file_or_texts(texts: list[str] | None, file: Path | None) -> tuple[list[str] | None, Path | None]:
    """The same, but a single text that is the name of a file stands for that file, as it once did.

    Raises:
        DataError: it looks like such a name, but there is no file.
    """
    if file is not None or texts is None or len(texts) != 1:
        return texts, file
    (text,) = texts
    if _is_file(text):
        warnings.warn(
            f"{text} is a file, so its lines are read; say so by --file {quote(text)}.",
            WhyformerNote,
            stacklevel=2,
        )
        return None, Path(text)
    if text.endswith(_ENDINGS) and not any(character.isspace() for character in text):
        raise DataError(f"{text}: no such file; texts are arguments, and a file is named by --file.")
    return texts, file


def _is_file(text: str) -> bool:
    """Whether a text is the name of a file."""
    return bool(text.strip()) and len(text) < 250 and "\0" not in text and Path(text).is_file()


def finish(bad: "BadLines", lines: int) -> None:
    """Say which lines were left out or cut, and leave with 3 if any has a blank in its place."""
    if bad.cut:
        tell(f"of {lines:,} lines, {len(bad.cut):,} were too long and only begun:")
        _list(bad.cut)
    if bad.left_out:
        tell(f"of {lines:,} lines, {len(bad.left_out):,} were left out:")
        _list(bad.left_out)
        raise typer.Exit(LEFT_OUT)


def _list(told: dict[int, str]) -> None:
    for number in sorted(told)[:_SHOWN]:
        tell(f"  {told[number]}")
    if len(told) > _SHOWN:
        numbers = ", ".join(map(str, sorted(told)[_SHOWN : _SHOWN + 100]))
        tell(f"  … and lines {numbers}{', …' if len(told) > _SHOWN + 100 else ''}")


def _lines(file: Path | None, bad: "BadLines") -> Iterator[str]:
    from whyformer.data.corpora.lines import scan_lines, scan_stream
    from whyformer.tasks.bad_lines import blanked

    found = scan_stream(sys.stdin.buffer, "standard input") if file is None else scan_lines(file)
    return blanked(found, bad)
