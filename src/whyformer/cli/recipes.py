"""``whyformer recipes``: which recipes there are, what one says in full, which keys exist."""

import re
from typing import Annotated

import typer

from whyformer.cli.console import say, tell
from whyformer.errors import RecipeError
from whyformer.language import translated

# Keys that are more than a screen or two.
_MANY = 60


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
    """List recipes; print one in full; list all keys.

    With --keys, parts of keys after it, such as training.schedule, list only the keys that have one of them.
    """
    if keys:
        _list_keys([*([] if name is None else [name]), *(overrides or [])])
    elif name is None:
        _list_names()
    else:
        _print_recipe(name, overrides or [])


def _list_keys(words: list[str]) -> None:
    """List the keys that have one of ``words`` in them; the first may name the recipe whose kind is meant."""
    import difflib

    from whyformer.config.recipe_files import read, shipped
    from whyformer.config.schema import describe
    from whyformer.runs.registry import find_task

    is_named = bool(words) and (words[0] in shipped() or words[0].endswith((".yaml", ".yml")))
    task = read(words[0]).task if is_named else "translation"
    keys, wanted = describe(find_task(task).recipe_type), words[1:] if is_named else words
    chosen = [key for key in keys if not wanted or any(_is_part(word, key.path) for word in wanted)]
    if not chosen:
        paths = [key.path for key in keys]
        near = difflib.get_close_matches(wanted[0], paths, n=1)
        hint = f"did you mean {near[0]}?" if near else "a recipe's name before it lists those of its task."
        raise RecipeError(f"no key of task {task} has {' or '.join(wanted)} in it; {hint}")
    for key in chosen:
        say(key.head)
        for line in filter(None, (key.meaning, key.note)):
            typer.echo(f"    {translated(line)}")
    if len(chosen) > _MANY:
        _say(f"{len(chosen)} keys; a part of their names behind --keys, such as schedule, lists fewer")


def _is_part(word: str, path: str) -> bool:
    """Whether ``word`` stands in the path of a key, where an index is ``N``."""
    return re.sub(r"\.\d+(?=\.|$)", ".N", word).lower() in path.lower()


def _list_names() -> None:
    from whyformer.config.recipe_files import shipped

    names = shipped()
    width = max(map(len, names), default=0)
    for name, description in names.items():
        typer.echo(f"{name:<{width}}  {translated(description)}")


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
    tell(line)
