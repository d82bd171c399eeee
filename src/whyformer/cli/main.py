"""The program ``whyformer``: its verbs, and how errors leave it.

A new verb is a file in this folder and one line below. Verb files import nothing heavy at their top, so
that ``whyformer --help`` stays instant.
"""

import gc
import warnings
from typing import Annotated

import typer

from whyformer import __version__
from whyformer.cli import (
    average,
    check,
    classify,
    compare,
    data,
    distil,
    doctor,
    embed,
    evaluate,
    export,
    fill,
    generate,
    import_model,
    init,
    inspect,
    listen,
    page,
    parts,
    plan,
    profile,
    quiz,
    recipes,
    serve,
    shortlist,
    tokenizer,
    train,
    translate,
    watch,
    why,
)
from whyformer.cli.console import ClosedPipeError, prepare_streams, tell_labelled
from whyformer.cli.verb import Program, Verb, VerbGroup
from whyformer.errors import WhyformerNote

app = typer.Typer(
    cls=Program,
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


app.command(cls=Verb)(init.init)
app.command(cls=Verb)(check.check)
app.command(cls=Verb)(train.train)
app.command(cls=Verb)(translate.translate)
app.command(cls=Verb)(generate.generate)
app.command(cls=Verb)(fill.fill)
app.command(cls=Verb)(embed.embed)
app.command(cls=Verb)(classify.classify)
app.command(cls=Verb)(listen.listen)
app.command(cls=Verb)(watch.watch)
app.command(cls=Verb)(evaluate.evaluate)
app.command(cls=Verb)(compare.compare)
app.command(cls=Verb)(inspect.inspect)
app.command(cls=Verb)(page.page)
app.command(cls=Verb)(serve.serve)
app.command(cls=Verb)(profile.profile)
app.command(cls=Verb)(plan.plan)
app.command(cls=Verb)(why.why)
app.command(cls=Verb)(quiz.quiz)
app.command(cls=Verb)(average.average)
app.command(cls=Verb)(distil.distil)
app.command(cls=Verb)(shortlist.shortlist)
app.command("import", cls=Verb)(import_model.import_model)
app.command(cls=Verb)(export.export)
app.add_typer(tokenizer.app, name="tokenizer", cls=VerbGroup)
app.add_typer(data.app, name="data", cls=VerbGroup)
app.command(cls=Verb)(recipes.recipes)
app.command(cls=Verb)(parts.parts)
app.command(cls=Verb)(doctor.doctor)


def _note(message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: object) -> None:
    """Show a note for the user as one sentence, and other warnings as Python writes them."""
    if issubclass(category, WhyformerNote):
        tell_labelled("note", str(message))
    else:
        typer.echo(warnings.formatwarning(message, category, filename, lineno).rstrip(), err=True)


def main() -> None:
    """Run the program on ``sys.argv``; leaves by ``SystemExit``."""
    # torch and its kin make a million objects that stay, and by default they are all looked through again and
    # again for garbage while more are loaded.
    gc.set_threshold(100_000)
    warnings.showwarning = _note
    prepare_streams()
    try:
        app()
    except ClosedPipeError as gone:
        raise SystemExit(gone.status) from None
