"""The page of a run: a folder that shows the model alive in any browser, from disk or from any web server."""

import base64
import json
import warnings
from collections.abc import Mapping
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Final

from whyformer.browser.bundle import script
from whyformer.browser.examples import short_sources
from whyformer.browser.tokenizers import page_tokenizer
from whyformer.decoding.greedy import GreedySpec
from whyformer.decoding.search import SearchSpec
from whyformer.engines.webassembly.build import ENGINE, missing_engine
from whyformer.engines.webassembly.model_file import model_bytes
from whyformer.errors import DecodingError, WhyformerError, WhyformerNote
from whyformer.files import write_folder
from whyformer.language import current_language, translated
from whyformer.models.transformer import TransformerSpec
from whyformer.plots.chart import HTML_LANG
from whyformer.runs.execution import Execution
from whyformer.runs.load import load_as, read_recipe
from whyformer.runs.shortlist_file import shortlist_path
from whyformer.tasks.translation.task import TranslationRecipe
from whyformer.tasks.translation.translator import Translator

INDEX: Final = "index.html"
LARGEST_BEAM: Final = 8
"""As the page offers it."""
_MARK = "written-by-whyformer-page"
"""Stands at the top of each file, so that a page may be renewed and nothing else be overwritten."""
# Each part that a sampled, watched or forced search has, and that the page's search has not.
_UNFOLLOWED: Mapping[str, object] = {"coverage_penalty": 0.0, "prefix": (), "openings": ()}


def write_run_page(run: Path, folder: Path, *, weights: Path | None = None) -> dict[str, int]:
    """Write the page of ``run`` into ``folder``, all files or none; return their sizes in bytes by name.

    Args:
        run: the folder of a run that translates.
        folder: where the page goes; it is made if missing, and a page that is there already is renewed.
        weights: other weights of the run.

    Raises:
        WhyformerError: the engine was not compiled; it cannot express the model, or the page not the
            tokenizer: the field is named; a file in the way was not written by this; or see ``load_as``.
    """
    _refuse_foreign(folder)
    contents = run_page(run, weights)
    data = {name: text.encode("utf-8") for name, text in contents.items()}
    write_folder(folder, data)
    return {name: len(each) for name, each in data.items()}


def run_page(run: Path, weights: Path | None = None) -> dict[str, str]:
    """Return the text of each file of the page of ``run``, by its name.

    Raises:
        WhyformerError: see ``write_run_page``.
    """
    return {**shared_files(), **model_files(run, weights), INDEX: _index(run.resolve().name)}


def shared_files() -> dict[str, str]:
    """Return the text of each file that all pages have alike: the script, its style, and the engine.

    Raises:
        DecodingError: the engine was not compiled; the sentence says what to do.
    """
    if (reason := missing_engine()) is not None:
        raise DecodingError(reason)
    engine = json.dumps(base64.b64encode(ENGINE.read_bytes()).decode("ascii"))
    return {
        "style.css": _marked(_template("style.css")),
        "script.js": _marked(script(["components/page.js"])),
        "engine.js": _marked(_data("engine", engine)),
    }


def model_files(run: Path, weights: Path | None = None) -> dict[str, str]:
    """Return the text of the file that a run's page has for itself: weights, tokenizers, settings, examples.

    Raises:
        WhyformerError: see ``write_run_page``.
    """
    translator = load_as(Translator, run, Execution("cpu"), weights)
    recipe = read_recipe(run)
    assert isinstance(recipe, TranslationRecipe), "others have no translator"
    if shortlist_path(run).exists():
        warnings.warn(
            f"{shortlist_path(run)} is left out: the page computes the whole vocabulary.",
            WhyformerNote,
            stacklevel=2,
        )
    tokenizers = translator.tokenizers
    _refuse_recurrence(recipe)
    model = {
        "weights": base64.b64encode(model_bytes(translator.model)).decode("ascii"),
        "tokenizers": {
            "source": page_tokenizer(tokenizers.source),
            "target": page_tokenizer(tokenizers.target),
        },
        "decoding": _decoding(recipe.decoding),
        "run": {
            "name": run.resolve().name,
            "parameters": sum(each.numel() for each in translator.model.parameters()),
            "examples": short_sources(recipe.data),
        },
    }
    return {"model.js": _marked(_data("model", json.dumps(model, ensure_ascii=False, separators=(",", ":"))))}


def _refuse_recurrence(recipe: TranslationRecipe) -> None:
    """Refuse a decoder without self-attention, which is half of what the page shows.

    Raises:
        DecodingError: it has a recurrence in its place.
    """
    if isinstance(recipe.model, TransformerSpec) and recipe.model.decoder.block.recurrence is not None:
        raise DecodingError(
            "the page shows the decoder's self-attention, and this model has "
            "model.decoder.block.recurrence in its place; translate with whyformer translate."
        )


def _decoding(settings: SearchSpec) -> dict[str, object]:
    """The settings of a recipe as the page follows them; what it leaves out is said as notes."""
    if settings.kind == "sampling":
        _tell("kind", "sampling", "searches greedily")
        settings = GreedySpec.model_validate(
            {name: value for name, value in settings if name in GreedySpec.model_fields and name != "kind"}
        )
    if settings.kind == "beam" and settings.ranking.compares:
        _tell("ranking", settings.ranking.kind, "ranks by score")
    for name, neutral in _UNFOLLOWED.items():
        if getattr(settings, name, neutral) != neutral:
            _tell(name, json.dumps(getattr(settings, name)), "goes without")
    if settings.kind == "beam" and settings.size > LARGEST_BEAM:
        _tell("size", settings.size, f"begins with {LARGEST_BEAM}")
    return settings.model_dump(mode="json", exclude={*_UNFOLLOWED, "ranking"})


def _tell(field: str, value: object, instead: str) -> None:
    warnings.warn(
        f"decoding.{field} is {value} in the recipe, which the page does not follow: it {instead}.",
        WhyformerNote,
        stacklevel=2,
    )


def _refuse_foreign(folder: Path) -> None:
    """Refuse to overwrite a file that no page has brought.

    Raises:
        WhyformerError: there is one.
    """
    for name in (INDEX, "style.css", "script.js", "engine.js", "model.js"):
        path = folder / name
        try:
            with path.open(encoding="utf-8", errors="replace") as file:
                ours = _MARK in file.read(200)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise WhyformerError(
                f"{path}: cannot be read ({error.strerror}); choose another folder."
            ) from error
        if not ours:
            raise WhyformerError(
                f"{path}: is in the way and was not written by `whyformer page`; choose another folder, or "
                "move it away."
            )


def _index(name: str) -> str:
    lang = current_language()
    values = {
        "mark": _MARK,
        "lang": HTML_LANG[lang],
        "title": f"{name} · Whyformer",
        "skip": translated("Skip to the content"),
        "noscript": translated("This page needs JavaScript; allow it, or take another browser."),
        "made": translated("Made by"),
    }
    return Template(_template(INDEX)).substitute({key: escape(value) for key, value in values.items()})


def _marked(text: str) -> str:
    return f"/* {_MARK} */\n{text}"


def _data(name: str, value: str) -> str:
    """A script that brings data, as a page from disk can load no file in another way."""
    return f"(globalThis.whyformerData ??= {{}}).{name} = {value};\n"


def _template(name: str) -> str:
    return (files("whyformer.browser") / "templates" / name).read_text(encoding="utf-8")
