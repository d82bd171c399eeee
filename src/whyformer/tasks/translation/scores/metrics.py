"""Scores of translations, each with the signature that makes it comparable."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, cast

from whyformer.errors import DataError
from whyformer.spec import Spec
from whyformer.tasks.translation.scores.tokenization import suited_tokenize

Tokenize = Literal["auto", "13a", "zh", "char", "intl", "none"]
"""Tokenizer that cuts text into the words that BLEU compares, by sacrebleu's name; "none" cuts at spaces, and
"auto" is the one that suits the script of the references."""

Measure = Literal["auto", "bleu", "chrf", "exact", "nll"]
"""Figure by which the weights to keep are chosen."""

_WORDS = 4
"""Words in a row that BLEU compares: of fewer it makes nothing."""
_NO_BLEU = 0.5
"""BLEU up to which it tells how long the translations are rather than how good: with hardly any four words in
a row right, smoothing and the penalty of brevity make it."""
_SAMPLE = 10_000
"""Lines that are looked at to decide."""


class Settled(NamedTuple):
    """Settings of scoring without any "auto", and a line for each that was decided."""

    scoring: "ScoringSpec"
    decisions: list[str]


class ScoringSpec(Spec):
    """Scoring of translations."""

    tokenize: Tokenize = "auto"
    """Tokenizer by which BLEU cuts text into words; "none" for text that is tokenised already. "auto" is what
    suits the script of the training targets: zh for Chinese, char for others without spaces, else 13a."""
    lowercase: bool = False
    """Whether case is ignored."""
    choose_by: Measure = "auto"
    """Score on the validation set by which weights are kept, and equals by likelihood. "auto" is chrf where
    most of its references are shorter than the four words that BLEU compares, else bleu."""

    def settled(self, targets: Sequence[str], references: Sequence[str]) -> Settled:
        """The same with every "auto" decided, by training ``targets`` and validation ``references``."""
        chosen, decisions = self, list[str]()
        if self.tokenize == "auto":
            tokenize = suited_tokenize(targets[:_SAMPLE])
            chosen = chosen.model_copy(update={"tokenize": tokenize})
            decisions.append(f"scoring.tokenize is {tokenize}, by the script of the training targets")
        if self.choose_by == "auto":
            share = _short_share(references[:_SAMPLE], chosen.tokenize)
            measure = "chrf" if share > 0.5 else "bleu"
            chosen = chosen.model_copy(update={"choose_by": measure})
            decisions.append(
                f"scoring.choose_by is {measure}: {share:.0%} of the validation set's references have fewer "
                f"than the {_WORDS} words that BLEU compares"
            )
        return Settled(chosen, decisions)

    def chosen_by(self, scores: dict[str, float]) -> str:
        """Name of the figure by which ``better`` finds ``scores`` better than others."""
        name = "bleu" if self.choose_by == "auto" else self.choose_by
        tells = name in scores and (name != "bleu" or scores[name] > _NO_BLEU)
        return name if tells else "nll"

    def better(self, new: dict[str, float], old: dict[str, float]) -> bool:
        """Whether figures of a validation are better than others, of which either may lack the score.

        By likelihood where the score is equal, or one of them has none, or both BLEUs are next to nothing.
        """
        name = "bleu" if self.choose_by == "auto" else self.choose_by
        if name != "nll" and name in new and name in old:
            # A perfect score comes out as 100 and a little.
            floor = _NO_BLEU if name == "bleu" else 0.0
            one, other = (round(max(floor, scores[name]), 6) for scores in (new, old))
            if one != other:
                return one > other
        return new["nll"] < old["nll"]


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
    suited = suited_tokenize(group[0] for group in references[:_SAMPLE])
    cuts: list[Tokenize] = [suited if cut == "auto" else cut for cut in tokenize or [spec.tokenize]]
    return [
        *(_bleu(hypotheses, references, cut, spec.lowercase) for cut in cuts),
        _chrf(hypotheses, references, spec.lowercase),
        _exact_match(hypotheses, references, spec.lowercase),
    ]


def words_of_zero(scores: Iterable[Metric], references: Iterable[str], lowest: float = 0.0) -> str:
    """A sentence on a BLEU of zero beside a chrF above ``lowest``; empty where there is no such thing."""
    named: dict[str, Metric] = {}
    for each in scores:
        named.setdefault(each.name, each)
    if named["bleu"].value > 0.0 or named["chrf"].value <= lowest:
        return ""
    cut = named["bleu"].signature.partition("|tok:")[2].partition("|")[0]
    suited = suited_tokenize(references)
    advice = f"; {suited} would suit this script" if cut == "13a" and suited != "13a" else ""
    return (
        f"BLEU is 0 though chrF is {named['chrf'].value:.1f}, since it compares {_WORDS} words in a row and "
        f"the translations have fewer as {cut} cuts them{advice}: go by chrF or exact match"
    )


def is_right(hypothesis: str, references: Sequence[str], *, lowercase: bool) -> bool:
    """Whether ``hypothesis`` equals one of its ``references``."""
    if lowercase:
        hypothesis, references = hypothesis.lower(), [reference.lower() for reference in references]
    return hypothesis in references


def _short_share(references: Sequence[str], tokenize: Tokenize) -> float:
    """Share of ``references`` with fewer words than BLEU compares in a row."""
    from sacrebleu.metrics.bleu import BLEU

    cut = BLEU(tokenize=tokenize, force=True).tokenizer
    return sum(len(cut(text).split()) < _WORDS for text in references) / max(1, len(references))


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
