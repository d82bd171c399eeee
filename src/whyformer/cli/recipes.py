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
        bool, typer.Option("--keys", help="List every key of a recipe: type, default and meaning.")
    ] = False,
) -> None:
    """List recipes; print one in full; list all keys."""
    if keys:
        _list_keys()
    elif name is None:
        _list_names()
    else:
        _print_recipe(name, overrides or [])


def _list_keys() -> None:
    from whyformer.schema import describe
    from whyformer.tasks.translation import TranslationRecipe

    for key in describe(TranslationRecipe):
        typer.echo(str(key))


def _list_names() -> None:
    from whyformer.tasks.recipes import shipped

    names = shipped()
    width = max(map(len, names), default=0)
    for name, description in names.items():
        typer.echo(f"{name:<{width}}  {description}")


def _print_recipe(name: str, overrides: list[str]) -> None:
    from whyformer.tasks.recipes import load_recipe, recipe_text
    from whyformer.tasks.translation import TranslationRecipe

    typer.echo(recipe_text(load_recipe(TranslationRecipe, name, overrides)), nl=False)
