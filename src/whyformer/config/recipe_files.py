"""Recipes: YAML files that describe a model and its training, found by name, derived, overridden, written.

Two keys are about the file itself and never reach the spec: ``description`` (one line for the list of
recipes) and ``base`` (the recipe that this one changes, by name, or by path from this file's folder).

Paths in a file count from its folder, those in overrides from the shell's; so do those of the recipes that
come with the package, and of recipes that an older version wrote into a run.
"""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from shlex import quote
from typing import NamedTuple, TypeVar, cast

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel, ValidationError
from yaml import MarkedYAMLError, YAMLError

from whyformer.config.defaults import completed, merged
from whyformer.config.inheritance import without_replaced
from whyformer.config.paths import PathKey, has_relative_path, marked, paths_in, placed, unmarked
from whyformer.config.schema import Node
from whyformer.config.validation import check
from whyformer.errors import RecipeError

SpecT = TypeVar("SpecT", bound=BaseModel)

RecipeLayer = dict[str, object]
"""Content of one file."""
SHIPPED = Path(__file__).parent.parent / "recipes"
"""The folder of the recipes that come with the package."""

_OVERRIDES = "the command line"
_SHELL = Path()
"""The folder that paths count from which stand in no file of the user's."""


def load_recipe(
    spec_type: type[SpecT], recipe: str, overrides: Sequence[str] = (), shelf: Path = SHIPPED
) -> SpecT:
    """The spec that ``recipe`` describes, after its bases, the overrides and the interpolations.

    Args:
        spec_type: the type of the whole recipe.
        recipe: the name of a recipe on the ``shelf``, or the path of a YAML file.
        overrides: ``path=value`` each; the path is dotted, the value is YAML. A mapping changes the node
            key by key; a new ``kind`` starts the node afresh.
        shelf: the folder whose ``*.yaml`` have names.

    Raises:
        RecipeError: an unknown recipe, a file that is not YAML, a circle of bases, or values that do not
            fit; in the last case with one line for each fault.
    """
    return read(recipe, shelf).spec(spec_type, overrides)


def read(recipe: str, shelf: Path = SHIPPED) -> "Source":
    """The files behind ``recipe``, each read once; see ``load_recipe``.

    Raises:
        RecipeError: an unknown recipe, a file that is not YAML, or a circle of bases.
    """
    path = _find(recipe, shelf, Path())
    layers, trail = list[Layer](), list[Path]()
    while True:
        trail.append(path.resolve())
        if trail[-1] in trail[:-1]:
            names = " -> ".join(step.stem for step in trail)
            raise RecipeError(f"{path}: the recipe is its own base ({names}); remove one `base:`.")
        content = {key: value for key, value in _read(path).items() if key != "description"}
        base = content.pop("base", None)
        written = _is_of_run(path)
        folder = _SHELL if written or path.parent == shelf else path.parent
        layers.append(Layer(f"recipe {recipe if len(trail) == 1 else path.stem}", folder, content))
        if base is None:
            return Source(recipe, layers, written=written and len(layers) == 1)
        if not isinstance(base, str):
            raise RecipeError(f"{path}: `base` is {base!r}; it should be the name or file of one recipe.")
        path = _find(base, shelf, path.parent)


class Layer(NamedTuple):
    """Keys that stand together, in a file or as overrides."""

    name: str
    folder: Path
    """The folder from which relative paths count."""
    content: RecipeLayer


