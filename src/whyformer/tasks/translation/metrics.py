"""Scores of translations, each with the signature that makes it comparable."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

from whyformer.errors import DataError
from whyformer.spec import Spec

Tokenize = Literal["13a", "zh", "char", "intl", "none"]
"""Tokenizer that cuts text into the words that BLEU compares, by sacrebleu's name; "none" cuts at spaces."""


class ScoringSpec(Spec):
    """Scoring of translations."""

    tokenize: Tokenize = "13a"
    """Tokenizer by which BLEU cuts text into words; "none" for text that is tokenised already."""
    lowercase: bool = False
    """Whether case is ignored."""


@dataclass(frozen=True)
class Metric:
    """One figure, in percent."""

    name: str
    value: float
    signature: str
    """Everything that the figure depends on besides the sentences; compare only what has the same one."""


def score(
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    spec: ScoringSpec,
    tokenize: Sequence[Tokenize] = (),
) -> list[Metric]:
    """BLEU, chrF and exact match of ``hypotheses``, each against all references of its sentence.

    BLEU (Papineni et al. 2002) and chrF (Popović 2015) are sacrebleu's (Post 2018). Exact match counts
    the hypotheses that equal one of their references.

    Args:
        hypotheses: one translation for each sentence.
        references: the right translations of each sentence, one or more; not every sentence needs as many.
        spec: how to score.
        tokenize: cut text in all of these ways, one BLEU for each, instead of in that of ``spec``.

    Raises:
        DataError: there is nothing to score, or a sentence has no reference.
    """
    if not hypotheses:
        raise DataError("there is nothing to score: not one sentence was translated.")
    if bare := [line for line, group in enumerate(references, start=1) if not group]:
        raise DataError(f"sentence {bare[0]} has no reference to be scored against; give it one.")
    return [
        *(_bleu(hypotheses, references, cut, spec.lowercase) for cut in tokenize or [spec.tokenize]),
        _chrf(hypotheses, references, spec.lowercase),
        _exact_match(hypotheses, references, spec.lowercase),
    ]


def is_right(hypothesis: str, references: Sequence[str], *, lowercase: bool) -> bool:
    """Whether ``hypothesis`` equals one of its ``references``."""
    if lowercase:
        hypothesis, references = hypothesis.lower(), [reference.lower() for reference in references]
    return hypothesis in references


def _bleu(
    hypotheses: Sequence[str], references: Sequence[Sequence[str]], tokenize: Tokenize, lowercase: bool
) -> Metric:
    from sacrebleu.metrics.bleu import BLEU

    # `force`: no warning about text that looks tokenised; the signature says how it was cut.
    metric = BLEU(tokenize=tokenize, lowercase=lowercase, force=True)
    value = metric.corpus_score(hypotheses, _by_rank(hypotheses, references)).score
    return Metric("bleu", value, str(metric.get_signature()))


def _chrf(hypotheses: Sequence[str], references: Sequence[Sequence[str]], lowercase: bool) -> Metric:
    from sacrebleu.metrics.chrf import CHRF

    metric = CHRF(lowercase=lowercase)
    value = metric.corpus_score(hypotheses, _by_rank(hypotheses, references)).score
    return Metric("chrf", value, str(metric.get_signature()))


def _exact_match(hypotheses: Sequence[str], references: Sequence[Sequence[str]], lowercase: bool) -> Metric:
    pairs = zip(hypotheses, references, strict=True)
    right = sum(is_right(hypothesis, group, lowercase=lowercase) for hypothesis, group in pairs)
    signature = "equals a reference|case:" + ("lc" if lowercase else "mixed")
    return Metric("exact", 100.0 * right / len(hypotheses), signature)


def _by_rank(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> list[list[str]]:
    """The references as sacrebleu wants them: the first of every sentence, the second of every sentence."""
    # sacrebleu stops silently at the end of the shorter side.
    if len(hypotheses) != len(references):
        raise DataError(
            f"{len(hypotheses):,} translations cannot be scored against {len(references):,} sentences."
        )
    most = max(len(group) for group in references)
    ranks = [[group[rank] if rank < len(group) else None for group in references] for rank in range(most)]
    # None stands for a reference that is not there, which sacrebleu documents but does not annotate.
    return cast(list[list[str]], ranks)
