"""The command line's surface is a contract: every verb, argument, option, type and default is frozen.

After a change that is meant, write the listing anew and let the review see the difference:

    .venv/bin/python tests/cli/test_surface.py > tests/cli/surface.txt
"""

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.core import TyperArgument, TyperGroup, TyperOption
from typer.main import get_command
from typer.testing import CliRunner

from whyformer.cli.main import app

FROZEN = Path(__file__).with_name("surface.txt")


def lines(name: str, command: Any) -> Iterator[str]:
    """The listing of a command and of all below it."""
    yield name
    for parameter in command.params:
        yield f"    {parameter_text(parameter)}"
    if isinstance(command, TyperGroup):
        for verb, inner in sorted(command.commands.items()):
            yield from lines(f"{name} {verb}", inner)


def parameter_text(parameter: TyperArgument | TyperOption) -> str:
    names = ", ".join([*parameter.opts, *parameter.secondary_opts])
    kind = inspect.formatannotation(parameter.type_descriptor.annotation)
    shown = "required" if parameter.required else f"default {parameter.default}"
    return f"{parameter.param_type_name} {names}: {kind}, {shown}"


def surface() -> str:
    return "\n".join(lines("whyformer", get_command(app))) + "\n"


def test_surface_is_the_frozen_one():
    assert surface() == FROZEN.read_text(encoding="utf-8"), f"changed on purpose? {__doc__}"


def test_every_verb_and_option_explains_itself():
    def explained(command: Any) -> Iterator[bool]:
        yield bool(command.help)
        for parameter in command.params:
            yield bool(parameter.help)
        if isinstance(command, TyperGroup):
            for inner in command.commands.values():
                yield from explained(inner)

    assert all(explained(get_command(app)))


def test_the_list_of_verbs_fits_without_being_cut():
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "80"}).stdout
    assert "Commands:" in shown
    assert "..." not in shown.partition("Commands:")[2]


if __name__ == "__main__":
    print(surface(), end="")