@dataclass(frozen=True)
class Source:
    """Content of the files behind a recipe."""

    recipe: str
    """Name or path that was asked for."""
    layers: Sequence[Layer]
    """The file itself, then its base, and the base of that."""
    written: bool = False
    """Whether a run has written it: then it says everything."""

    @property
    def task(self) -> str:
        """The task that the recipe or the first of its bases names; translation where none does."""
        named = (str(layer.content["task"]) for layer in self.layers if "task" in layer.content)
        return next(named, "translation")

    def spec(
        self, spec_type: type[SpecT], overrides: Sequence[str] = (), below: RecipeLayer | None = None
    ) -> SpecT:
        """The spec that they describe, changed by ``overrides``; see ``load_recipe``.

        ``below`` are keys that stand where neither they nor the overrides say otherwise.
        """
        if not overrides and len(self.layers) == 1 and below is None:
            whole = _whole(spec_type, self.layers[0].content)
            if whole is not None:
                return whole
        data, notes = self._laid_over(Node.root(spec_type), overrides, below)
        try:
            return check(spec_type, data, self._origin(overrides))
        except RecipeError as error:
            raise RecipeError("\n".join([str(error), *notes])) if notes else error from None

    def said(self, overrides: Sequence[str] = ()) -> RecipeLayer:
        """All that files and ``overrides`` say, as it was written: nothing is filled in or checked."""
        layers = [*(layer.content for layer in reversed(self.layers)), _parsed(overrides)]
        return reduce(merged, layers, {})

    def paths(self, spec_type: type[SpecT], overrides: Sequence[str] = ()) -> list[PathKey]:
        """Every path that they name, by its key; unlike for ``spec`` the recipe need not be sound."""
        root = Node.root(spec_type)
        return paths_in(root, self._laid_over(root, overrides)[0])

    def notes(self, spec_type: type[SpecT], overrides: Sequence[str] = ()) -> list[str]:
        """A sentence for each layer that names files of its own: what it still takes from those below."""
        if len(self.layers) == 1 and not overrides:
            return []
        return self._laid_over(Node.root(spec_type), overrides)[1]

    def _origin(self, overrides: Sequence[str]) -> str:
        return f"recipe {self.recipe}" + (" with its overrides" if overrides else "")

    def _laid_over(
        self, root: Node, overrides: Sequence[str], below: RecipeLayer | None = None
    ) -> tuple[Mapping[str, object], list[str]]:
        """All layers as one, with paths absolute, and what is to be said of what they inherit."""
        layers = [*self.layers[::-1]]
        if overrides:
            layers.append(Layer(_OVERRIDES, _SHELL, _parsed(overrides)))
        if below is not None:
            layers.insert(0, Layer("", _SHELL, below))
        data: RecipeLayer = {}
        notes: list[str] = []
        name = ""
        for number, layer in enumerate(layers, start=1):
            content = marked(root, layer.content, number)
            changes = layer.name == _OVERRIDES
            kept, told = without_replaced(root, completed(root, data), content, overrides=changes)
            notes += [each.sentence(layer.name, name) for each in told]
            data, name = merged(kept, content), layer.name
        folders = [self.layers[0].folder, *(layer.folder for layer in layers)]
        return placed(root, _interpolated(data, self._origin(overrides)), folders), notes


def _whole(spec_type: type[SpecT], layer: RecipeLayer) -> SpecT | None:
    """The spec in a file that says everything, as a run's recipe does; None if there is more to it.

    There is, if a path is relative: then it counts from a folder.

    The schema, which fills in kinds and explains faults, takes as long to make as a translation.
    """
    if "${" in str(layer):
        return None
    try:
        whole = spec_type.model_validate(layer)
    except ValidationError:
        return None
    return None if has_relative_path(whole) else whole


def _is_of_run(path: Path) -> bool:
    """Whether a recipe lies in the folder of a run that has begun, or that was imported."""
    beside = ("model.safetensors", "state/last.safetensors", "state/last.json")
    return path.name == "recipe.yaml" and any((path.parent / name).exists() for name in beside)


def recipe_text(spec: BaseModel) -> str:
    """``spec`` as a recipe file: every key written out, so that reading it back gives ``spec`` again."""
    return layer_text(spec.model_dump(mode="json"))


def layer_text(layer: RecipeLayer) -> str:
    """The keys of one ``layer`` as a recipe file; no text in it is an interpolation."""
    return OmegaConf.to_yaml(_written(layer))


def differences(new: object, old: object, key: str) -> dict[str, tuple[object, object]]:
    """The values of two recipes that differ below ``key``, by their keys; of a kind that does, no more."""
    if not (isinstance(new, Mapping) and isinstance(old, Mapping)):
        return {} if new == old else {key: (new, old)}
    if new.get("kind") != old.get("kind"):
        return {f"{key}.kind": (new.get("kind"), old.get("kind"))}
    found: dict[str, tuple[object, object]] = {}
    for name in dict.fromkeys([*new, *old]):
        found |= differences(new.get(name), old.get(name), f"{key}.{name}")
    return found


def shipped(shelf: Path = SHIPPED) -> dict[str, str]:
    """The names of the recipes on the ``shelf``, each with its description."""
    return {path.stem: str(_read(path).get("description", "")) for path in sorted(shelf.glob("*.yaml"))}


