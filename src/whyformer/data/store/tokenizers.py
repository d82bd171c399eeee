"""Tokenizers of a store beside those that a recipe describes."""

from pathlib import Path
from typing import Any

from whyformer.data.tokenizers.kinds import TokenizerSpec
from whyformer.data.tokenizers.pair import JointTokenizer, SeparateTokenizers, TokenizerPair
from whyformer.errors import RecipeError


def described(pair: TokenizerPair) -> dict[str, Any]:
    """The tokenizers as a recipe writes them."""
    if pair.joint:
        return {"kind": "joint", "both": pair.source.spec}
    return {"kind": "separate", "source": pair.source.spec, "target": pair.target.spec}


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
        raise RecipeError(
            f"tokenizers: the recipe describes others than those that {store} was built with "
            f"({pair.description}), and its ids mean other text; leave tokenizers out, or build another store."
        )


def is_described(trained: dict[str, Any], spec: TokenizerSpec) -> bool:
    """Whether a tokenizer of the settings ``trained`` is one of ``spec``, white space left to the task."""
    said = spec.model_dump(mode="json")
    if isinstance(said.get("text"), dict) and said["text"].get("spaces") is None:
        said["text"]["spaces"] = trained.get("text", {}).get("spaces")
    return said == trained
