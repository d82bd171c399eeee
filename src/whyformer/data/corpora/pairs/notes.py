"""Sentences on pairs that do not look like translations, and on sets that do not go together."""

from collections.abc import Iterator, Mapping, Sequence

from whyformer.data.corpora.detection.encoding import is_encoded_twice
from whyformer.data.corpora.detection.scripts import are_swapped, profile_of, strange_script
from whyformer.data.corpora.held_out import VALID
from whyformer.data.corpora.lines import SentencePair
from whyformer.data.corpora.pairs.copies import HeldOutTexts, common

HeldOut = Mapping[str, Sequence[tuple[str, Sequence[str]]]]
"""Held-out sets by name: sources, each with all its right translations."""

_FEW = 20
"""Pairs below which nothing is said about how both sides look."""


def corpus_notes(train: Sequence[SentencePair], held_out: HeldOut) -> Iterator[str]:
    """Sentences on training pairs that do not look like translations, and on sets the other way round."""
    for name, pairs in held_out.items():
        empty = [number for number, pair in enumerate(pairs, start=1) if _has_empty_side(*pair)]
        if empty:
            yield (
                f"{_key(name)}: {len(empty):,} of {len(pairs):,} pairs have an empty side (the first is "
                f"number {empty[0]:,}), and are scored like the others; take them out."
            )
    equal = sum(pair.source.strip() == pair.target.strip() for pair in train)
    if equal > len(train) / 2 and len(train) >= _FEW:
        yield (
            f"data.train: both sides are equal in {equal:,} of {len(train):,} pairs; is the same column or "
            "file named twice?"
        )
        return
    twice = sum(any(map(is_encoded_twice, pair)) for pair in train)
    if twice > len(train) / 200:
        yield (
            f"data.train: {twice:,} of {len(train):,} pairs look as if UTF-8 had been encoded twice "
            "(Ã¼ for ü and the like); get the text as it was before."
        )
    sides = profile_of([pair.source for pair in train]), profile_of([pair.target for pair in train])
    for name, pairs in held_out.items():
        others = (
            profile_of([source for source, _ in pairs]),
            profile_of([targets[0] for _, targets in pairs]),
        )
        key = _key(name)
        if are_swapped(sides, others):
            yield (
                f"{key}: its sources look like the targets of data.train, and its targets like the sources; "
                "exchange source and target in one of them."
            )
        elif (strange := strange_script(sides, others)) is not None:
            yield f"{key}: {strange}; is it of the same languages?"


def _key(name: str) -> str:
    """The recipe's key for a held-out set."""
    return f"data.{name}" if name == VALID else f"data.test.{name}"


def _has_empty_side(source: str, targets: Sequence[str]) -> bool:
    return not source.strip() or not any(target.strip() for target in targets)


def overlap_notes(train: Sequence[SentencePair], held_out: HeldOut) -> Iterator[str]:
    """Sentences on held-out sets of which a good part is trained on."""
    for name, pairs in held_out.items():
        shared = common(train, HeldOutTexts(pairs)).pairs
        if shared > len(pairs) / 10:
            yield (
                f"{shared:,} training pairs stand in {name}, too ({len(pairs):,} there), so its scores say "
                "little; data.cleaning.overlap=pairs drops them from training."
            )
