"""A verb of the program: a command that knows ``--lang``, and helps in the user's language."""

import functools
import os
import re
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Annotated, Any

import typer
from typer._click.exceptions import NoArgsIsHelpError
from typer.core import TyperCommand, TyperGroup, TyperOption
from typer.main import get_command
from typing_extensions import override

from whyformer.cli.console import can_show, tell, tell_labelled
from whyformer.cli.progress import progress_bar
from whyformer.errors import DataError, StoppedError, WhyformerError, bare_complaint
from whyformer.language import (
    LANGUAGES,
    Language,
    current_language,
    display_width,
    language_of,
    lines_of_width,
    padded,
    speaking,
    translated,
)
from whyformer.progress import reported_by

_SURROGATE = re.compile("[\ud800-\udfff]")


_FREE = ("text", "to", "recipe", "target", "name")
"""Parameters that may hold more than Unicode: texts, the bad ones of which are told or left out one by one,
and what names a file or folder."""


# `Any` in this file, because typer keeps the classes of contexts and of formatters to itself.
class Verb(TyperCommand):
    """A command with ``--lang``, whose options hold Unicode."""

    @override
    def invoke(self, ctx: Any) -> Any:
        for parameter in self.get_params(ctx):
            if parameter.name not in _FREE:
                _refuse_surrogates(parameter, ctx.params.get(parameter.name))
        return super().invoke(ctx)

    @override
    def get_params(self, ctx: Any) -> list[Any]:
        return _with_language(super().get_params(ctx))

    @override
    def get_help(self, ctx: Any) -> str:
        return super().get_help(ctx) if current_language() == "en" else _help(self, ctx)

    @override
    def get_usage(self, ctx: Any) -> str:
        return super().get_usage(ctx) if current_language() == "en" else _usage(self, ctx)


class VerbGroup(TyperGroup):
    """Verbs under a name, with ``--lang``."""

    @override
    def get_params(self, ctx: Any) -> list[Any]:
        return _with_language(super().get_params(ctx))

    @override
    def get_help(self, ctx: Any) -> str:
        return super().get_help(ctx) if current_language() == "en" else _help(self, ctx)

    @override
    def get_usage(self, ctx: Any) -> str:
        return super().get_usage(ctx) if current_language() == "en" else _usage(self, ctx)


class Program(VerbGroup):
    """All verbs: settles the language, and turns what a user can put right into one sentence and code 2.

    A bug keeps its traceback.
    """

    @override
    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            tell("interrupted")
            raise typer.Exit(130) from None

    @override
    def main(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
    ) -> Any:
        arguments = sys.argv[1:] if args is None else [*args]
        language = _speakable(_asked(arguments) or language_of(os.environ))
        with speaking(language), reported_by(progress_bar):
            try:
                status = super().main(args, prog_name, complete_var, False, windows_expand_args)
            except StoppedError as stop:
                tell(str(stop))
                status = 2
            except WhyformerError as error:
                tell_labelled("error", str(error))
                status = 2
            except typer.TyperException as error:
                _tell_misuse(error)
                status = error.exit_code
            except typer.Abort:
                status = 1
        if standalone_mode:
            sys.exit(status)
        return status


def _refuse_surrogates(parameter: Any, value: object) -> None:
    """Refuse a ``value`` of a text ``parameter`` in which bytes stand that are no text in this locale."""
    for text in value if isinstance(value, list | tuple) else [value]:
        if isinstance(text, str) and (found := _SURROGATE.search(text)):
            option = isinstance(parameter, TyperOption)
            name = parameter.opts[0] if option else parameter.name.upper()
            raise DataError(
                f"{name}: character {found.start() + 1} is half of a surrogate pair, so this is not Unicode "
                "text; type it in UTF-8, in a locale of UTF-8."
            )


def _asked(arguments: Sequence[str]) -> Language | None:
    """The language that ``--lang`` names, known before parsing, whose faults are told in it."""
    found = None
    for argument, following in pairwise([*arguments, ""]):
        if argument == "--":
            break
        name, equals, value = argument.partition("=")
        if name == "--lang":
            found = value if equals else following
    return next((language for language in LANGUAGES if language == found), None)


def _speakable(language: Language) -> Language:
    """``language``, if the console has its characters."""
    if language == "en" or can_show(translated_sample(language)):
        return language
    tell_labelled("note", f"this console cannot show {language}, so English is spoken; let it use UTF-8.")
    return "en"


