"""``whyformer recipes``: which recipes there are, what one says in full, which keys exist."""

from typing import Annotated

import typer


def recipes(
    name: Annotated[
        str | None, typer.Argument(help="A recipe to print in full: a shipped name or a YAML file.")
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Changes to it, as path=value (training.steps=100).")
    ] = None,
    keys: Annotated[
        bool, typer.Option("--keys", help="List every key of recipes like NAME: type, default and meaning.")
    ] = False,
) -> None:
    """List recipes; print one in full; list all keys."""
    if keys:
        _list_keys(name)
    elif name is None:
        _list_names()
    else:
        _print_recipe(name, overrides or [])


def _list_keys(name: str | None) -> None:
    from whyformer.config.recipe_files import read
    from whyformer.config.schema import describe
    from whyformer.runs.registry import find_task

    for key in describe(find_task("translation" if name is None else read(name).task).recipe_type):
        typer.echo(str(key))


def _list_names() -> None:
    from whyformer.config.recipe_files import shipped

    names = shipped()
    width = max(map(len, names), default=0)
    for name, description in names.items():
        typer.echo(f"{name:<{width}}  {description}")


def _print_recipe(name: str, overrides: list[str]) -> None:
    from whyformer.config.recipe_files import recipe_text, shipped
    from whyformer.errors import DataError
    from whyformer.runs.registry import load_any

    if name in shipped():
        recipe = load_any(name, overrides, say=_say)
    else:
        # One's own recipe is shown as it would be trained, with what its data decide.
        try:
            recipe = load_any(name, overrides, to_train=True, say=_say)
        except DataError as error:
            recipe = load_any(name, overrides, say=_say)
            _say(f"what depends on the data stands here as it does without them: {error}")
    typer.echo(recipe_text(recipe), nl=False)


def _say(line: str) -> None:
    typer.echo(line, err=True)
