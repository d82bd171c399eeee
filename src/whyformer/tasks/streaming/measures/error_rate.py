"""Word and character error rates: edits that turn hypotheses into references, over the references' length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from whyformer.bootstrap import ratio_interval
from whyformer.errors import DataError

if TYPE_CHECKING:
    from jiwer import AlignmentChunk, CharacterOutput, WordOutput


@dataclass(frozen=True)
class ErrorRate:
    """Errors of many utterances, in the fewest edits (Levenshtein 1966)."""

    substitutions: int
    """Units that were taken for others."""
    deletions: int
    """Units that were missed."""
    insertions: int
    """Units that nobody said."""
    units: int
    """Words or characters of the references."""
    utterances: int
    """Number of references."""
    low: float
    """Lower end of the 95 % interval of the rate, by bootstrap over utterances."""
    high: float
    """Upper end."""

    @property
    def errors(self) -> int:
        """All edits."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float:
        """Errors over units; above 1 where more was inserted than said."""
        return self.errors / self.units


def word_error_rate(references: Sequence[str], hypotheses: Sequence[str]) -> ErrorRate:
    """The rate over words, which any white space parts; case and marks count.

    Raises:
        ValueError: there is not one hypothesis for each reference.
        DataError: the references have no words, or jiwer is not installed.
    """
    return _rate(references, hypotheses, of_words=True)


def character_error_rate(references: Sequence[str], hypotheses: Sequence[str]) -> ErrorRate:
    """The rate over characters (code points), of which the space between two words is one.

    Raises:
        ValueError: there is not one hypothesis for each reference.
        DataError: the references have no characters, or jiwer is not installed.
    """
    return _rate(references, hypotheses, of_words=False)


def _rate(references: Sequence[str], hypotheses: Sequence[str], *, of_words: bool) -> ErrorRate:
    if len(references) != len(hypotheses):
        raise ValueError(f"{len(references)} references and {len(hypotheses)} hypotheses: not one for each")
    # Jiwer parts words at the plain space alone.
    said, heard = ([" ".join(text.split()) for text in texts] for texts in (references, hypotheses))
    if not any(said):
        raise DataError("the references have no words; a rate of errors needs some to be a share of.")
    rows = [_edits(chunks) for chunks in _aligned(said, heard, of_words=of_words).alignments]
    kept, substitutions, deletions, insertions = map(sum, zip(*rows, strict=True))
    errors = [sum(row[1:]) for row in rows]
    units = [sum(row[:3]) for row in rows]
    low, high = ratio_interval(errors, units)
    total = kept + substitutions + deletions
    return ErrorRate(substitutions, deletions, insertions, total, len(said), low, high)


def _aligned(said: list[str], heard: list[str], *, of_words: bool) -> WordOutput | CharacterOutput:
    try:
        import jiwer
    except ImportError:
        raise DataError(
            "error rates need jiwer, which is not installed: `pip install 'whyformer[audio]'`."
        ) from None
    return jiwer.process_words(said, heard) if of_words else jiwer.process_characters(said, heard)


def _edits(chunks: Sequence[AlignmentChunk]) -> tuple[int, int, int, int]:
    """Units of one utterance that are right, substituted, deleted and inserted."""
    counts = {"equal": 0, "substitute": 0, "delete": 0, "insert": 0}
    for chunk in chunks:
        said, heard = chunk.ref_end_idx - chunk.ref_start_idx, chunk.hyp_end_idx - chunk.hyp_start_idx
        counts[chunk.type] += heard if chunk.type == "insert" else said
    return counts["equal"], counts["substitute"], counts["delete"], counts["insert"]


def right_words(said: Sequence[str], heard: Sequence[str]) -> list[tuple[int, int]]:
    """Places of the words that were ``said`` and ``heard`` alike, in the fewest edits: pairs of indices.

    Raises:
        DataError: jiwer is not installed.
    """
    if not said or not heard:
        return []
    chunks = _aligned([" ".join(said)], [" ".join(heard)], of_words=True).alignments[0]
    return [
        (chunk.ref_start_idx + offset, chunk.hyp_start_idx + offset)
        for chunk in chunks
        if chunk.type == "equal"
        for offset in range(chunk.ref_end_idx - chunk.ref_start_idx)
    ]
