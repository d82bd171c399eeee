"""The program ``whyformer``: its verbs, and how errors leave it.

A new verb is a file in this folder and one line below. Verb files import nothing heavy at their top, so
that ``whyformer --help`` stays instant.
"""

import gc
import os
import sys
import warnings
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from whyformer import __version__
from whyformer.cli import (
    average,
    check,
    classify,
    compare,
    doctor,
    embed,
    evaluate,
    export,
    fill,
    generate,
    import_model,
    init,
    inspect,
    parts,
    profile,
    recipes,
    tokenizer,
    train,
    translate,
    why,
)
from whyformer.errors import WhyformerError, WhyformerNote


class _Verbs(TyperGroup):
    """Turns what a user can put right into one sentence and exit code 2; a bug keeps its traceback."""

    # `Any`, because typer keeps the class of this context to itself.
    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except WhyformerError as error:
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            typer.echo("interrupted", err=True)
            raise typer.Exit(130) from None


app = typer.Typer(
    cls=_Verbs,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help starts in half the time and reads the same in a pipe
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"whyformer {__version__}")
        raise typer.Exit


@app.callback()
def whyformer(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Train, run and explain the Transformer."""


app.command()(init.init)
app.command()(check.check)
app.command()(train.train)
app.command()(translate.translate)
app.command()(generate.generate)
app.command()(fill.fill)
app.command()(embed.embed)
app.command()(classify.classify)
app.command()(evaluate.evaluate)
app.command()(compare.compare)
app.command()(inspect.inspect)
app.command()(profile.profile)
app.command()(why.why)
app.command()(average.average)
app.command("import")(import_model.import_model)
app.command()(export.export)
app.add_typer(tokenizer.app, name="tokenizer")
app.command()(recipes.recipes)
app.command()(parts.parts)
app.command()(doctor.doctor)


def _note(message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: object) -> None:
    """Show a note for the user as one sentence, and other warnings as Python writes them."""
    told = message if issubclass(category, WhyformerNote) else None
    typer.echo(
        f"note: {told}" if told else warnings.formatwarning(message, category, filename, lineno).rstrip(),
        err=True,
    )


def main() -> None:
    """Run the program on ``sys.argv``; leaves by ``SystemExit``."""
    # torch and its kin make a million objects that stay, and by default they are all looked through again and
    # again for garbage while more are loaded.
    gc.set_threshold(100_000)
    warnings.showwarning = _note
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # The reader (`| head`) has gone, which is its right; the interpreter must not flush once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
