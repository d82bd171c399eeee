"""Pairs that a translator is trained on, read from text or from a store."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from whyformer.data.corpora.held_out import VALID
from whyformer.data.corpora.pair_files import Referenced
from whyformer.data.corpora.parallel import Corpus
from whyformer.data.store.pair_data import StoredPairsSpec
from whyformer.data.store.reader import stored_tokenizers
from whyformer.data.store.tokenizers import as_recipe, check_described
from whyformer.data.tokenizers.pair import TokenizerPair, TokenizersSpec
from whyformer.tasks.decision import Decision, says
from whyformer.tasks.translation.pairs.examples import EncodedPairs, TrainingPairs, stored_pairs
from whyformer.training.storage.fingerprint import Fingerprint, text_fingerprint

_SAMPLE = 20_000
"""Targets that are looked at to see what they are written in."""


@dataclass(frozen=True)
class ReadPairs:
    """Everything that a training needs of its data."""

    pairs: TrainingPairs
    valid: list[Referenced]
    tokenizers: TokenizerPair
    summary: str
    """One sentence on what was read and dropped."""
    fingerprints: dict[str, Fingerprint]
    some_targets: list[str]
    """The first training targets, as text."""


def read_texts(corpus: Corpus, tokenizers: TokenizerPair, longest: int) -> ReadPairs:
    """The pairs of a ``corpus`` of text, cut into tokens; ``longest`` is the maximum of a side."""
    sources, targets = [source for source, _ in corpus.train], [target for _, target in corpus.train]
    return ReadPairs(
        EncodedPairs.of(tokenizers, sources, targets, longest),
        corpus.valid,
        tokenizers,
        corpus.summary,
        {"train": text_fingerprint(corpus.train), "valid": _fingerprint(corpus.valid)},
        targets,
    )


def read_store(
    data: StoredPairsSpec, spec: TokenizersSpec, assets: TokenizerPair | None, longest: int
) -> ReadPairs:
    """The pairs of a store.

    Args:
        data: says where it is.
        spec: the recipe's tokenizers, which must be the store's.
        assets: those of a run that goes on, or that training starts from.
        longest: maximum number of tokens of a side.

    Raises:
        DataError: a file of it is missing, damaged or foreign, or its tokenizers are others.
        RecipeError: the recipe describes other tokenizers.
    """
    store, valid = data.open(), data.held_out(VALID)
    tokenizers = store.tokenizers
    if assets is not None:
        store.check_tokenizers(assets.fingerprints, "the run")
    elif spec.kind == "run":
        store.check_tokenizers(TokenizerPair.load(spec.run).fingerprints, f"the run in {spec.run}")
    else:
        check_described(data.path, tokenizers, spec)
    targets = (store.ids(index)[1] for index in range(min(_SAMPLE, len(store))))
    return ReadPairs(
        stored_pairs(store, longest),
        valid,
        tokenizers if assets is None else assets,
        store.summary,
        {"train": Fingerprint(len(store), store.manifest.digest), "valid": _fingerprint(valid)},
        tokenizers.target.decode_all([*targets]),
    )


def tokenizer_decisions(said: Mapping[str, object], data: StoredPairsSpec) -> list[Decision]:
    """Decisions on tokenizers that nobody has ``said``: they are those of the store.

    Raises:
        DataError: there is no store, or its tokenizers are missing or damaged.
    """
    if says(said, "tokenizers") or says(said, "start"):
        return []
    tokenizers = as_recipe(stored_tokenizers(data.path))
    reason = "the store was built with them"
    decisions = [Decision("tokenizers", json.dumps(tokenizers, ensure_ascii=False), reason)]
    if tokenizers["kind"] == "separate" and not says(said, "model.embedding.tie"):
        decisions.append(Decision("model.embedding.tie", "output", "each side has a vocabulary of its own"))
    return decisions


def _fingerprint(pairs: list[Referenced]) -> Fingerprint:
    return text_fingerprint((pair.source, *pair.references) for pair in pairs)
