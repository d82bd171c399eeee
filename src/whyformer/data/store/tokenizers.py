"""Tokenizers of a store beside those that a recipe describes."""

from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from whyformer.data.store.reader import TokenStore
from whyformer.data.tokenizers.kinds import TokenizerSpec
from whyformer.data.tokenizers.pair import JointTokenizer, SeparateTokenizers, TokenizerPair
from whyformer.data.tokenizers.single import SingleTokenizer
from whyformer.data.tokenizers.tokenizer import Tokenizer
from whyformer.errors import RecipeError


def as_recipe(pair: TokenizerPair) -> dict[str, Any]:
    """The tokenizers as a recipe writes them."""
    if pair.joint:
        return {"kind": "joint", "both": described_one(pair.source)}
    return {"kind": "separate", "source": described_one(pair.source), "target": described_one(pair.target)}


def described_one(tokenizer: Tokenizer) -> dict[str, Any]:
    """One tokenizer as a recipe writes it, in full: what is usual for its kind need not be for a task."""
    spec = TypeAdapter[TokenizerSpec](TokenizerSpec).validate_python(tokenizer.spec)
    return {"kind": spec.kind, **spec.model_dump(mode="json")}


def check_described(store: Path, pair: TokenizerPair, spec: JointTokenizer | SeparateTokenizers) -> None:
    """Refuse a recipe that describes other tokenizers than those of the ``store``.

    Raises:
        RecipeError: it does.
    """
    if isinstance(spec, JointTokenizer):
        same = pair.joint and is_described(pair.source.spec, spec.both)
    else:
        same = (
            not pair.joint
            and is_described(pair.source.spec, spec.source)
            and is_described(pair.target.spec, spec.target)
        )
    if not same:
        raise _others("tokenizers", store, pair.description)


def _others(key: str, store: Path, description: str) -> RecipeError:
    return RecipeError(
        f"{key}: the recipe describes another than {store} was built with ({description}), and its ids mean "
        f"other text; leave {key} out, or build another store."
    )


def single_tokenizer(
    store: TokenStore, spec: TokenizerSpec, assets: SingleTokenizer | None
) -> SingleTokenizer:
    """The tokenizer of a store of text without translations.

    Args:
        store: the store.
        spec: the recipe's tokenizer, which must be the same.
        assets: that of a run that goes on, or that training starts from.

    Raises:
        DataError: that of the run is another.
        RecipeError: the recipe describes another.
    """
    found = store.tokenizers.source
    if assets is not None:
        store.check_tokenizers(assets.fingerprints, "the run")
        return assets
    if not is_described(found.spec, spec):
        raise _others("tokenizer", store.path, found.description)
    return SingleTokenizer(found)


def is_described(trained: dict[str, Any], spec: TokenizerSpec) -> bool:
    """Whether a tokenizer of the settings ``trained`` is one of ``spec``, white space left to the task."""
    said = spec.model_dump(mode="json")
    if isinstance(said.get("text"), dict) and said["text"].get("spaces") is None:
        said["text"]["spaces"] = trained.get("text", {}).get("spaces")
    return said == trained
