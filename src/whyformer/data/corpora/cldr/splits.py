"""Pairs, and their division into training, validation and test so that nothing held out was seen."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Literal

from whyformer.errors import DataError
from whyformer.files import write_text

_Split = Literal["train", "valid", "test"]
_SPLITS: tuple[_Split, ...] = ("train", "valid", "test")

_TEST_SHARE = 0.06
_VALID_SHARE = 0.04


@dataclass(frozen=True)
class CldrPair:
    """One content in two languages."""

    source: str
    target: str
    topic: str
    content: str
    """Content of both sides; all forms of one content are in one split."""


@dataclass(frozen=True)
class Splits:
    """Three lists of pairs that share no content, no source string and no target string."""

    train: list[CldrPair]
    valid: list[CldrPair]
    test: list[CldrPair]


def split_of(content: str) -> _Split:
    """The split of a content in every corpus, whatever its languages, topics and seed."""
    position = _digest(content) / 2**64
    if position < _TEST_SHARE:
        return "test"
    return "valid" if position < _TEST_SHARE + _VALID_SHARE else "train"


def divide(pairs: Sequence[CldrPair], names: Collection[str], most: int | None) -> Splits:
    """Divide pairs, whose sources all differ, by their content.

    The contents in ``names`` are always in training, and the last to be cut. Where two contents have
    the same target, it stays only in the first of train, valid and test that has it: to drop it from
    training instead could lose the only mention of a name. At most ``most`` pairs are kept over all
    three; fewer pairs are a part of more pairs.

    Raises:
        DataError: no validation or no test pair is left.
    """
    home: dict[str, _Split] = {
        pair.content: "train" if pair.content in names else split_of(pair.content) for pair in pairs
    }
    owner: dict[str, _Split] = {}
    for split in _SPLITS:
        for pair in pairs:
            if home[pair.content] == split:
                owner.setdefault(pair.target, split)
    clean = [pair for pair in pairs if home[pair.content] == owner[pair.target]]
    clean.sort(key=lambda pair: (pair.content not in names, _rank(pair)))
    kept = sorted(clean[:most], key=_rank)
    train, valid, test = ([pair for pair in kept if home[pair.content] == split] for split in _SPLITS)
    if not valid or not test:
        raise DataError(
            f"pairs: {most} leaves {len(train)} training, {len(valid)} validation, {len(test)} test pairs; "
            f"raise it, leave it out, or choose more topics."
        )
    return Splits(train, valid, test)


def write(splits: Splits, folder: Path) -> None:
    """Write ``train.tsv``, ``valid.tsv`` and ``test.tsv``: source, target, topic, content; no header.

    Raises:
        WhyformerError: the folder cannot be written to.
    """
    for split, pairs in zip(_SPLITS, (splits.train, splits.valid, splits.test), strict=True):
        lines = (f"{pair.source}\t{pair.target}\t{pair.topic}\t{pair.content}\n" for pair in pairs)
        write_text(folder / f"{split}.tsv", "".join(lines))


def _rank(pair: CldrPair) -> int:
    """A fixed shuffle that does not depend on which other pairs there are."""
    return _digest(f"{pair.content}\t{pair.source}")


def _digest(text: str) -> int:
    """64 bits, the same in every process (Python's own ``hash`` is not)."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest())
