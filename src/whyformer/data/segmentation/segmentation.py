"""Segmentation of training text: the cut that the tokenizer makes, or one drawn anew in every epoch.

A word that is cut in several ways shows how its parts belong together, which a fixed cut hides (Kudo 2018).
Held-out text, and all text in use, is cut as the tokenizer does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from whyformer.data.batches.permutation import GOLDEN, finalised, key_of
from whyformer.data.segmentation.merging import IdArray, Merges, can_merge
from whyformer.data.tokenizers.pair import TokenizerPair
from whyformer.errors import TokenizerError
from whyformer.spec import Spec

# Keeps these draws apart from others that begin with the same seed.
_SALT = 0xB9E
_STEP = np.uint64(GOLDEN)

PieceRows = Sequence[Sequence[int]]
"""Texts as ids of pieces, special tokens left out."""


class Fixed(Spec):
    """The tokenizer's own cut, the same in every epoch."""

    origin: ClassVar[str] = "a control"
    kind: Literal["fixed"] = "fixed"

    def build(self, tokenizers: TokenizerPair, longest: tuple[int, int], seed: int) -> "PairSegmentation":
        """Cuts that change nothing."""
        return AS_CUT


class BPEDropout(Spec):
    """Merges of byte-pair encoding left out at random, so that every epoch cuts a word anew.

    Texts get longer (at a rate of 0.1 by a quarter or so), and so do batches and steps; they are planned by
    the tokenizer's own cut. The network needs more epochs, and tells rare words better at their end.
    """

    origin: ClassVar[str] = "Provilkov, Emelianenko and Voita 2020, section 3, algorithm 1"
    kind: Literal["bpe_dropout"] = "bpe_dropout"
    rate: float = Field(default=0.1, ge=0.0, le=1.0)
    """Probability that a merge is left out when it is considered; with 1 all text is cut into characters."""
    sides: Literal["both", "source", "target"] = "both"
    """Texts that are cut anew."""

    def build(self, tokenizers: TokenizerPair, longest: tuple[int, int], seed: int) -> "PairSegmentation":
        """Draws of the cuts of pairs.

        Args:
            tokenizers: by which the pairs were cut.
            longest: maximum number of pieces of source and target; a text that would have more keeps its own.
            seed: of the draws.

        Raises:
            TokenizerError: one of the tokenizers has no merges.
        """
        sides = (("source", tokenizers.source), ("target", tokenizers.target))
        merges = dict[int, Merges]()
        cuts: list[DroppedMerges | None] = []
        for number, (name, tokenizer) in enumerate(sides):
            if self.sides not in ("both", name):
                cuts.append(None)
                continue
            if not can_merge(tokenizer):
                raise TokenizerError(_refusal(tokenizer.spec["kind"]))
            if id(tokenizer) not in merges:
                merges[id(tokenizer)] = Merges(tokenizer)
            cuts.append(DroppedMerges(merges[id(tokenizer)], self.rate, seed, number, longest[number]))
        return PairSegmentation(*cuts)

    def check(self, source: str, target: str) -> None:
        """Refuse kinds of tokenizer that have no merges.

        Args:
            source: kind of the tokenizer of sources.
            target: that of targets.

        Raises:
            ValueError: one of them is such, and its side is to be cut anew.
        """
        for side, kind in (("source", source), ("target", target)):
            if self.sides in ("both", side) and kind not in _MERGING:
                raise ValueError(_refusal(kind))


SegmentationSpec = Annotated[Fixed | BPEDropout, Field(discriminator="kind")]
"""Any way to cut the text that is trained on."""

_MERGING = ("bpe", "imported")
"""Kinds of tokenizer that have merges, or may have some."""


def _refusal(kind: str) -> str:
    return (
        "segmentation.kind is bpe_dropout, which leaves out merges of byte-pair encoding, but a tokenizer is "
        f"of kind {kind} and has none; use segmentation.kind=fixed, or tokenizers of kind bpe"
    )


@dataclass(frozen=True)
class DroppedMerges:
    """Texts cut anew, with merges left out: a pure function of (seed, epoch, number of the text)."""

    merges: Merges
    rate: float
    seed: int
    side: int
    """Number of the side, so that source and target draw apart."""
    longest: int
    """Maximum number of pieces; a text that would have more keeps its own."""

    def __call__(self, rows: PieceRows, numbers: IdArray, epoch: int) -> PieceRows:
        """Cut ``rows`` anew, which are the texts ``numbers`` (rows,) of the data."""
        base = key_of([_SALT, self.seed, epoch, self.side])
        spelled = self.merges.spell(rows)
        row_of, first = spelled.row_of, np.searchsorted(spelled.row_of, np.arange(len(rows)))
        within = (np.arange(len(row_of)) - first[row_of]).astype(np.uint64)
        with np.errstate(over="ignore"):
            keys = finalised(numbers.astype(np.uint64) * _STEP + base)
            keys = finalised(keys[row_of] + within * _STEP)

        def kept(places: IdArray, number: int) -> NDArray[np.bool_]:
            with np.errstate(over="ignore"):
                drawn = finalised(keys[places] + np.array([number], dtype=np.uint64) * _STEP)
            # The upper 53 bits, as numbers from 0 to 1.
            return (drawn >> np.uint64(11)).astype(np.float64) * 2.0**-53 >= self.rate

        drawn = self.merges.merged(spelled, kept)
        return [new if len(new) <= self.longest else old for old, new in zip(rows, drawn, strict=True)]


class PairSegmentation(NamedTuple):
    """Cuts of both sides of a pair; None leaves a side as its tokenizer has cut it."""

    source: DroppedMerges | None
    target: DroppedMerges | None

    def sources(self, rows: PieceRows, numbers: IdArray, epoch: int) -> PieceRows:
        """Sources of the pairs ``numbers`` as ``epoch`` cuts them."""
        return rows if self.source is None else self.source(rows, numbers, epoch)

    def targets(self, rows: PieceRows, numbers: IdArray, epoch: int) -> PieceRows:
        """Targets of the pairs ``numbers`` as ``epoch`` cuts them."""
        return rows if self.target is None else self.target(rows, numbers, epoch)


AS_CUT = PairSegmentation(None, None)
"""Pairs as their tokenizers have cut them."""