def translated_sample(language: Language) -> str:
    """A word in ``language``."""
    with speaking(language):
        return translated("error")


def _tell_misuse(error: Any) -> None:
    """Tell what is wrong with the command line, as typer does, in the user's language."""
    if isinstance(error, NoArgsIsHelpError):
        typer.echo(error.format_message(), err=True)
        return
    ctx = error.ctx
    if ctx is not None:
        typer.echo(ctx.get_usage(), err=True)
        tell(f"Try '{ctx.command_path} {ctx.help_option_names[0]}' for help.\n")
    complaint = bare_complaint(error.format_message())
    if current_language() == "en":
        typer.echo(f"Error: {complaint}", err=True)
    else:
        tell_labelled("error", complaint)
    if "." in (option := str(getattr(error, "option_name", "") or "").lstrip("-")):
        # A key of a recipe, as other programs would have it.
        tell(f"A change to a recipe is written without dashes and with an equals sign: {option}=VALUE")


@functools.cache
def language_option() -> TyperOption:
    """``--lang``, which every verb takes; ``Program.main`` has read it already."""
    probe = typer.Typer(add_completion=False)

    @probe.command()
    def _probe(
        lang: Annotated[
            Language | None, typer.Option(help="Language of all that is said; LANG decides if left out.")
        ] = None,
    ) -> None: ...

    option = get_command(probe).params[0]
    assert isinstance(option, TyperOption), "an option was declared"
    option.expose_value = False
    return option


def _with_language(params: Sequence[Any]) -> list[Any]:
    """``params`` with ``--lang`` before the last, which is ``--help``."""
    return [*params[:-1], language_option(), *params[-1:]]


def _help(command: Any, ctx: Any) -> str:
    """The help of a command in the user's language."""
    formatter = _HelpText(ctx.make_formatter().width)
    command.format_help(ctx, formatter)
    return formatter.getvalue().rstrip("\n")


def _usage(command: Any, ctx: Any) -> str:
    formatter = _HelpText(ctx.make_formatter().width)
    command.format_usage(ctx, formatter)
    return formatter.getvalue().rstrip("\n")


class _HelpText:
    """A page of help, as typer's formatter writes it, translated and set by the width of characters."""

    def __init__(self, width: int) -> None:
        self.width = width
        self._indent = 0
        self._lines = list[str]()

    def getvalue(self) -> str:
        """The page."""
        return "".join(f"{line}\n" for line in self._lines)

    def write_usage(self, prog: str, args: str = "") -> None:
        """Add the line that shows how a command is called."""
        head = f"{translated('Usage')}：{prog} "
        words = " ".join(map(translated, args.split(" ")))
        self._write(head, words, display_width(head))

    def write_text(self, text: str) -> None:
        """Add paragraphs."""
        paragraphs = [" ".join(each.split()) for each in text.split("\n\n")]
        for number, paragraph in enumerate(paragraphs):
            if number:
                self.write_paragraph()
            self._write(" " * self._indent, translated(paragraph), self._indent)

    def write_paragraph(self) -> None:
        """Add a blank line."""
        if self._lines:
            self._lines.append("")

    def write_dl(self, rows: Sequence[tuple[str, str]]) -> None:
        """Add a list of names and what they mean."""
        column = min(max(display_width(name) for name, _ in rows), 30) + 2
        for name, meaning in rows:
            head = " " * self._indent + name
            if display_width(name) > column - 2:
                self._lines.append(head)
                head = ""
            start = self._indent + column
            self._write(padded(head, start), _meaning(meaning), start)

    @contextmanager
    def section(self, name: str) -> Generator[None]:
        """Open a section under a heading."""
        self.write_paragraph()
        self._lines.append(f"{translated(name)}：")
        with self.indentation():
            yield

    @contextmanager
    def indentation(self) -> Generator[None]:
        """Set what follows further to the right."""
        self._indent += 2
        try:
            yield
        finally:
            self._indent -= 2

    def _write(self, head: str, text: str, indent: int) -> None:
        """Add ``text`` behind ``head``, its further lines below its first."""
        first, *others = lines_of_width(text, self.width - indent)
        self._lines += [(head + first).rstrip(), *(" " * indent + line for line in others)]


def _meaning(text: str) -> str:
    """Meaning of an option, and typer's additions to it in brackets."""
    told, _, more = text.rpartition("  [") if text.endswith("]") else (text, "", "")
    if not more:
        return translated(text)
    return f"{translated(told)} [{'；'.join(map(translated, more[:-1].split('; ')))}]"