def _find(recipe: str, shelf: Path, folder: Path) -> Path:
    """The file of a recipe named or addressed from within ``folder``."""
    if recipe.endswith((".yaml", ".yml")):
        return folder / Path(recipe).expanduser()
    names = [path.stem for path in sorted(shelf.glob("*.yaml"))]
    if recipe in names:
        return shelf / f"{recipe}.yaml"
    if (folder / recipe).is_file():
        raise RecipeError(
            f"{recipe} is no recipe, whose name would end in .yaml; `whyformer init {quote(recipe)} --to "
            "mine.yaml` writes one for a file of pairs; on text without columns `whyformer train gpt-tiny "
            f"{quote(f'data.train={recipe}')} data.valid=0.05` trains a language model."
        )
    if (folder / recipe / "recipe.yaml").is_file():
        raise RecipeError(f"{recipe} is a folder; the recipe in it is {recipe}/recipe.yaml.")
    near = difflib.get_close_matches(recipe, names, n=1)
    hint = f"did you mean {near[0]}?" if near else f"the shipped ones are: {', '.join(names) or 'none'}."
    if (folder / recipe).is_dir():
        raise RecipeError(f"the folder {recipe} holds no run (it has no recipe.yaml); {hint}")
    raise RecipeError(
        f"there is no recipe named {recipe}, nor a run in a folder of that name; {hint} A file's name "
        "must end in .yaml."
    )


def _nearest(path: Path) -> str:
    """The question whether a recipe beside ``path`` is meant whose name is much like its."""
    folder = path.parent
    beside = [each.name for each in folder.glob("*.y*ml")] if folder.is_dir() else []
    near = difflib.get_close_matches(path.name, beside, n=1, cutoff=0.8)
    return f" Did you mean {folder / near[0]}?" if near else ""


def _read(path: Path) -> RecipeLayer:
    """The mapping in a YAML file, interpolations untouched."""
    try:
        config = OmegaConf.load(path)
    except FileNotFoundError:
        raise RecipeError(f"{path}: there is no such recipe file.{_nearest(path)}") from None
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path}: not UTF-8 at byte {error.start}; save the recipe as UTF-8.") from None
    except OSError as error:
        raise RecipeError(f"{path}: cannot be read as a recipe ({error.strerror or error}).") from None
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise RecipeError(f"{path}: line {line} is not YAML: {error.problem}.") from None
    except YAMLError as error:
        raise RecipeError(f"{path}: not YAML: {error}.") from None
    except OmegaConfBaseException as error:
        raise RecipeError(f"{path}: {_reason(error)}") from None
    data = OmegaConf.to_container(config)
    if not isinstance(data, dict):
        raise RecipeError(f"{path}: holds a list; a recipe is a mapping of keys to values.")
    return cast(RecipeLayer, data)


def _parsed(overrides: Sequence[str]) -> dict[str, object]:
    """All overrides as one tree, so that their order does not matter to a change of kind."""
    for override in overrides:
        path, equals, _ = override.partition("=")
        if not equals or not all(path.split(".")):
            raise RecipeError(f"override `{override}` should read path=value, as in training.steps=1000.")
        try:
            OmegaConf.from_dotlist([override])
        except YAMLError:
            raise RecipeError(f"override `{override}`: what follows the = is not YAML; quote it.") from None
        except OmegaConfBaseException as error:
            raise RecipeError(f"override `{override}`: {_reason(error)}") from None
    tree = OmegaConf.to_container(OmegaConf.from_dotlist(list(overrides)))
    return cast(dict[str, object], tree)


def _interpolated(data: Mapping[str, object], origin: str) -> dict[str, object]:
    """``data`` with every ``${...}`` replaced by what it stands for."""
    try:
        resolved = OmegaConf.to_container(OmegaConf.create(dict(data)), resolve=True)
    except OmegaConfBaseException as error:
        raise RecipeError(f"{origin}: {_reason(error)}") from None
    return cast(dict[str, object], resolved)


def _reason(error: OmegaConfBaseException) -> str:
    """First sentence of OmegaConf, after the path of the key that it is about."""
    return unmarked(f"{error.full_key}: {str(error).splitlines()[0]}")


def _written(value: object) -> object:
    """``value`` with ``kind`` first in each node, and with ``${`` in texts marked as no interpolation."""
    match value:
        case str():
            return re.sub(r"(\\*)\$\{", lambda found: found[1] * 2 + r"\${", value)
        case dict():
            kind = {"kind": value["kind"]} if "kind" in value else {}
            return {key: _written(inner) for key, inner in {**kind, **value}.items()}
        case list():
            return [_written(inner) for inner in value]
        case _:
            return value
